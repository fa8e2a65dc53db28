"""Any functional Keras model: nested ones, depthwise kernels, layers that are no stock layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("resspec_tensorflow")

from resspec_tensorflow.origins import KerasOriginal
from resspec_tensorflow.runtime import frameworks
from resspec_tensorflow.trace import trace

from resspec import api
from resspec.match import match
from resspec.weights import example, randomise
from tests.specs import load

keras, tf = frameworks()


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
    compiled = api.compile_for(graph, "tensorflow")
    model = compiled.instantiate("cpu", "float64")
    compiled.backend.load_weights(model, compiled.source, weights)
    (y,) = compiled.backend.forward(model, x)["out"]
    np.testing.assert_allclose(y, original.forward(x)[0], rtol=1e-10)


def test_a_subclassed_model_is_refused() -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, x: object) -> object:
            return x

    with pytest.raises(ValueError, match="functional"):
        trace(Mine())
