"""The keyed generator: exact bits, right distribution, nothing shared between tensors."""

from __future__ import annotations

import hashlib
import statistics

import numpy as np
import pytest

from resspec import api
from resspec.weights import draw, sampling


def test_bits_never_change() -> None:
    """A seed means the same weights for ever and everywhere; these bits are a promise."""
    normal = sampling.normal("weights", 0, "stem.conv1.weight", (1000,))
    uniform = sampling.uniform("weights", 0, "stem.conv1.weight", (1000,))
    assert hashlib.sha256(normal.astype("<f8").tobytes()).hexdigest()[:16] == "a5015522e508cf51"
    assert hashlib.sha256(uniform.astype("<f8").tobytes()).hexdigest()[:16] == "b536fe35579f8286"


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("cifar_resnet20", "a90c655af316baf1"),
        ("mobilenet_v2", "d9519791d65afaf9"),
        ("densenet121", "d508be9b3c466a10"),
    ],
)
def test_a_networks_first_weights_never_change(name: str, bits: str) -> None:
    found = hashlib.sha256()
    for at, array in draw(api.load(name).graph, seed=3).items():
        found.update(at.encode() + array.astype("<f4").tobytes())
    assert found.hexdigest()[:16] == bits


@pytest.mark.parametrize("other", [("w", 0, "b"), ("w", 1, "a"), ("v", 0, "a")])
def test_purpose_seed_and_name_each_matter(other: tuple[str, int, str]) -> None:
    one = sampling.normal("w", 0, "a", (1000,))
    two = sampling.normal(*other, (1000,))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1
    assert not np.isin(one, two).any()


def test_a_longer_tensor_begins_like_a_shorter_one() -> None:
    """So the size of a chunk cannot show in the result."""
    size = sampling.CHUNK
    long = sampling.normal("w", 0, "a", (size + 3,))
    assert (sampling.normal("w", 0, "a", (size - 1,)) == long[: size - 1]).all()


def test_shape_is_row_major_and_empty_and_scalar_work() -> None:
    flat = sampling.uniform("w", 0, "a", (6,))
    assert (sampling.uniform("w", 0, "a", (2, 3)) == flat.reshape(2, 3)).all()
    assert sampling.normal("w", 0, "a", ()).shape == ()
    assert sampling.normal("w", 0, "a", (0, 3)).shape == (0, 3)


def test_normal_quantiles_against_the_standard_library() -> None:
    q = np.concatenate([np.linspace(-0.4999, 0.4999, 999), [-0.5 + 2.0**-33, 0.5 - 2.0**-33]])
    exact = [statistics.NormalDist().inv_cdf(0.5 + value) for value in q]
    assert np.abs(sampling._inverse_normal(q) - exact).max() < 1e-6


def test_logarithm_against_numpy() -> None:
    x = np.concatenate([np.linspace(1e-9, 0.5, 1001), 2.0 ** -np.arange(1, 34)])
    assert np.abs(sampling._log(x) / np.log(x) - 1).max() < 1e-15


def test_distributions() -> None:
    x = sampling.normal("w", 0, "a", (200_000,))
    assert abs(x.mean()) < 0.01
    assert abs(x.var() - 1) < 0.01
    assert abs((x**3).mean()) < 0.03
    assert abs((x**4).mean() - 3) < 0.06
    u = sampling.uniform("w", 0, "a", (200_000,))
    assert abs(u.mean()) < 0.01
    assert abs(u.var() - 1 / 3) < 0.005
    assert -1 < u.min() < -0.999
    assert 0.999 < u.max() < 1
