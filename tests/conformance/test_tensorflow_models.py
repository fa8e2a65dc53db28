"""Whole models of the TensorFlow backend: wiring, reuse, training, files, devices."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import torch
from resspec_tensorflow import BACKEND

from resspec import api
from resspec.ir import Graph, Value
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.ops.merge import Add, Concat, Mul
from resspec.ops.norm import BatchNorm
from resspec.ops.pool import MaxPool
from resspec.ops.shape import Split
from resspec.running import Running
from resspec.weights import draw, example, randomise
from tests import specs
from tests.commands import python
from tests.graphs import GraphBuilder
from tests.ops.running import error, gradients, live, run, tensors, together
from tests.refused import codes

# Keras' own writer of weights is behind NumPy here.
saves = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TINY = """\
model: tiny
doc: A stem, three residual blocks, a head.
input: [3, 16, 12]
num_classes: 5
stem: stem_7x7
block: {bottleneck: {groups: 2, base_width: 64}}
stages:
  - {depth: 1, width: 4}
  - {depth: 3, width: 8, stride: 2}
head: classifier
"""


def shared(pooled: bool) -> Graph:
    """A region and a padded convolution used twice, parts of unequal size, a pyramid."""
    build = GraphBuilder((4, 9, 8), "shared_net")

    def tower(x: Value) -> Value:
        with build.region("tower", "tower", x):
            x = build.op("conv1", Conv2d(out_channels=4, kernel_size=(3, 3)), x)
            x = build.op("act1", Relu(), build.op("norm1", BatchNorm(), x))
            build.give(x)
        return x

    first = tower(build.input)
    window = {"kernel_size": (3, 3), "stride": (2, 2)} if pooled else {"kernel_size": (3, 3)}
    second = tower(build.op("pool1", MaxPool(**window), first))
    strided = Conv2d(out_channels=4, kernel_size=(3, 3), stride=(2, 2))
    conv = build.op("conv1", strided, second)
    late = build.op("act1", Relu(), build.op("conv1", strided, conv))
    early = build.op("act1", Relu(), conv)
    one, three = build.ops("split1", Split(sizes=(1, 3)), early)
    concat = build.op("concat1", Concat(), three, one, three)
    product = build.op("mul1", Mul(), concat, one)
    total = build.op("add1", Add(), product, concat, product)
    return build.graph(out=late, maps=[first, second, total])


def made(graph: Graph, dtype: str = "float64") -> tuple[Running, dict[str, Any], Any]:
    weights = randomise(graph)
    x = example((4, *graph.input.type.shape)).astype(dtype)
    return live(BACKEND, graph, weights, dtype), weights, x


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    graph: Graph = specs.load(tmp_path_factory.mktemp("spec"), TINY).graph
    return graph


@pytest.mark.parametrize("case", ["tiny", "shared at one size", "shared at two sizes"])
@pytest.mark.parametrize("training", [False, True])
def test_is_the_reference_in_float64(case: str, training: bool, tiny: Graph) -> None:
    graph = tiny if case == "tiny" else shared(pooled=case.endswith("two sizes"))
    model, weights, x = made(graph)
    truth = tensors(graph, weights)
    expected = run(graph, truth, torch.tensor(x), training)
    found = model.forward(x, training)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert len(found[name]) == len(values)
        for a, b in zip(found[name], values, strict=True):
            assert error(a, b.detach()) <= 1e-12
    after = model.read()
    assert list(after) == list(graph.parameters())
    for name, tensor in truth.items():
        assert error(after[name], tensor.detach()) <= 1e-12
    wanted = gradients(graph, tensors(graph, weights), torch.tensor(x), training)
    got = model.load(weights).gradients(x, training)
    assert error(together(got), together(wanted)) <= 1e-12


def test_counts_and_names(tiny: Graph) -> None:
    live, *_ = made(tiny, "float32")
    model, source = live.model, live.source
    params = tiny.parameters().values()
    assert live.counts() == (
        sum(p.size for p in params if p.trainable),
        sum(p.size for p in params if not p.trainable),
    )
    layers = {layer.name for layer in model.layers}
    assert {node.path.replace(".", "-") for node in tiny.nodes} <= layers
    assert len({variable.name for variable in source.variables.values()}) == len(params)
    variables = [w for layer in model.layers for w in layer.weights]
    assert len(variables) == len(params)


def test_every_parameter_reaches_the_loss(tiny: Graph) -> None:
    model, _, x = made(tiny)
    found = model.gradients(x, training=True)
    assert all(np.abs(gradient).max() > 0 for gradient in found.values())


def test_users_settings_come_back(tiny: Graph) -> None:
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy().name
    model = made(tiny, "float64")[0].model
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before
    assert {variable.dtype for variable in model.variables} == {"float64"}
    assert model.inputs[0].dtype == "float64"


RELOAD = """\
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("resspec"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
assert all(type(layer).__module__.startswith("keras.src") for layer in model.layers)
x = np.load(sys.argv[2])
y = model(x)
legacy = keras.saving.load_model(sys.argv[1].replace(".keras", ".h5"))(x)
for a, b in zip(keras.tree.flatten(y), keras.tree.flatten(legacy), strict=True):
    assert np.array_equal(a, b)
y = y if isinstance(y, dict) else {"out": y}
np.savez(sys.argv[3], *[part for value in y.values() for part in (value if isinstance(value, list) else [value])])
"""


@saves
@pytest.mark.parametrize("case", ["tiny", "shared"])
def test_saved_model_reloads_where_resspec_is_absent(
    case: str, tiny: Graph, tmp_path: Path
) -> None:
    graph = tiny if case == "tiny" else shared(pooled=True)
    live, _, x = made(graph, "float32")
    for name in ("model.keras", "model.h5"):
        live.model.save(tmp_path / name)
    np.save(tmp_path / "x.npy", x.transpose(0, 2, 3, 1))
    python("-c", RELOAD, *(tmp_path / name for name in ("model.keras", "x.npy", "y.npz")))
    saved = np.load(tmp_path / "y.npz")
    wanted = [y for values in live.forward(x).values() for y in values]
    assert len(saved.files) == len(wanted)
    for name, y in zip(saved.files, wanted, strict=True):
        found = saved[name]
        assert error(found.transpose(0, 3, 1, 2) if found.ndim == 4 else found, y) <= 1e-6


@saves
def test_fit_pickle_and_export(tiny: Graph, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    live, _, x = made(tiny, "float32")
    weights = draw(tiny)  # as training starts: of weights for comparisons, some hardly move
    model = live.load(weights).model
    images, labels = x.transpose(0, 2, 3, 1), np.arange(4) % 5
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=False)
    history = model.fit(images, labels, epochs=3, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    moved = live.read()
    assert all(not np.array_equal(moved[name], weights[name]) for name in weights)

    expected = model(images).numpy()
    assert np.array_equal(pickle.loads(pickle.dumps(model))(images).numpy(), expected)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))  # owns what it serves with
    served = loaded.serve(images)
    assert error(served, expected) <= 1e-6


def test_grouped_convolution_has_a_gradient_in_a_graph(tiny: Graph) -> None:
    import tensorflow as tf

    live, _, x = made(tiny)
    model, images = live.model, tf.constant(x.transpose(0, 2, 3, 1))

    def step() -> list[Any]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    for eager, graph in zip(step(), tf.function(step)(), strict=True):
        assert error(graph, eager) <= 1e-12


def test_memory_of_every_gpu_grows_unless_somebody_has_settled_it() -> None:
    from resspec_tensorflow.frameworks import _grow

    def settle(card: str, grows: bool) -> None:
        if card == "used":
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        assert grows
        grown.append(card)

    grown: list[str] = []
    experimental = SimpleNamespace(set_memory_growth=settle)
    cards = {"GPU": ["first", "used", "third"]}
    _grow(SimpleNamespace(list_physical_devices=cards.get, experimental=experimental))
    assert grown == ["first", "third"]


@pytest.mark.parametrize("device", ["CPU:0", "/CPU:0", "/device:CPU:0", "cpu"])
def test_devices_have_tensorflows_names(device: str, tiny: Graph) -> None:
    model = BACKEND.runtime().instantiate(tiny, BACKEND.emit(tiny), device, "float32")
    assert model.variables[0].value.device.endswith("/device:CPU:0")


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "cuda:x", "", ":0", "gpu:²"])
def test_absent_device_is_an_error(device: str, tiny: Graph) -> None:
    source = BACKEND.emit(tiny)
    assert codes(BACKEND.runtime().instantiate, tiny, source, device, "float32") == ["no-device"]


@pytest.mark.slow
def test_a_network_deeper_than_pythons_stack(tmp_path: Path) -> None:
    """Keras descends through a network call by call."""
    text = "model: deep\ninput: [2, 4, 4]\nstem:\n  - repeat: 1200\n    layers: [softplus]\n"
    (tmp_path / "deep.yaml").write_text(text)
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        model = api.build(tmp_path / "deep.yaml", backend="tensorflow")
        assert len(model.layers) > 1200
    finally:
        sys.setrecursionlimit(before)
