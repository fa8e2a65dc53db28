"""Tensors that tests of reading write to files."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        OrderedDict(
            conv1=torch.nn.Conv2d(3, 8, 3, bias=False),
            bn1=torch.nn.BatchNorm2d(8),
            fc=torch.nn.Linear(8, 10),
        )
    )
    return dict(net.state_dict())
