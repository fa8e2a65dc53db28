"""Files that torch wrote, and what is read of them or said about them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.diagnostics import SpecError
from resspec.weights.files import Checkpoint, read
from tests.refused import refused

torch = pytest.importorskip("torch")

BUDGET = 1 << 20


def saved(folder: Path, what: Any, name: str = "a.pth", **options: Any) -> Path:
    torch.save(what, folder / name, **options)
    return folder / name


def same(found: Checkpoint, state: dict[str, Any]) -> bool:
    assert list(found.tensors) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.float().numpy())
        assert found.dtypes[name] == str(tensor.dtype).removeprefix("torch.")
    return True


def told(path: Path, key: str | None = None) -> str:
    found = refused(read, path, key=key, budget=BUDGET)
    assert found.code in ("weights-format", "io-error")
    return str(SpecError(found))


def network() -> Any:
    return torch.nn.Sequential(
        OrderedDict(
            body=torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)),
            fc=torch.nn.Linear(8, 10),
        )
    )
