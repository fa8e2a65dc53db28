"""The core says nothing in a framework's words where it computes: only to people, and of files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).parents[2] / "resspec"
# Not `tf32`, which is a format of numbers, as bfloat16.
WORDS = re.compile(r"(?<![a-z])(torch|keras|tensorflow|jax|cuda|nn|tf)(?![a-z0-9])", re.IGNORECASE)
# What has to name them, and why.
TOLD = {
    "cli": "options and help",
    "api.py": "the default backend",
    "backend.py": "the default backend",
    "lower/suspicions.py": "help",
    "port": "names of origins, layouts in their files",
    "weights/fitting.py": "help",
    "weights/files": "what frameworks write in files",
}


def code(path: Path) -> Iterator[tuple[int, str]]:
    """Names and texts that the program uses; docstrings are none."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {
        id(body[0].value)
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list)
        and body
        and isinstance(body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docs:
                yield node.lineno, text
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield node.lineno, text


def test_the_core_speaks_no_frameworks_language() -> None:
    found = {
        f"{path.relative_to(CORE)}:{line}: {text[:60]}"
        for path in sorted(CORE.rglob("*.py"))
        if not any(path.relative_to(CORE).is_relative_to(part) for part in TOLD)
        for line, text in code(path)
        if WORDS.search(text)
    }
    assert not found


def test_what_is_excused_needs_it() -> None:
    for part in TOLD:
        files = [CORE / part] if part.endswith(".py") else (CORE / part).rglob("*.py")
        assert any(WORDS.search(text) for path in files for _, text in code(path)), part
