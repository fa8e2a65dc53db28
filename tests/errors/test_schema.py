"""What an editor underlines: the schema against every wrong and right example, and random specs."""

from __future__ import annotations

from functools import cache

import jsonschema
import pytest

from resspec.codes import CODES
from resspec.diagnostics import SpecError
from resspec.language.overlay import plain
from resspec.schema import schema
from resspec.syntax import parse
from tests.properties.generate import Seeded, make

CAUGHT = {
    "later-version",
    "not-a-mapping",
    "unknown-key",
    "missing-key",
    "wrong-type",
    "bad-identifier",
    "todo",
}
SPECS = [code for code, one in CODES.items() if not one.bad.startswith(("resspec ", "pip "))]


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def problems(text: str) -> list[str]:
    return [found.message for found in validator().iter_errors(plain(parse(text, "spec.yaml")))]


@pytest.mark.parametrize("code", SPECS)
def test_the_right_example_passes(code: str) -> None:
    assert problems(CODES[code].good) == []


@pytest.mark.parametrize("code", sorted(CAUGHT))
def test_the_wrong_example_is_caught(code: str) -> None:
    assert problems(CODES[code].bad)


def test_the_others_need_the_validator() -> None:
    caught = set()
    for code in SPECS:
        try:
            caught |= {code} if problems(CODES[code].bad) else set()
        except SpecError:  # no YAML in the first place
            continue
    assert caught == CAUGHT


@pytest.mark.parametrize("number", range(0, 100, 10))
def test_random_valid_specs_pass(number: int) -> None:
    for one in range(number, number + 10):
        assert problems(make(Seeded(one))) == []
