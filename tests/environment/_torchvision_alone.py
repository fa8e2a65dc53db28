"""torchvision beside a torch that its compiled operators were not built for.

PyPI's torchvision is compiled against the CUDA build of torch; beside the CPU build its operators
do not load, and importing it then fails: `operator torchvision::nms does not exist`. Where that is
so, the two that it asks for are declared, so that its Python code, all that networks need, imports.
`make` lays this file and the .pth beside it into .venv; torch itself is imported by torchvision only.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

KEPT: list[Any] = []  # an operator lives as long as its library


class Finder:
    """Steps in once, before torchvision is imported."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        sys.meta_path.remove(cls)  # type: ignore[arg-type]
        found = PathFinder.find_spec(name, path)
        if found is not None and found.submodule_search_locations:
            declare(Path(found.submodule_search_locations[0]))
        return found


def declare(folder: Path) -> None:
    """Declare what importing torchvision asks for, unless its operators load."""
    import torch

    try:
        for compiled in folder.glob("_C.*"):
            torch.ops.load_library(str(compiled))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        KEPT.append(library)


sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
