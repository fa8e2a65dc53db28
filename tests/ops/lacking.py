"""What an op still needs before it is whole."""

from __future__ import annotations

from collections.abc import Iterator

from resspec import backend
from resspec.docstrings import docstring
from resspec.ops import OPS
from tests.ops.cases import CASES
from tests.ops.references import REFERENCES


def lacking(name: str) -> Iterator[str]:
    """In words; nothing where it is whole."""
    op = OPS[name]
    if not docstring(op):
        yield "a docstring"
    yield from (f"what `{key}` is" for key, field in op.FIELDS.items() if not field.doc)
    yield from (f"a rule for {key}" for key in backend.names() if op not in backend.get(key).rules)
    if not CASES.get(name):
        yield "a case"
    if name not in REFERENCES:
        yield "a reference"
