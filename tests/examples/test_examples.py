"""The examples run, in a small setting."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("torch", "tensorflow", "sklearn", "matplotlib"),
    pytest.mark.filterwarnings("ignore"),  # of what trains and draws
]


def example(path: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(Path(path).stem, FOLDER / path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_degradation_both_frameworks_get_the_same_images_wrong(tmp_path: Path):
    degradation, out = example("degradation/run.py"), tmp_path / "plot.svg"
    small = ["--depths", "1", "--epochs", "2", "--images", "256", "--out", str(out)]
    rows = degradation.main(small)
    errors = {(row["kind"], row["backend"]): row["error"] for row in rows}
    assert len(errors) == 4
    for kind in degradation.KINDS:
        assert errors[kind, "torch"] == errors[kind, "tensorflow"]
    assert out.read_text().startswith("<?xml")
    with out.with_suffix(".csv").open() as file:
        assert len([*csv.DictReader(file)]) == 4


def test_degradation_is_what_its_numbers_say():
    with (FOLDER / "degradation/degradation.csv").open() as file:
        rows = [*csv.DictReader(file)]
    for backend in ("torch", "tensorflow"):
        for kind, grows in (("plain", True), ("residual", False)):
            errors = [
                float(r["error"]) for r in rows if (r["kind"], r["backend"]) == (kind, backend)
            ]
            assert errors == sorted(errors, reverse=not grows)
            assert len(errors) == 3


def test_what_keras_fitted_is_served_by_torch():
    apart, before, after = example("fit_and_serve.py").main(["--epochs", "2"])
    assert apart < 1e-4
    assert before > 0.4
    assert after > before
