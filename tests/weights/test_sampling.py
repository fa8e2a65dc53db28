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
    found = np.empty(len(q))
    sampling._normal(found, q / sampling.UNIT, 1.0)
    assert np.abs(found - exact).max() < 1e-6


@pytest.mark.parametrize("wrong", [0.0, 1e-15, -1e-14, 1e-14])
def test_no_logarithm_shows_in_the_bits(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library's may be off in its last bits; the series alone decides then."""
    out = np.empty((200_000,), np.float32)
    log = np.log
    monkeypatch.setattr(np, "log", lambda x: log(x) * (1 + wrong))
    drawn = sampling.normal("w", 0, "a", out.shape, 0.037, out).copy()
    monkeypatch.setattr(np, "log", sampling._log)
    assert drawn.tobytes() == sampling.normal("w", 0, "a", out.shape, 0.037, out).tobytes()
    whole = sampling.normal("w", 0, "a", out.shape, 0.037)
    assert drawn.tobytes() == whole.astype(np.float32).tobytes()


def test_what_is_near_a_tie_is_computed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were every logarithm doubted, all of the tails would come from the series: the same."""
    out = np.empty((200_000,), np.float32)
    drawn = sampling.normal("w", 0, "a", out.shape, 0.037, out).copy()
    monkeypatch.setattr(sampling, "LOG_ERROR", 0.5)
    monkeypatch.setattr(np, "log", lambda x: 2 * sampling._log(x))
    assert drawn.tobytes() == sampling.normal("w", 0, "a", out.shape, 0.037, out).tobytes()


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
