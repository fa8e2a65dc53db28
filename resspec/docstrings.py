"""Docstrings, also where Python runs without them (`-OO`): then they are read from the source."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any


def docstring(thing: type | Callable[..., Any]) -> str:
    """The docstring of a class or a function, its indentation removed; "" where it has none."""
    own = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    if sys.flags.optimize >= 2:  # a dataclass then holds its signature
        own = _written(str(thing.__module__)).get(thing.__qualname__)
    return inspect.cleandoc(own) if isinstance(own, str) else ""


@cache
def _written(module: str) -> dict[str, str]:
    """Docstrings in the source of a module, by the names they belong to."""
    try:
        file = sys.modules[module].__file__ or ""
        tree = ast.parse(Path(file).read_text("utf-8"))
    except (KeyError, OSError, ValueError):
        return {}
    return dict(_docs(tree, ""))


def _docs(tree: ast.AST, prefix: str) -> Iterator[tuple[str, str]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text is not None:
                yield prefix + node.name, text
            yield from _docs(node, f"{prefix}{node.name}.")
