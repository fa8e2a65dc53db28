"""What callers of Python give, in the one form that the rest reads; else an error `bad-value`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resspec.diagnostics import SpecError, error


def kind(value: object) -> str:
    """`a NoneType`, `an int`, `the class int`: the type of a value, as a message names it."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__qualname__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def refused(what: str, wanted: str, value: object, help: str | None = None) -> SpecError:
    shown = f"`{value}`" if isinstance(value, str | int | float) else kind(value)
    return error("bad-value", f"{what} is {wanted}, found {shown}", help=help)


def text(value: Any, what: str) -> str:
    """A word."""
    if not isinstance(value, str):
        raise refused(what, "a text", value)
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """Words; one alone may stand without a list."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise refused(what, "a list of texts", value)
    return tuple(text(one, f"each of {what}") for one in value)


def path(value: Any, what: str) -> Path:
    """Where a file or a folder is."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise refused(what, "a path, a text or a Path", value)
    found = os.fspath(value)
    if not found or "\0" in found:
        raise refused(what, "a path", found, "name a file")
    return Path(found)


def paths(value: Any, what: str) -> tuple[Path, ...]:
    """Folders; one alone may stand without a list."""
    if isinstance(value, str | os.PathLike):
        return (path(value, what),)
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise refused(what, "a list of paths", value)
    return tuple(path(one, f"each of {what}") for one in value)


def device(value: Any) -> str:
    """A framework's word for a device, or its object for one."""
    if value is None or isinstance(value, bytes | type):
        raise refused("`device`", "a framework's word for one, such as `cpu`", value)
    return str(value)


def dtype(value: Any) -> str | None:
    """A dtype's name: of a text, or of NumPy's, torch's, JAX's or TensorFlow's object for one."""
    if value is None or isinstance(value, str):
        return value
    name = value.__name__ if isinstance(value, type) else getattr(value, "name", None) or str(value)
    return name.rpartition(".")[2]


def whole(value: Any, what: str) -> int:
    """A whole number, NumPy's too."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise refused(what, "a whole number", value)
    return int(value.__index__())
