"""Every op's Keras model reloads from a file that names stock layers only, and from `.h5`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")  # what the references are written in
pytest.importorskip("tensorflow")

import keras
from resspec_tensorflow import BACKEND

from resspec.ops import OPS
from resspec.weights import example, randomise
from tests.ops.cases import build, each_rule
from tests.ops.running import error, live


def classes(config: object) -> set[str]:
    """Every `module` that a saved configuration names."""
    if isinstance(config, dict):
        own = {config["module"]} if isinstance(config.get("module"), str) else set()
        return own.union(*(classes(value) for value in config.values()))
    return set().union(*(classes(value) for value in config)) if isinstance(config, list) else set()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' saving
@pytest.mark.parametrize("name", OPS)
def test_save_and_reload(name: str, tmp_path: Path) -> None:
    for number, case in enumerate(each_rule(name, BACKEND).values()):
        graph, _ = build(name, case)
        model = live(BACKEND, graph, randomise(graph), "float64").model
        path = tmp_path / f"{number}.keras"
        model.save(path)
        config = json.loads(zipfile.ZipFile(path).read("config.json"))
        assert all(module.startswith(("keras", "builtins")) for module in classes(config))
        reloaded = [keras.models.load_model(path)]
        if number == 0:
            model.save(path.with_suffix(".h5"))
            reloaded.append(keras.models.load_model(path.with_suffix(".h5")))
        x = example((2, *case.shape)).transpose(0, 2, 3, 1)
        for loaded in reloaded:
            for a, b in zip(flat(loaded(x)), flat(model(x)), strict=True):
                assert error(a, b) <= 1e-12
            assert len(loaded.trainable_variables) == len(model.trainable_variables)


def flat(result: object) -> list[np.ndarray]:
    values = result if isinstance(result, list | tuple) else [result]
    return [keras.ops.convert_to_numpy(value) for value in values]
