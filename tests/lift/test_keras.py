"""`resspec import` of Keras models: stock layers become ops, and the network stays the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring
from tests.refused import problems, refused

pytest.importorskip("tensorflow")
keras: Any = pytest.importorskip("resspec_tensorflow.frameworks").keras
layers = keras.layers
# Keras' variables, where it saves them
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def residual(x: Any, width: int, stride: int, name: str) -> Any:
    """As keras.applications write them: the block is in the names."""
    short = x
    if stride != 1 or x.shape[-1] != width:
        short = layers.Conv2D(width, 1, strides=stride, name=f"{name}_0_conv")(x)
        short = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_0_bn")(short)
    x = layers.Conv2D(width, 3, strides=stride, padding="same", name=f"{name}_1_conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_1_bn")(x)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = layers.Conv2D(width, 3, padding="same", name=f"{name}_2_conv")(x)
    x = layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_2_bn")(x)
    x = layers.Dropout(0.1, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    x = layers.Add(name=f"{name}_add")([short, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def resnet() -> Any:
    start = x = layers.Input((None, None, 3))
    x = layers.ZeroPadding2D(3)(x)
    x = layers.Conv2D(8, 7, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    for at, (width, stride) in enumerate([(8, 1), (8, 1), (16, 2), (16, 1)]):
        x = residual(x, width, stride, f"conv{at // 2 + 2}_block{at % 2 + 1}")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(start, layers.Dense(5, activation="softmax")(x))


def mixed() -> Any:
    """Layers and operations of every kind, in one model."""
    ops = keras.ops
    start = layers.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(start)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.4, 0.3])(x)
    x = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="swish")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Conv2D(16, 1, activation="gelu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(4, activation="relu")(gate)
    gate = layers.ReLU(6.0)(layers.Conv2D(16, 1)(gate) + 3.0) * (1.0 / 6.0)
    x = layers.Multiply()([x, gate])
    y = layers.GroupNormalization(4)(x)
    y = layers.PReLU(shared_axes=[1, 2])(y)
    y = layers.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2)(y)
    y = layers.LayerNormalization(center=False)(y)
    z = layers.AveragePooling2D(2, padding="same")(x)
    z = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(z)
    x = layers.Concatenate()([ops.multiply(y, 0.5), layers.LeakyReLU(0.3)(z)])
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = ops.silu(ops.subtract(x, 0.25))
    x = layers.Conv2D(4, 3, strides=4)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(layers.Dense(6, activation="elu")(x))
    return keras.Model(start, layers.Dense(3)(x))


def nested() -> Any:
    inner_start = layers.Input((16, 16, 8))
    inner_end = layers.Conv2D(8, 3, padding="same")(inner_start)
    inner = keras.Model(inner_start, layers.Add()([inner_start, inner_end]), name="inner")
    start = layers.Input((32, 32, 3))
    x = layers.Conv2D(8, 2, strides=2)(start)
    body = keras.Sequential([layers.Conv2D(8, 1), layers.ReLU()], name="body")
    x = body(inner(inner(x)))
    return keras.Model(start, {"small": layers.GlobalMaxPooling2D()(x), "map": x})


def attends() -> Any:
    """Tokens: a transformer, a row that is convolved and pooled, a flattened map given as it is."""
    start = layers.Input((16, 16, 3))
    x = layers.Reshape((-1, 8))(layers.Conv2D(8, 4, strides=4)(start))
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3, dropout=0.1)(y, y)])
    y = layers.MaxPooling1D(2)(layers.Conv1D(6, 3, padding="same", activation="relu")(x))
    y = layers.GlobalAveragePooling1D()(y)
    return keras.Model(start, {"few": y, "all": layers.Dense(5)(layers.Flatten()(x)),
                               "map": layers.Flatten()(layers.Conv2D(2, 5, strides=5)(start))})  # fmt: skip


def drawn(model: Any) -> Any:
    """With statistics that hide nothing."""
    rng = np.random.default_rng(0)
    for one in model.variables:
        if "moving" in one.path or "gamma" in one.path:
            one.assign(rng.uniform(0.5, 1.5, one.shape))
    return model


@pytest.mark.parametrize("make", [resnet, mixed, nested, attends])
def test_models_are_lifted_and_the_same(make: Any) -> None:
    model = make()
    shape = (1, *(size or 64 for size in model.inputs[0].shape[1:]))
    made = resspec.import_model(model, np.zeros(shape, np.float32))
    assert {check.quantity for check in made.checks} >= {"outputs", "gradients"}
    assert all(check.ok for check in made.checks)
    counted = [one for one in model.trainable_variables if "seed" not in one.path]
    assert made.summary.params == sum(int(np.prod(one.shape)) for one in counted)


def test_blocks_are_found_in_the_names_of_layers() -> None:
    made = resspec.import_model(resnet(), np.zeros((1, 64, 64, 3)), "mine")
    assert list(made.spec.blocks) == ["block"]
    assert "drop_path: {rate: 0.1}" in made.files["blocks/block.yaml"]
    assert made.spec.model["stages"] == [
        {"depth": 2, "width": 8},
        {"depth": 2, "width": 16, "stride": 2},
    ]


@pytest.mark.needs("torch")
def test_a_saved_model_runs_on_torch_with_its_weights(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    model = drawn(resnet())
    model.save(tmp_path / "mine.keras")
    made = bring.bring(bring.opened(str(tmp_path / "mine.keras")), (3, 64, 64), "mine", check=False)
    path = made.save(tmp_path / "spec")
    built = resspec.build(str(path), weights=tmp_path / "spec" / "weights.safetensors").eval()
    x = np.random.default_rng(0).normal(size=(2, 96, 64, 3)).astype(np.float32)
    found = built(torch.from_numpy(x.transpose(0, 3, 1, 2))).detach().numpy()
    assert np.allclose(found, model(x, training=False).numpy(), atol=1e-6)


def test_half_precision_comes_in_as_float32_and_that_is_said() -> None:
    start = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, dtype="bfloat16")(start)
    x = layers.BatchNormalization(dtype="mixed_float16")(x)
    made = resspec.import_model(keras.Model(start, x))
    assert made.notes == ["its tensors are bfloat16; they come in as float32"]
    assert {array.dtype.name for array in made.weights.values()} == {"float32"}


def test_a_sequential_is_a_row_of_layers() -> None:
    rows = [[layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()] for _ in range(2)]
    start = layers.Input((32, 32, 3))
    model = keras.Sequential([start, *map(keras.Sequential, rows), layers.GlobalMaxPooling2D()])
    assert resspec.import_model(model).summary.params == 276
    with pytest.raises(SpecError, match="a Sequential without an Input"):
        resspec.import_model(keras.Sequential([layers.Conv2D(4, 3)]))


def test_frozen_layers_are_compared_and_told() -> None:
    inner = layers.Input((None, None, 3))
    base = keras.Model(inner, layers.BatchNormalization()(layers.Conv2D(4, 3)(inner)))
    base.trainable = False
    start = layers.Input((16, 16, 3))
    made = resspec.import_model(keras.Model(start, layers.Conv2D(2, 1)(base(start))))
    assert made.notes == ["112 of its parameters are frozen; a spec's are trained"]
    assert "frozen_batch_norm" in str(made.files)  # it goes by its statistics while training, too
    assert not base.trainable


def test_what_no_op_says_is_told_all_at_once() -> None:
    start = layers.Input((32, 32, 3))
    x = layers.Conv2D(4, 1, activation=lambda x: x * x, name="odd")(start)
    x = layers.Lambda(lambda x: x + 1, name="code")(x)
    x = layers.UpSampling2D((1, 2), name="wide")(x)
    found = problems(resspec.import_model, keras.Model(start, x))
    for word, one in zip(("`odd` (Conv2D)", "`code` (Lambda)", "`wide`"), found, strict=True):
        assert one.code == "not-liftable"
        assert one.message.startswith(word)

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(SpecError, match="subclassed"):
        resspec.import_model(Own(), np.zeros((1, 8, 8, 3)))


def changed(path: Path, config: Any) -> None:
    """The archive with another description."""
    with zipfile.ZipFile(path) as held:
        parts = {name: held.read(name) for name in held.namelist()}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as made:
        for name, data in parts.items():
            made.writestr(name, data)


def test_a_file_with_code_in_it_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    start = layers.Input((8, 8, 3))
    keras.Model(start, layers.Conv2D(2, 1)(start)).save(path := tmp_path / "mine.keras")
    with zipfile.ZipFile(path) as held:
        config = json.loads(held.read("config.json"))
    for module, name in (("builtins", "eval"), ("os", "system"), ("keras.layers", "Lambda")):
        layer = {**config["config"]["layers"][1], "class_name": name, "module": module}
        inside = {**config["config"], "layers": [config["config"]["layers"][0], layer]}
        changed(path, {**config, "config": inside})
        with pytest.raises(SpecError, match="no stock layer of Keras") as caught:
            bring.opened(str(path))
        assert caught.value.diagnostics[0].code == "weights-format"
    assert refused(bring.opened, str(tmp_path / "absent.keras")).code == "io-error"


def test_a_class_of_blocks_with_depthwise_convolutions_is_its_own() -> None:
    start = x = layers.Input((None, None, 3))
    for at, deep in enumerate((False, False, True, True)):
        x = layers.Conv2D(8, 3, padding="same", name=f"block{at}_first")(x)
        kind = layers.DepthwiseConv2D(3, padding="same") if deep else layers.Conv2D(8, 1)
        kind.name = f"block{at}_second"
        x = layers.ReLU(name=f"block{at}_relu")(kind(x))
    made = bring.bring(bring.of_model(keras.Model(start, x), "n"), (3, 16, 16), "n", check=False)
    assert [stage["block"] for stage in made.spec.model["stages"]] == ["block", "block_2"]
    assert "of the original" not in str(made.files)


def test_names_of_applications() -> None:
    with pytest.raises(SpecError, match="has no `ResNet49`"):
        bring.opened("keras:ResNet49")
    network = bring.opened("keras:MobileNet(alpha=0.25, classes=7)")
    assert network.shape == (3, 224, 224)
    made = bring.bring(network, (3, 224, 224), "mobile", check=False)
    assert made.graph.outputs[0][1][0].type.shape == (7,)


def test_a_normalization_that_was_adapted_is_written_with_its_count(tmp_path: Path) -> None:
    """Keras keeps how many examples it saw as a whole number, which no weight file holds."""
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(0).normal(2.0, 3.0, (4, 8, 8, 3)))
    model = keras.Sequential([keras.Input((8, 8, 3)), normal, layers.Conv2D(2, 3)])
    made = resspec.import_model(model)
    made.save(tmp_path / "mine")
    assert {one.dtype.name for one in made.weights.values()} == {"float32"}
    weights = tmp_path / "mine" / "weights.safetensors"
    built = resspec.build(str(tmp_path / "mine" / f"{made.name}.yaml"), weights=weights)
    assert built is not None
