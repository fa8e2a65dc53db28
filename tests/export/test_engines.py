"""Keras files run on every engine of Keras: model.py and the `.keras` file infer what TensorFlow
infers, and train, without importing TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resspec import api, backend, weights
from resspec.weights.naming import recognised
from tests import specs
from tests.commands import command, python
from tests.export.running import REFUSE, SPECS

SCRIPT = """\
import keras, numpy as np
folder, entry, engine = sys.argv[1:]
assert keras.backend.backend() == engine
sys.path.insert(0, folder)
import model as written

images = np.load(f"{folder}/x.npy")
network = getattr(written, entry)()
network.load_weights(f"{folder}/model.keras")
stored = keras.saving.load_model(f"{folder}/model.keras")
for name, one in (("source", network), ("file", stored)):
    found = one.predict(images, verbose=0)
    np.savez(f"{folder}/{engine}.{name}.npz", *keras.tree.flatten(found))
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in one.variables]
    losses = keras.tree.map_structure(lambda _: "mse", one.output)
    one.compile(keras.optimizers.SGD(0.01), loss=losses)
    targets = keras.tree.map_structure(np.zeros_like, found)
    history = one.fit(images, targets, batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[1] < history[0], history
    for variable, old in zip(one.variables, before):
        if variable.name in ("gamma", "moving_mean", "moving_variance"):
            assert not np.array_equal(keras.ops.convert_to_numpy(variable), old), variable.path
assert "tensorflow" not in sys.modules
"""


# batch norms beside layers without a stock counterpart
SPEC = SPECS["odd"].replace("norm: {group_norm: {groups: 2}}", "norm: batch_norm")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_a_keras_file_infers_and_trains(engine: str, tmp_path: Path) -> None:
    for name in ("tensorflow", engine):
        pytest.importorskip(name)
    spec, out = tmp_path / "spec.yaml", tmp_path / "out"
    spec.write_text(SPEC)
    graph = api.load(spec).graph
    weights.save(tmp_path / "w.safetensors", weights.randomise(graph, 3), "odd")
    stored = ("--weights", str(tmp_path / "w.safetensors"))
    assert command("build", str(spec), "-b", "tensorflow", *stored, "--out", str(out)) == 0
    x = weights.example((8, *graph.input.type.shape)).astype("float32")
    np.save(out / "x.npy", x.transpose(0, 2, 3, 1))
    source = backend.get("tensorflow").emit(graph)
    environment = {"KERAS_BACKEND": engine, "CUDA_VISIBLE_DEVICES": ""}
    python("-c", REFUSE + SCRIPT, out, source.entry, engine, env=environment)

    model = api.build(graph, "tensorflow", weights=tmp_path / "w.safetensors")
    wanted = backend.get("tensorflow").runtime().forward(model, x)[0]
    flat = [one for _, values in sorted(wanted.items()) for one in values]
    for kind in ("source", "file"):
        found = np.load(out / f"{engine}.{kind}.npz")
        for one, name in zip(flat, found, strict=True):
            y = found[name].transpose(0, 3, 1, 2) if found[name].ndim == 4 else found[name]
            np.testing.assert_allclose(y, one, rtol=2e-4, atol=2e-5)


def test_no_layer_has_a_dot_in_its_name_and_files_of_before_are_known(tmp_path: Path) -> None:
    graph = specs.load(tmp_path, SPECS["odd"]).graph
    variables = backend.get("tensorflow").emit(graph).variables
    names = [one.name for one in variables.values()]
    assert not [name for name in names if "." in name]
    before = {name.replace("-", "."): None for name in names}
    found = recognised(before, graph)
    assert found is not None
    assert (found.whose, found.whole) == ("tensorflow", True)
