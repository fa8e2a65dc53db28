"""What `make` installs is imported with plain commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import python

SHIM = Path(__file__).parents[1] / "environment"
SCRIPT = """\
import site, sys
site.addsitedir(sys.argv[1])
assert "torch" not in sys.modules
import torchvision, timm
from torchvision.models import resnet18
assert sum(one.numel() for one in resnet18().parameters()) == 11_689_512
assert "resnet18" in timm.list_models()
"""


@pytest.mark.needs("torch", "torchvision", "timm")
def test_torchvision_and_timm_are_imported() -> None:
    python("-c", SCRIPT, SHIM)
