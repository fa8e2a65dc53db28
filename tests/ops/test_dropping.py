"""Drop-out and drop path while training: what is dropped, and how the rest is scaled."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

pytest.importorskip("torch")

from resspec import backend as backends
from resspec.weights import example, randomise
from tests.ops.cases import VECTOR, Case, build
from tests.ops.running import live, outputs


@pytest.mark.parametrize("backend", [x for x in backends.names() if find_spec(x)])
@pytest.mark.parametrize(
    ("name", "feed", "axes"),
    [
        ("dropout", (), ()),
        ("dropout", VECTOR, ()),
        ("drop_path", (), (1, 2, 3)),
        ("drop_path", VECTOR, (1,)),
        ("channel_dropout", (), (2, 3)),
    ],
)
def test_dropped(name: str, feed: tuple, axes: tuple[int, ...], backend: str) -> None:
    case = Case({"rate": 0.25}, feeds=(feed,))
    graph, _ = build(name, case)
    model = live(backends.get(backend), graph, randomise(graph), "float64")
    x = example((400, *case.shape)).astype(np.float64)
    (plain,), (dropped,) = outputs(model, x), model.forward(x, training=True).popitem()[1]
    ratio = dropped / plain
    kept = ratio != 0
    np.testing.assert_allclose(ratio[kept], 1 / 0.75, rtol=1e-12)
    assert 0.68 < kept.mean() < 0.82
    together = {
        way: (kept.all(way) | ~kept.any(way)).all() for way in [(1, 2, 3), (2, 3)] if kept.ndim == 4
    } or {(1,): (kept.all(1) | ~kept.any(1)).all()}
    for way, whole in together.items():  # what is dropped in one, with what is in it
        assert whole == (bool(axes) and {*way} <= {*axes})
