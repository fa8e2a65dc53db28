"""What a TensorFlow build writes runs at a size that nobody compiled for, where resspec is not, and
where `~/.keras/keras.json` asks for channels first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from resspec import api, backend, weights
from tests import specs
from tests.commands import command, python
from tests.export.running import TINY, elsewhere

SIZE = (37, 23)
SPEC = """\
model: sized
input: [3, 32, 32]
num_classes: 5
stem:
  - conv: {out_channels: 8, kernel_size: 3, stride: 2, padding: same}
  - std_conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: same}
  - group_norm: {groups: 2}
  - act
  - as: fine
  - max_pool: {kernel_size: 3, stride: 2, padding: same, pad_value: zero}
  - blur_pool
  - layer_norm
  - adaptive_avg_pool: {output_size: [2, 3]}
  - resize: {like: fine, mode: bilinear}
  - concat: [fine]
  - conv: {out_channels: 8, kernel_size: 5, padding: valid}
block: basic
stages: [{name: only, depth: 1, width: 8}]
head: classifier
"""
RUN = """\
import keras, numpy as np, tensorflow as tf
folder, x = sys.argv[1], np.load(sys.argv[2]).transpose(0, 2, 3, 1)
assert keras.config.image_data_format() == "channels_first"
found = {}
model = keras.saving.load_model(f"{folder}/model.keras")
assert all(type(layer).__module__.startswith("keras.src") for layer in model._flatten_layers())
found["keras"] = model(x)
sys.path.insert(0, folder)
import model as written
network = written.sized()
network.load_weights(f"{folder}/model.keras")
found["source"] = network(x)
loaded = tf.saved_model.load(f"{folder}/saved_model")
found["serve"] = loaded.serve(x)
signature = loaded.signatures["serving_default"]
(spec,) = signature.structured_input_signature[1].values()
assert (spec.name, spec.shape.as_list()) == ("inputs", [None, None, None, 3])
found["signature"] = signature(inputs=tf.constant(x))["out"]
np.savez(f"{folder}/found.npz", **{name: np.asarray(y) for name, y in found.items()})
try:
    loaded.serve(x[:, :4])
except tf.errors.InvalidArgumentError as refusal:
    print(refusal.message)
"""


@pytest.fixture
def channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `keras.json` for the processes that a test starts."""
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_every_file_runs_at_a_second_size_without_resspec(
    tmp_path: Path, channels_first: None
) -> None:
    spec, out = tmp_path / "sized.yaml", tmp_path / "out"
    spec.write_text(SPEC)
    graph = api.load(spec).graph
    arrays = weights.randomise(graph)
    weights.save(tmp_path / "w.safetensors", arrays, "sized")
    options = ("--weights", str(tmp_path / "w.safetensors"), "--out", str(out), "--export", "all")
    assert command("build", str(spec), "-b", "tensorflow", *options) == 0
    x = weights.example((3, 3, *SIZE))
    np.save(tmp_path / "x.npy", x)
    refusal = elsewhere(RUN, out, tmp_path / "x.npy")
    assert "inputs-fits: the height must be at least 17" in refusal
    truth, live = (outputs(graph, arrays, dtype, x) for dtype in ("float64", "float32"))
    found = np.load(out / "found.npz")
    for kind in ("keras", "source", "serve", "signature"):
        # not further from float64 than the live model, but for half a rounding
        bound = 2 * np.linalg.norm(live - truth) + 2e-7 * np.linalg.norm(truth)
        assert np.linalg.norm(found[kind] - truth) <= bound, kind


def outputs(graph: Any, arrays: Any, dtype: str, x: Any) -> Any:
    model = api.build(graph, "tensorflow", dtype=dtype, weights=arrays)
    (found,) = backend.get("tensorflow").runtime().forward(model, x.astype(dtype))[0].values()
    return found[0]


def test_channels_first_in_keras_json_builds(tmp_path: Path, channels_first: None) -> None:
    words = ("build", specs.write(tmp_path, TINY), "--backend", "tensorflow")
    done = python("-m", "resspec", *words, env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert "output   1×5" in done.out


def test_the_users_layout_comes_back() -> None:
    import keras

    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        model = api.build("cifar_resnet20", "tensorflow")
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format(before)
    assert model(np.zeros((1, 9, 7, 3), np.float32)).shape == (1, 10)
