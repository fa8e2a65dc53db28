"""Live Flax NNX models: what NNX, JAX and optax do with models applies to them."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

import resspec  # noqa: E402
from resspec import api, backend, optim, weights  # noqa: E402
from tests import specs  # noqa: E402
from tests.commands import command, python  # noqa: E402

if "jax" not in backend.names():
    pytest.skip("the backend jax is not installed", allow_module_level=True)

SPEC = specs.TINY.replace("depth: 1, width: 4", "depth: 2, width: 4").replace(
    "head: classifier", "head: {classifier: {dropout: 0.5}}"
)
X = weights.example((4, 3, 8, 8)).astype(np.float32)
NHWC = X.transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return specs.write(tmp_path_factory.mktemp("spec"), SPEC, "tiny.yaml")


@pytest.fixture
def model(spec: str) -> Any:
    return resspec.build(spec, "jax", seed=3)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_model_is_in_training_mode_until_it_is_told_otherwise(model: Any) -> None:
    before = np.array(model.stem.norm1.mean)
    model(jnp.asarray(NHWC))
    assert not np.array_equal(model.stem.norm1.mean, before)
    model.eval()
    np.testing.assert_array_equal(model(NHWC), model(NHWC))


def test_jit_grad_vmap_split_and_merge(model: Any) -> None:
    model.eval()
    wanted = model(NHWC)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(nnx.jit(lambda m, x: m(x))(model, NHWC), wanted, **close)
    one_by_one = nnx.vmap(lambda m, x: m(x[None])[0], in_axes=(None, 0))
    np.testing.assert_allclose(one_by_one(model, jnp.asarray(NHWC)), wanted, **close)
    graph, state = nnx.split(model)
    found = jax.jit(lambda state, x: nnx.merge(graph, state)(x))(state, NHWC)
    np.testing.assert_allclose(found, wanted, **close)
    gradients = nnx.grad(lambda m: m(NHWC).sum())(model)
    assert np.any(gradients["stem"]["conv1"]["kernel"][...])


def test_an_optimizer_of_nnx_takes_defined_and_optax_steps(model: Any, spec: str) -> None:
    @nnx.jit
    def step(model: Any, optimizer: Any) -> Any:
        def loss(model: Any) -> Any:
            labels = jnp.arange(len(NHWC))
            return optax.softmax_cross_entropy_with_integer_labels(model(NHWC), labels).mean()

        found, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return found

    plain = optax.sgd(0.1, momentum=0.9)
    other = resspec.build(spec, "jax", seed=3)
    ours = resspec.optimizer("sgd", model, lr=0.1, momentum=0.9)
    theirs = nnx.Optimizer(other, plain, wrt=nnx.Param)
    losses = [(float(step(model, ours)), float(step(other, theirs))) for _ in range(3)]
    assert losses[-1][0] < losses[0][0]
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-5)


def test_bias_corrections_are_right_in_single_precision() -> None:
    from resspec_jax.training import MATHS

    rule = optim.make("adam")
    found = rule.scalars(1.0, jnp.asarray(0.0, jnp.float32), MATHS)
    assert float(found["second"]) == pytest.approx(0.001, rel=1e-6)
    none = optim.make("adam", betas=(0.0, 0.9)).scalars(1.0, jnp.zeros(()), MATHS)
    assert float(none["first"]) == 1.0


def test_double_precision_is_not_left_on(spec: str) -> None:
    model = resspec.build(spec, "jax", dtype="float64")
    runtime, training = backend.get("jax").runtime(), backend.get("jax").training()
    (found,) = runtime.forward(model, X)[0]["out"]
    assert found.dtype == np.float64
    _, model, _ = training.step(model, resspec.optimizer("adamw", model), X)
    assert model.stem.conv1.kernel.dtype == jnp.float64
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32


def test_weights_go_over_between_frameworks_and_wrappers(model: Any, spec: str) -> None:
    class Wrapper(nnx.Module):
        def __init__(self, network: Any) -> None:
            self.network = network

    wanted = resspec.read_weights(model)
    twins = (nnx.clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    for one in (Wrapper(model), nnx.merge(*nnx.split(model)), *twins):
        assert same(resspec.read_weights(one), wanted)
    paths = nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.RngState)))
    flat = {".".join(map(str, path)): one[...] for path, one in paths}
    tree = nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngState)))
    for given in (flat, nnx.state(model), tree):
        assert same(resspec.read_weights(resspec.build(spec, "jax", weights=given)), wanted)


def linen_net() -> Any:
    """The spec's network as Linen's users write it."""
    from flax import linen

    class Block(linen.Module):
        width: int
        stride: int = 1

        @linen.compact
        def __call__(self, x: Any) -> Any:
            def norm() -> Any:
                return linen.BatchNorm(use_running_average=True)

            step = (self.stride, self.stride)
            y = linen.Conv(self.width, (3, 3), step, padding=1, use_bias=False)(x)
            y = linen.relu(norm()(y))
            y = norm()(linen.Conv(self.width, (3, 3), padding=1, use_bias=False)(y))
            if self.stride > 1:
                x = norm()(linen.Conv(self.width, (1, 1), step, use_bias=False)(x))
            return linen.relu(x + y)

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            x = linen.Conv(4, (3, 3), padding=1, use_bias=False)(x)
            x = linen.relu(linen.BatchNorm(use_running_average=True)(x))
            for width, stride in ((4, 1), (4, 1), (8, 2)):
                x = Block(width, stride)(x)
            return linen.Dense(5)(x.mean((1, 2)))

    return Net()


def linen_tree(net: Any) -> Any:
    shapes = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    draw = np.random.default_rng(0).uniform
    return jax.tree.map(lambda one: draw(0.1, 0.5, one.shape).astype(np.float32), shapes)


def test_a_linen_tree_is_ported_by_order_and_shape(spec: str) -> None:
    from resspec.port.transfer import without_code
    from resspec.weights.given import arrays_of

    net = linen_net()
    tree = linen_tree(net)
    stored, _ = next(without_code(arrays_of(tree), api.load(spec).graph))
    model = resspec.build(spec, "jax", weights=stored.weights)
    model.eval()
    np.testing.assert_allclose(model(NHWC), net.apply(tree, NHWC), rtol=1e-4)


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_weights_go_into_a_linen_tree_like_another_and_back(
    spec: str, tmp_path: Path, ending: str
) -> None:
    from flax.traverse_util import flatten_dict, unflatten_dict
    from safetensors.numpy import load_file, save_file

    net = linen_net()
    first, ours = tmp_path / f"first{ending}", tmp_path / "ours.safetensors"
    flat = flatten_dict(linen_tree(net), sep="/")
    save_file(flat, first) if ending == ".safetensors" else np.savez(first, **flat)
    model = resspec.build(spec, "jax", weights=weights.randomise(api.load(spec).graph))
    model.eval()
    resspec.save_weights(model, ours)
    out = tmp_path / f"tree{ending}"
    words = ("port", ours, "--to", "torch", "--like", first, "--spec", spec, "--out", out)
    assert command(*words) == 1  # equal shapes, told apart by order alone
    assert not out.exists()
    assert command(*words, "--trust-order") == 0
    found = load_file(out) if ending == ".safetensors" else dict(np.load(out))
    assert {name: one.shape for name, one in found.items()} == {
        name: one.shape for name, one in flat.items()
    }
    np.testing.assert_allclose(
        net.apply(unflatten_dict(found, sep="/"), NHWC), model(NHWC), rtol=1e-4
    )
    back = tmp_path / "back.safetensors"
    words = ("port", out, "--from", "torch", "--spec", spec, "--out", back, "--trust-order")
    assert command(*words) == 0
    assert same(load_file(back), load_file(ours))


def test_weights_go_to_torch_and_back_by_file(model: Any, spec: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    wanted = resspec.read_weights(model)
    there = resspec.build(spec, "torch", weights=model)
    resspec.save_weights(there, tmp_path / "w.safetensors")
    back = resspec.build(spec, "jax", weights=tmp_path / "w.safetensors")
    assert same(resspec.read_weights(back), wanted)


def test_what_is_drawn_depends_on_the_key_alone(model: Any) -> None:
    runtime = backend.get("jax").runtime()
    frozen = nnx.clone(model)
    outputs = [runtime.forward(frozen, X, True, key)[0]["out"][0] for key in (1, 2, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[2])
    assert not np.array_equal(outputs[0], outputs[1])
    counts = [one[...] for _, one in nnx.to_flat_state(nnx.state(frozen, nnx.RngCount))]
    assert counts == [0]  # the model's own source is as it was


def test_a_folded_network_refuses_to_be_trained(spec: str) -> None:
    model = resspec.build(spec, "jax", optimize="inference")
    with pytest.raises(RuntimeError, match="for inference only"):
        model.train()


@pytest.mark.parametrize(
    ("options", "code"), [({"device": "moon"}, "no-device"), ({"device": "cpu:9"}, "no-device")]
)
def test_a_device_that_is_not_there(spec: str, options: dict[str, str], code: str) -> None:
    with pytest.raises(resspec.SpecError) as caught:
        resspec.build(spec, "jax", **options)
    assert caught.value.diagnostics[0].code == code


def test_sizes_that_a_network_does_not_take_are_refused(tmp_path: Path) -> None:
    fixed = "model: m\ninput: [3, 8, 8]\nstem: [flatten, {linear: {out_features: 2}}]\n"
    model = resspec.build(specs.write(tmp_path, fixed), "jax")
    with pytest.raises(ValueError, match="made for inputs of 8x8, not 9x8"):
        model(jnp.zeros((1, 9, 8, 3)))


SHARDED = """\
import sys, warnings
warnings.simplefilter("error")
import jax, numpy as np, optax, resspec
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec
assert len(jax.devices()) == 8
mesh = jax.make_mesh((8,), ("data",))
x = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
labels = np.arange(16) % 5

