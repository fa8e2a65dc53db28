"""Sizes that an op does not take, on every backend: a model that was built for another one refuses
them, and is right where the op's own shape rule says that it works."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, sizes
from resspec.ops.base import OPS
from tests.graphs import GraphBuilder
from tests.ops.cases import CASES, Case, build
from tests.properties.live import at

MORE = {
    "windows": [
        Case({"size": [1, 5]}, (3, 4, 10)),
        Case({"size": 2, "stride": [2, 3], "padding": 2}, (3, 6, 6)),
        Case({"size": 3, "stride": [3, 1]}, (3, 6, 7)),
        Case({"size": 5, "stride": 2}, (3, 7, 9)),
    ],
    "einsum": [
        Case({"pattern": "c y x -> c 1 (y x)", "sizes": {"x": 4}}, (3, 4, 4)),
        Case({"pattern": "c (y g) x -> (c g) y x", "sizes": {"g": 2}}, (3, 4, 6)),
    ],
    "crop": [Case({"top": 2, "left": 3}, (3, 9, 9), ((), (("subsample", {"stride": 2}),)))],
    "resize": [Case({"scale_factor": 0.5}, (3, 4, 4))],
}


def tried(case: Case) -> list[tuple[int, int]]:
    _, height, width = case.shape
    along = [(height, k) for k in (1, 2, 3, width + 1)] + [(k, width) for k in (1, 2, height + 1)]
    return [*along, (1, 1), (height + 3, width + 6), (2 * height, 2 * width)]


def refusing(name: str) -> list[tuple[Case, Any, dict[tuple[int, int], Any]]]:
    """Cases of an op that take any size but some, the first and all of MORE; each with two sizes
    that it refuses and one that it takes."""
    found: list[tuple[Case, Any, dict[tuple[int, int], Any]]] = []
    for case in [*MORE.get(name, []), *CASES[name]]:
        graph, _ = build(name, case)
        if sizes.of(graph).free:
            there = {size: at(graph, *size) for size in tried(case)}
            refused = [size for size in there if there[size] is None]
            taken = [size for size in there if there[size] is not None]
            if refused:
                kept = {size: there[size] for size in [refused[0], refused[-1], *taken[-1:]]}
                found.append((case, graph, kept))
    return found[: len(MORE.get(name, [])) + 1]


def shapes(one: Any, model: Any, x: Any) -> list[tuple[int, ...]] | None:
    """Of the outputs; None where the model refuses, which it says in a line."""
    try:
        return [value.shape[1:] for value in one.runtime().forward(model, x)[0]["out"]]
    except Exception as problem:  # each framework has its own
        told = str(problem).strip().splitlines()
    assert len(told) == 1, told
    return None


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_a_size_that_leaves_nothing_is_refused(name: str) -> None:
    pytest.importorskip(name)
    one, refused, taken = backend.get(name), 0, 0
    for kind in CASES:
        for case, graph, there in refusing(kind):
            if one.check(graph):
                continue
            model = api.compile_for(graph, name).running().model
            for size, expected in there.items():
                x = np.ones((2, case.shape[0], *size), np.float32)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of what is empty
                    found = shapes(one, model, x)
                if expected is None:
                    assert found is None, (kind, case, size)
                    refused += 1
                else:
                    assert found == [v.type.shape for v in expected.outputs[0][1]], (kind, case)
                    taken += 1
    assert refused > 40
    assert taken > 20


def test_what_is_fed_is_told_what_it_must_be() -> None:
    graph, _ = build("crop", Case({"top": 1, "left": 2}, (6, 7, 9)))
    for name in ("torch", "jax"):
        pytest.importorskip(name)
        model = api.compile_for(graph, name).running().model
        with pytest.raises(ValueError, match=r"^made for inputs of at least 2x3, not 7x2"):
            backend.get(name).runtime().forward(model, np.ones((2, 6, 7, 2), np.float32))


@pytest.mark.parametrize("names", [("x",), ("x", "z")])
def test_a_keras_model_by_itself_names_the_axis_that_a_product_does_not_part(
    names: tuple[str, ...],
) -> None:
    pytest.importorskip("tensorflow")
    inputs = ", ".join(f"c (g{k} y) {name}" for k, name in enumerate(names))
    output = f"c ({' '.join(f'g{k}' for k in range(len(names)))} y) ({' '.join(names)})"
    known = {f"g{k}": 2 for k in range(len(names))}
    build = GraphBuilder((3, 4, 4))
    op = OPS["einsum"](pattern=f"{inputs} -> {output}", sizes=known)
    graph = build.graph(build.op("einsum1", op, *[build.input] * len(names)))
    model = api.compile_for(graph, "tensorflow").running().model
    assert model(np.ones((2, 6, 5, 3), np.float32)).shape[0] == 2
    with pytest.raises(
        ValueError, match=r"^einsum1-fits1?: the height must be a multiple of 2, not 5$"
    ):
        model(np.ones((2, 5, 4, 3), np.float32))
