"""What the TensorFlow backend does where TensorFlow is missing, or Keras runs on something else."""

from __future__ import annotations

import pytest

from tests.commands import python

SCRIPT = """\
import sys
{before}
from resspec_tensorflow import BACKEND
from resspec.diagnostics import SpecError
from resspec import api
graph = api.load("resnet18").graph
source = BACKEND.emit(graph)
assert not {{"tensorflow", "keras", "torch", "jax"}} & {{n for n, m in sys.modules.items() if m}}
try:
    BACKEND.runtime()
except SpecError as caught:
    (found,) = caught.diagnostics
    print(found.code, found.message, found.help, sep="\\n")
"""
HIDE = """\
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""


def outcome(before: str, **env: str) -> tuple[list[str], str]:
    # somebody who sets the log level sees what TensorFlow says
    environment = {"TF_CPP_MIN_LOG_LEVEL": None, **env}
    done = python("-c", SCRIPT.format(before=before), env=environment)
    return done.out.splitlines(), done.err


@pytest.mark.needs("keras")
def test_missing_framework_says_how_to_install_it() -> None:
    lines, _ = outcome(HIDE)
    assert lines[0] == "no-backend"
    assert "tensorflow" in lines[1]
    assert "pip install 'resspec[tensorflow]'" in lines[2]


def test_other_keras_backend_is_an_error() -> None:
    lines, _ = outcome("", KERAS_BACKEND="numpy")
    assert lines[0] == "no-backend"
    assert "KERAS_BACKEND" in lines[2]


@pytest.mark.needs("tensorflow")
def test_start_is_silent() -> None:
    lines, stderr = outcome("")
    assert lines == []
    assert stderr == ""
