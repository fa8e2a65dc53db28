"""Arguments of ops: pydantic judges them, and what skips it is held as pydantic would hold it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from resspec.declared import LEFT, hints, model_of, quick
from resspec.ops import OPS
from resspec.ops.base import words
from resspec.ops.fields import MAX_EXTENT
from resspec.record import REQUIRED
from tests.commands import python

HINTS = {(name, key): hint for name, cls in OPS.items() for key, hint in hints(cls).items()}
WORDS = sorted({word for name, key in HINTS for word in words(OPS[name], key)})

EDGES = [0, 1, 2, 31, 32, MAX_EXTENT, MAX_EXTENT + 1, 2**53, 2**53 + 1, 10**400]
EDGES += [-edge for edge in EDGES]
REALS = [0.0, -0.0, 0.5, 1.0, 4.0, 1e-5, 1e-18, 9e-19, 1e-30, 9e-31, 5e-324, 1e30, 1.1e30]
REALS += [-real for real in REALS] + [float("inf"), float("-inf"), float("nan")]
SCALARS = st.one_of(
    st.sampled_from([*EDGES, *REALS, *WORDS, True, False, None, "", "3", "1.5", "Same", b"same"]),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
)
LISTS = st.lists(SCALARS | st.integers(0, 4), max_size=5)
VALUES = SCALARS | LISTS | LISTS.map(tuple) | st.lists(LISTS.map(tuple), max_size=2)


@cache
def ways(hint: Any) -> tuple[Any, TypeAdapter[Any]]:
    return quick(hint), TypeAdapter(hint)


@given(VALUES)
@example(True)
@example((True, 1))
@example([3, 3.0])
def test_what_skips_pydantic_is_held_as_pydantic_would(value: Any) -> None:
    for hint in set(HINTS.values()):
        short, adapter = ways(hint)
        held = short(value)
        if held is not LEFT:
            assert repr(held) == repr(adapter.validate_python(value)), hint


def test_usual_values_skip_pydantic() -> None:
    code = """\
import sys
from resspec import api
for name in ("resnet18", "inception_v3", "densenet121", "mobilenet_v3_small", "nf_resnet50"):
    api.load(name)
print("pydantic" in sys.modules)
"""
    assert python("-c", code).out.splitlines() == ["False"]


@pytest.mark.parametrize("name", sorted(OPS))
def test_defaults_are_of_their_type(name: str) -> None:
    for key, field in OPS[name].FIELDS.items():
        if field.default is not REQUIRED:
            short, adapter = ways(HINTS[name, key])
            assert repr(adapter.validate_python(field.default)) == repr(field.default)
            assert repr(short(field.default)) == repr(field.default)


def test_pydantic_words_the_complaint_and_gives_the_schema() -> None:
    conv = OPS["conv2d"]
    with pytest.raises(ValidationError) as caught:
        conv(out_channels=4.0, kernel_size=[3, 0], kernal=3)
    found = [(error["type"], error["loc"]) for error in caught.value.errors()]
    assert found == [
        ("int_type", ("out_channels",)),
        ("greater_than_equal", ("kernel_size", 1)),
        ("extra_forbidden", ("kernal",)),
    ]
    made = model_of(conv).model_json_schema()["properties"]["out_channels"]
    assert (made["type"], made["minimum"], made["maximum"]) == ("integer", 1, MAX_EXTENT)


def test_pydantic_converts_what_is_nearly_right() -> None:
    assert OPS["dropout"](rate=True).rate == 1.0
    assert OPS["batch_norm"](eps="1e-3").eps == 1e-3
    assert OPS["conv2d"](out_channels=4, kernel_size=3).replace(stride=[2, 1]).stride == (2, 1)
