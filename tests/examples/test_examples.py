"""The examples run, in a small setting."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import resspec
from tests.commands import command

FOLDER = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("torch", "tensorflow", "sklearn", "matplotlib"),
    pytest.mark.filterwarnings("ignore"),  # of what trains and draws
]


def test_shortcuts_are_worth_it_and_both_frameworks_say_so(tmp_path: Path):
    degradation, out = import_module("examples.degradation.__main__"), tmp_path / "plot.svg"
    small = ["--depths", "1,6", "--epochs", "6", "--images", "256", "--seeds", "1"]
    rows = degradation.main([*small, "--out", str(out)])
    errors = {(row["kind"], row["layers"], row["backend"]): row["error"] for row in rows}
    assert len(errors) == 8
    for network in (("plain", 6), ("residual", 6), ("residual", 26)):
        apart = errors[*network, "torch"] - errors[*network, "tensorflow"]
        assert abs(apart) < 1  # two of the 256 images: all that rounding has told apart by then
    for backend in degradation.BACKENDS:
        assert errors["plain", 26, backend] > errors["residual", 26, backend] + 30
    assert out.read_text().startswith("<?xml")
    with out.with_suffix(".csv").open() as file:
        assert [float(row["error"]) for row in csv.DictReader(file)] == [*errors.values()]


def test_what_was_measured_says_what_the_text_does():
    errors: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (FOLDER / "degradation/degradation.csv").open() as file:
        for row in csv.DictReader(file):
            errors[row["kind"], row["backend"]][int(row["layers"])].append(float(row["error"]))
    assert len(errors) == 4
    for (kind, _), by_depth in errors.items():
        assert all(len(seeds) == 3 for seeds in by_depth.values())
        means = [sum(by_depth[depth]) / 3 for depth in sorted(by_depth)]
        assert means == sorted(means, reverse=kind == "residual")


def test_what_keras_fitted_is_served_by_torch():
    apart, right = import_module("examples.fit_and_serve").main(["--epochs", "3"])
    assert apart < 1e-4
    assert right > 0.95


def test_what_torchrun_trained_is_served_by_tensorflow(tmp_path: Path, capsys):
    import tensorflow as tf
    from sklearn.datasets import load_digits

    weights = tmp_path / "digits.pth"
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    subprocess.run([*launch, FOLDER / "distributed.py", "--out", weights], check=True, timeout=300)
    words = ("--backend", "tensorflow", "--weights", weights, "--export", "saved_model")
    assert command("build", FOLDER / "digits.yaml", *words, "--out", tmp_path / "served") == 0
    served = tf.saved_model.load(tmp_path / "served/saved_model")
    digits = load_digits()
    images = ((digits.images - digits.images.mean()) / digits.images.std()).astype(np.float32)
    outputs = served.serve(images[..., None]).numpy()
    assert np.mean(outputs.argmax(1) == digits.target) > 0.95


@pytest.mark.needs("lightning")
def test_what_lightning_trained_is_served_by_tensorflow(tmp_path: Path):
    from resspec_torch.origins import _torchvision

    _torchvision()  # beside a torch that it was not built for, which lightning imports
    example = import_module("examples.train_lightning")
    apart, right = example.main(["--epochs", "3", "--out", str(tmp_path / "digits.ckpt")])
    assert apart < 1e-4
    assert right > 0.9


def test_what_was_fine_tuned_by_torch_is_served_by_tensorflow(tmp_path: Path):
    apart, right = import_module("examples.fine_tune").main(["--out", str(tmp_path / "served")])
    assert apart < 1e-4
    assert right > 0.8


def test_a_detector_learns_and_both_frameworks_see_the_same(tmp_path: Path):
    example, out = import_module("examples.detector.__main__"), tmp_path / "seen.svg"
    precision, recall, apart = example.main(["--steps", "200", "--out", str(out)])
    assert apart < 1e-4
    assert precision > 0.5
    assert recall > 0.1
    assert out.read_text().startswith("<?xml")


def test_every_example_says_how_long_it_takes_and_is_listed():
    listed = (FOLDER / "README.md").read_text("utf-8")
    for path in FOLDER.glob("*"):
        if path.suffix == ".py" or (path / "__main__.py").exists():
            script = path if path.is_file() else path / "__main__.py"
            text = script.read_text("utf-8")
            assert re.search(r"^Takes .+ on a CPU", text, re.MULTILINE), script
            assert f"({script.relative_to(FOLDER)})" in listed, script
    assert resspec.load(FOLDER / "design_space/regnet.yaml")
