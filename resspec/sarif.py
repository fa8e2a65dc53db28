"""Diagnostics as SARIF 2.1.0, which code hosts show beside the lines of a change.

Source: OASIS Static Analysis Results Interchange Format 2.1.0; what GitHub reads of it is at
docs.github.com, "SARIF support for code scanning".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resspec.codes import CODES
from resspec.diagnostics import Diagnostic, Span, escape

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
ROOT = "%SRCROOT%"  # the folder that paths are relative to


def sarif(found: Iterable[tuple[str, Sequence[Diagnostic]]], version: str) -> dict[str, Any]:
    """One run with a result a diagnostic, each of the file that was checked by that name."""
    pairs = [(spec, one) for spec, diagnostics in found for one in diagnostics]
    codes = sorted({one.code for _, one in pairs})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code].title},
            "fullDescription": {"text": CODES[code].why},
            "help": {"text": f"resspec explain {code}\n\n{CODES[code].why}"},
            "defaultConfiguration": {"level": "error"},
        }
        for code in codes
    ]
    here = Path.cwd().as_uri()
    run = {
        "tool": {"driver": {"name": "resspec", "version": version, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"uri": f"{here.rstrip('/')}/"}},
        "results": [_result(spec, one, codes) for spec, one in pairs],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(spec: str, one: Diagnostic, codes: Sequence[str]) -> dict[str, Any]:
    said = [one.message, *(note.message for note in one.notes if note.span is None)]
    text = _text("\n".join([*said, f"help: {one.help}"] if one.help else said))
    span = one.span or Span(spec.partition("#")[0], 1, 1, 1, 1)
    # what stays when lines move
    known_by = f"{one.code}\0{span.file}\0{one.message}"
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": codes.index(one.code),
        "level": one.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": _place(span)}],
        "partialFingerprints": {"resspec/v1": hashlib.sha256(known_by.encode()).hexdigest()[:32]},
    }
    related = [
        {
            "id": number,
            "physicalLocation": _place(note.span),
            "message": {"text": _text(note.message)},
        }
        for number, note in enumerate(one.notes)
        if note.span is not None
    ]
    return result | ({"relatedLocations": related} if related else {})


def _text(raw: str) -> str:
    """Text that a viewer takes for no link (section 3.11.6), and that hides nothing."""
    return "\n".join(map(escape, raw.split("\n"))).replace("](", "] (")


def _place(span: Span) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    return {"artifactLocation": _file(span.file), "region": region}


def _file(name: str) -> dict[str, str]:
    """A file by its path from here, as code hosts know it; one that is elsewhere, by its own."""
    path = os.path.relpath(name)
    if path.startswith(".."):
        return {"uri": Path(os.path.abspath(name)).as_uri()}  # noqa: PTH100 (links are names too)
    return {"uri": quote(Path(path).as_posix(), safe="/"), "uriBaseId": ROOT}
