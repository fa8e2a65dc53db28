"""The wheel: what is in it, and that it works alone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (found,) = folder.glob("*.whl")
    return found


def test_contents(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {
        f"resspec/specs/{path.relative_to(ROOT / 'specs')}"
        for path in (ROOT / "specs").rglob("*.yaml")
    }
    assert shipped <= names
    for name in ("resspec/py.typed", "resspec/codes/spec.txt", "resspec_tensorflow/__init__.py"):
        assert name in names
    assert not [name for name in names if name.startswith(("tests", "backends"))]


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Far from the checkout, with no framework: the zoo is found and counted."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

    def resspec(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(python.with_name("resspec")), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)

    summary = resspec("summarize", "resnet50")
    assert summary.returncode == 0, summary.stderr
    assert "25,557,032" in summary.stdout
    assert "nn.Module" in resspec("source", "resnet50", "--backend", "torch").stdout
    built = resspec("build", "resnet50", "--backend", "torch")
    assert built.returncode == 1
    assert "error[no-backend]" in built.stderr
    assert "Traceback" not in built.stderr
