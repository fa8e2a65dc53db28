"""Source text → module: registered, so that it can be imported; shown in tracebacks; picklable.

The module's name holds a digest of its text: one text, one module. Its instances pickle together
with the text, so they come back in a process where resspec is installed, with no file on disk.
A `model.py` that was written out is an ordinary module and needs no resspec.
"""

from __future__ import annotations

import copyreg
import hashlib
import inspect
import linecache
import sys
from importlib.abc import InspectLoader
from importlib.util import module_from_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import Any

PREFIX = "resspec_model_"


def load(text: str) -> ModuleType:
    """The module of an emitted text, made once a process.

    Errors: SyntaxError, or what the text raises as it runs: ImportError without its framework.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    name = f"{PREFIX}{digest}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    loader = _Loader(name, text)
    spec = spec_from_loader(name, loader, origin=loader.file)
    assert spec is not None
    module = module_from_spec(spec)
    module.__file__ = loader.file
    lines = text.splitlines(keepends=True)
    linecache.cache[loader.file] = (len(text), None, lines, loader.file)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name], linecache.cache[loader.file]
        raise
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == name:
            copyreg.pickle(cls, _reduce)
    return module


class _Loader(InspectLoader):
    """Gives the text to whoever asks for it: `inspect`, tracebacks, TorchScript."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text, self.file = name, text, f"{name}.py"

    def get_source(self, fullname: str) -> str:
        return self.text

    def is_package(self, fullname: str) -> bool:
        return False

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.file, "exec", dont_inherit=True)


def _reduce(instance: Any) -> tuple[Any, ...]:
    """How an instance is pickled or copied: the text of its module, its class, its state."""
    cls = type(instance)
    loader = sys.modules[cls.__module__].__loader__
    assert isinstance(loader, _Loader)
    plain = instance.__reduce_ex__(2)
    return (_blank, (loader.text, cls.__qualname__), *plain[2:])


def _blank(text: str, name: str) -> Any:
    """An instance without state, for unpickling."""
    cls = getattr(load(text), name)
    return cls.__new__(cls)
