"""`build` honours Keras' dtype policy: weights in float32, half precision between layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")

from resspec import api  # noqa: E402
from tests.builds.twins import graph  # noqa: E402

NET = """\
model: net
input: [4, 12, 12]
num_classes: 3
stem:
  - conv: {out_channels: 8, kernel_size: 3, stride: 2}
  - norm
  - act
  - std_conv2d: {out_channels: 8, kernel_size: 3, groups: 8}
  - group_norm: {groups: 2}
  - gelu
  - conv: {out_channels: 8, kernel_size: 3, groups: 2}
  - filter_response_norm
  - tlu
  - residual: {body: [{conv: {out_channels: 8, kernel_size: 1}}, layer_norm, layer_scale]}
  - max_pool: {kernel_size: 3, stride: 2}
  - scaled_std_conv2d: {out_channels: 8, kernel_size: 1}
  - simple_norm
  - evonorm_s0: {groups: 2}
  - grn
  - drop_path: {rate: 0.1}
head: classifier
"""
NORMS = """\
model: norms
input: [4, 6, 6]
stem: [NORM]
"""


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy(before)


# Keras' own writer of weights is behind NumPy here; of `.h5` it says that it is old.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_network_is_built_trained_saved_and_reloaded(policy: str, tmp_path: Path) -> None:
    model = api.build(graph(NET, tmp_path), "tensorflow")
    x = np.random.default_rng(0).normal(size=(4, 12, 12, 4)).astype(np.float32)
    own = keras.layers.Dense(3)(keras.Input((8,))).dtype
    assert own == policy.removeprefix("mixed_")
    assert model(x).dtype == model.output.dtype == own
    assert {one.dtype for one in model.trainable_variables} == {"float32"}

    before = [one.numpy() for one in model.trainable_variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(x, np.arange(4) % 3, batch_size=4, verbose=0)
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, model.trainable_variables, strict=True)
    ]
    assert any(moved)
    assert all(np.isfinite(one.numpy()).all() for one in model.variables if "float" in one.dtype)

    keras.mixed_precision.set_global_policy("float32")
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name, compile=False)
        assert loaded(x).dtype == own
        assert np.array_equal(loaded(x), model(x))


@pytest.mark.parametrize(
    "norm",
    ["simple_norm", "filter_response_norm", "{evonorm_s0: {groups: 2}}", "grn", "l2_normalize"],
)
def test_norms_compute_in_float32(norm: str, tmp_path: Path) -> None:
    text = NORMS.replace("NORM", norm)
    full, half = (
        api.build(graph(text, tmp_path), "tensorflow", dtype=d) for d in (None, "mixed_float16")
    )
    noise = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    for x in (1000 * noise, 1e-3 * noise, 0 * noise):  # squares beyond and below float16
        assert np.allclose(half(x), full(x), rtol=1e-2, atol=1e-2)


def test_a_dtype_that_is_asked_for_goes_before_the_policy(policy: str, tmp_path: Path) -> None:
    model = api.build(graph(NORMS.replace("NORM", "norm"), tmp_path), "tensorflow", dtype="float32")
    assert model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == policy
