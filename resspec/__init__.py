"""resspec: one YAML spec of a residual network, the same network on several frameworks.

>>> import resspec
>>> resspec.summarize("resnet50").params
25557032
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # `typing` takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from resspec.api import build as build
    from resspec.api import diff as diff
    from resspec.api import load as load
    from resspec.api import optimizer as optimizer
    from resspec.api import read_weights as read_weights
    from resspec.api import save_weights as save_weights
    from resspec.api import source as source
    from resspec.api import summarize as summarize
    from resspec.compile import LoadedSpec as LoadedSpec
    from resspec.diagnostics import Diagnostic as Diagnostic
    from resspec.diagnostics import SpecError as SpecError
    from resspec.differ import Difference as Difference
    from resspec.ir import Graph as Graph
    from resspec.lift.bring import Imported as Imported
    from resspec.lift.bring import import_model as import_model
    from resspec.summary import Summary as Summary

    __version__: str

_HOMES = {
    "Diagnostic": "resspec.diagnostics",
    "Difference": "resspec.differ",
    "Graph": "resspec.ir",
    "Imported": "resspec.lift.bring",
    "LoadedSpec": "resspec.compile",
    "SpecError": "resspec.diagnostics",
    "Summary": "resspec.summary",
    "build": "resspec.api",
    "diff": "resspec.api",
    "import_model": "resspec.lift.bring",
    "load": "resspec.api",
    "optimizer": "resspec.api",
    "read_weights": "resspec.api",
    "save_weights": "resspec.api",
    "source": "resspec.api",
    "summarize": "resspec.api",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import resspec` costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("resspec")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