@nnx.jit
def step(model, optimizer, x, labels):
    def loss(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), labels).mean()
    found, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return found

def trained(sharded):
    model = resspec.build(sys.argv[1], "jax", seed=3)
    model.set_attributes(deterministic=True)  # masks differ
    optimizer = resspec.optimizer("sgd", model, lr=0.1, momentum=0.9)
    data = (x, labels)
    if sharded:
        everywhere = NamedSharding(mesh, PartitionSpec())
        nnx.update(model, jax.device_put(nnx.state(model), everywhere))
        nnx.update(optimizer, jax.device_put(nnx.state(optimizer), everywhere))
        data = jax.device_put(data, NamedSharding(mesh, PartitionSpec("data")))
    losses = [float(step(model, optimizer, *data)) for _ in range(3)]
    if sharded:
        assert len(model.stem.conv1.kernel.sharding.device_set) == 8
    return losses, resspec.read_weights(model)

(one, first), (two, second) = trained(False), trained(True)
np.testing.assert_allclose(one, two, rtol=1e-5)
for name in first:  # statistics, too: a batch norm sees the whole batch
    np.testing.assert_allclose(first[name], second[name], rtol=2e-4, atol=1e-5, err_msg=name)
"""


@pytest.mark.slow
def test_data_parallel_training_is_that_on_one_device(spec: str) -> None:
    flags = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"}
    python("-c", SHARDED, spec, env=flags)


def test_small_networks_are_the_same_on_three_backends(spec: str) -> None:
    for name in ("torch", "tensorflow"):
        pytest.importorskip(name)
    from resspec.parity import Options, compare, runner

    found = compare(
        api.load(spec).graph,
        [runner(name) for name in ("torch", "jax", "tensorflow")],
        Options(modes=("eval", "grad", "train"), optimizer={"name": "adamw"}),
    )
    assert found.ok, found.departure
