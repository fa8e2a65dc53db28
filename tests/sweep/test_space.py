"""Design spaces: what settings an axis gives, all of them and drawn at random."""

from __future__ import annotations

import math

import pytest

from resspec.diagnostics import SpecError
from resspec.sweep import axis, space


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1..4", ["1", "2", "3", "4"]),
        ("8..32..8", ["8", "16", "24", "32"]),
        ("8..31..8", ["8", "16", "24"]),
        ("-1..1", ["-1", "0", "1"]),
        ("0.5..2.0..0.5", ["0.5", "1.0", "1.5", "2.0"]),
        ("0.1..0.3..0.1", ["0.1", "0.2", "0.3"]),
        ("32,48, 64", ["32", "48", "64"]),
        ("[1, 2],[3, 4]", ["[1, 2]", "[3, 4]"]),
        ("{a: 1, b: 2}, c", ["{a: 1, b: 2}", "c"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ('"a\\",b",c', ['"a\\",b"', "c"]),
        ("basic", ["basic"]),
        ("", [""]),
        ("a..b", ["a..b"]),
    ],
)
def test_values_of_an_axis(text: str, values: list[str]) -> None:
    assert list(axis("k", text)) == values


@pytest.mark.parametrize(
    "text", ["4..1", "1..4..0", "1..4..-1", "log 0..9", "1,1", "1,,2", "1..999999"]
)
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match=r"upwards|logarithms|twice|empty|limit"):
        axis("k", text)


def test_grid_is_every_combination_and_one_value_is_everywhere() -> None:
    found = space(["a=1,2", "c=7", "b=x,y"])
    assert found.fixed == ("c=7",)
    assert found.size == 4
    assert list(found.grid()) == [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]


def test_a_key_twice_is_told() -> None:
    with pytest.raises(SpecError, match="set twice"):
        space(["a=1,2", "a=3"])


@pytest.mark.parametrize("texts", [["a=1.5..3.0"], ["a=1..2000", "b=1..2000"]])
def test_what_is_no_list_has_to_be_drawn(texts: list[str]) -> None:
    with pytest.raises(SpecError, match=r"any number|limit") as caught:
        list(space(texts).grid())
    assert "--random" in (caught.value.diagnostics[0].help or "")
    assert len(list(space(texts).sample(5, 0))) == 5


def test_draws_are_the_seeds_and_none_is_twice() -> None:
    found = space(["a=1..5", "b=1..5"])
    drawn = list(found.sample(20, 3))
    assert drawn == list(found.sample(20, 3))
    assert drawn != list(found.sample(20, 4))
    assert len(set(drawn)) == 20
    assert set(found.sample(99, 0)) == set(found.grid())  # there are no more


def test_logarithms_are_spread_evenly_on_the_steps() -> None:
    drawn = space(["w=log 8..512..8", "n=1..99999"]).sample(4000, 0)
    values = [int(one[0].removeprefix("w=")) for one in drawn]
    assert {value % 8 for value in values} == {0}
    assert (min(values), max(values)) == (8, 512)
    below = sum(value < 64 for value in values) / len(values)  # half of the way, in logarithms
    assert math.isclose(below, 0.5, abs_tol=0.06)
