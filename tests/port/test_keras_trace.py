"""Any functional Keras model: nested ones, depthwise kernels, layers that are no stock layers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("resspec_tensorflow")

from resspec_tensorflow.frameworks import keras, tf
from resspec_tensorflow.origins import KerasOriginal
from resspec_tensorflow.trace import trace

from resspec import api
from resspec.diagnostics import SpecError
from resspec.port import transfer as port
from resspec.port.match import match
from resspec.weights import example, randomise
from tests.specs import load
from tests.weights.memory import Peak


class Affine(keras.layers.Layer):  # type: ignore[misc]
    """A layer that nobody told resspec about: x · a + b, then a matrix."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.b = self.add_weight(shape=(shape[-1],))
        self.w = self.add_weight(shape=(shape[-1], 6))
        self.a = self.add_weight(shape=(shape[-1],))

    def call(self, x: object) -> object:
        return tf.matmul(x * self.a + self.b, self.w)


def network() -> keras.Model:
    x = inputs = keras.Input((6, 8, 4))
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(epsilon=0.01, momentum=0.7)(x)
    inner = keras.Sequential(
        [
            keras.layers.Conv2D(8, 1, groups=2, activation="relu"),
            keras.layers.LayerNormalization(epsilon=1e-5),
        ]
    )
    x = keras.layers.Add()([x, inner(x)])
    x = keras.layers.Dense(5, use_bias=False)(x)  # on a map: a 1×1 convolution
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, Affine()(x))


SPEC = """\
model: odd
doc: The same network.
input: [4, 6, 8]
stages: []
head:
  - conv: {out_channels: 8, kernel_size: 3, groups: 4}
  - norm: {eps: 0.01, momentum: 0.3}
  - residual:
      body:
        - conv: {out_channels: 8, kernel_size: 1, groups: 2, bias: true}
        - relu
        - layer_norm: {eps: 1.0e-5}
      shortcut: []
  - conv: {out_channels: 5, kernel_size: 1}
  - global_avg_pool
  - flatten
  - layer_scale
  - bias
  - linear: {out_features: 6, bias: false}
"""


def test_outputs_are_equal(tmp_path: Path) -> None:
    graph = load(tmp_path, SPEC).graph
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        original = KerasOriginal(network(), "odd")
    finally:
        keras.config.set_dtype_policy(policy)
    found = match(original.trace, graph)
    assert not found.ambiguous
    assert not found.unread
    original.load(found.stored(randomise(graph)))
    weights = found.canonical(original.arrays())
    x = example((2, 4, 6, 8)).astype("float64")
    live = api.compile_for(graph, "tensorflow").running("cpu", "float64", weights)
    (y,) = live.forward(x)["out"]
    np.testing.assert_allclose(y, original.forward(x)[0], rtol=1e-10)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("stock", [True, False])
def test_a_file_that_describes_its_network(tmp_path: Path, stock: bool) -> None:
    """No library has it by name; only stock layers are made from a file."""
    inputs = keras.Input((6, 8, 4))
    x = keras.layers.Conv2D(8, 3, padding="same", name="first")(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same", name="second")(x)
    x = x if stock else Affine()(x)
    model = keras.Model(inputs, x)
    model.save(tmp_path / "mine.keras")
    layer = "{conv: {out_channels: 8, kernel_size: 3, bias: true}}"
    text = f"model: m\ndoc: Two.\ninput: [4, 6, 8]\nstages: []\nhead: [{layer}, {layer}]\n"
    graph = load(tmp_path, text).graph
    if not stock:
        with pytest.raises(SpecError, match="weights-format"):
            port.read(tmp_path / "mine.keras", "keras", graph)
        return
    stored, report = port.read(tmp_path / "mine.keras", "keras", graph)
    assert report.ambiguous == ()
    for number, name in enumerate(("first", "second"), 1):
        kernel = model.get_layer(name).kernel.numpy().transpose(3, 2, 0, 1)
        np.testing.assert_array_equal(stored.weights[f"head.conv{number}.weight"], kernel)
    with pytest.raises(SpecError, match="not-found"):
        port.read(tmp_path / "mine.keras", "keras", graph, "ResNet9000")


def huge(config: dict[str, Any]) -> None:
    config["config"]["layers"][-1]["config"]["filters"] = 10_000_000


def lambda_layer(config: dict[str, Any]) -> None:
    config["config"]["layers"][-1]["class_name"] = "Lambda"


def of_the_system(config: dict[str, Any]) -> None:
    config["config"]["layers"][-1] |= {"module": "os", "class_name": "system"}


def downloading(config: dict[str, Any]) -> None:
    kernel = config["config"]["layers"][-1]["config"]["kernel_initializer"]
    kernel |= {"module": "keras.utils", "class_name": "function", "config": "get_file"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (huge, "describes a network of 1,411 MiB of weights; for this spec at most 128 MiB"),
        (lambda_layer, "holds a `keras.layers.Lambda`, no stock layer"),
        (of_the_system, "holds a `os.system`, no stock layer"),
        (downloading, "holds a `keras.utils.function`, no stock layer"),
    ],
)
def test_an_archive_that_describes_what_it_should_not(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    inputs = keras.Input((6, 8, 4))
    keras.Model(inputs, keras.layers.Conv2D(8, 3)(inputs)).save(tmp_path / "a.keras")
    layer = "{conv: {out_channels: 8, kernel_size: 3, bias: true}}"
    graph = load(tmp_path, f"model: m\ninput: [4, 6, 8]\nstages: []\nhead: [{layer}]\n").graph
    with zipfile.ZipFile(tmp_path / "a.keras") as old:
        config = json.loads(old.read("config.json"))
        change(config)
        with zipfile.ZipFile(tmp_path / "b.keras", "w") as new:
            for name in old.namelist():
                new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
    peak = Peak()
    with pytest.raises(SpecError, match="weights-format") as caught:
        port.read(tmp_path / "b.keras", "keras", graph)
    assert says in str(caught.value)
    assert peak.above() < 256


def test_a_subclassed_model_is_refused() -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, x: object) -> object:
            return x

    with pytest.raises(ValueError, match="functional"):
        trace(Mine())
