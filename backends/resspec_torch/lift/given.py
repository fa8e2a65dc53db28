"""What modules were made with: numbers that their constructors took, by which params are named."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from torch import nn

Given = dict[str, Any]  # an argument's name → what it was


@contextlib.contextmanager
def watched() -> Iterator[dict[int, Given]]:
    """The arguments of modules that are made inside, by their identity: what the outermost
    constructor of each holds when it calls nn.Module's, which most do first."""
    found: dict[int, Given] = {}
    own = nn.Module.__init__

    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        frame: FrameType | None = sys._getframe(1)
        outer: FrameType | None = None
        while (
            frame is not None
            and frame.f_code.co_name == "__init__"
            and frame.f_locals.get("self") is self
        ):
            outer, frame = frame, frame.f_back
        if outer is not None:
            code = outer.f_code
            names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
            found[id(self)] = _numbers({name: outer.f_locals.get(name) for name in names})
        own(self, *args, **kwargs)

    nn.Module.__init__ = init
    try:
        yield found
    finally:
        nn.Module.__init__ = own


def given(model: nn.Module, seen: Mapping[int, Given]) -> dict[str, Given]:
    """By module path: what was seen, or else attributes that are called as the constructor's
    arguments are."""
    return {
        path: seen[id(module)] if id(module) in seen else _attributes(module)
        for path, module in model.named_modules()
        if not type(module).__module__.startswith("torch.nn.")
    }


def _attributes(module: nn.Module) -> Given:
    try:
        names = inspect.signature(type(module).__init__).parameters
    except (TypeError, ValueError):
        return {}
    held = vars(module)
    return _numbers({name: held[name] for name in names if name in held})


def _numbers(found: Mapping[str, Any]) -> Given:
    def is_number(value: object) -> bool:
        return isinstance(value, int | float)

    def is_pair(value: object) -> bool:
        return isinstance(value, tuple | list) and len(value) == 2 and all(map(is_number, value))

    return {name: one for name, one in found.items() if is_number(one) or is_pair(one)}
