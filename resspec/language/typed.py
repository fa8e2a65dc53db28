"""Whether records are what their classes declare, as pydantic sees it: the last word of `validate`.

The grammar and the ops have told what is wrong in the words of the language. What is found here
they let pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from resspec.declared import model_of
from resspec.diagnostics import Diagnostic, Span
from resspec.language.spec import Part, parts
from resspec.record import Record


def mistyped(*specs: Part) -> Iterator[Diagnostic]:
    """Complaints about the parts of specs, each where the part stands."""
    for part in parts(specs):
        yield from judged(part, part.span)


def judged(record: Record, span: Span | None) -> Iterator[Diagnostic]:
    """Complaints about a record's own fields, which are held as declared: nothing is converted."""
    from pydantic import ValidationError

    try:
        model_of(type(record)).model_validate(vars(record), strict=True)
    except ValidationError as caught:
        for one in caught.errors(include_url=False):
            where = ".".join(map(str, one["loc"]))
            yield Diagnostic(
                "wrong-type", f"`{where}` of {type(record).__name__}: {one['msg']}", span
            )
