"""Training steps: the same loss curve and the same weights, step after step."""

from __future__ import annotations

import pytest

from resspec import api
from resspec.ir import Graph
from resspec.parity import Options, Report, compare, report, runner

pytest.importorskip("torch")
pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def smooth() -> Graph:
    """A narrow ResNet-10 on 32×32 images without a kink: no mask can flip."""
    short = [f"stages.{stage}.depth=1" for stage in range(4)]
    narrow = [f"stages.{stage}.width={16 + 8 * stage}" for stage in range(4)]
    overrides = [*short, *narrow, "input=[3,32,32]", "defaults={act: softplus}"]
    return api.load("resnet18", overrides=overrides).graph


def trained(graph: Graph, steps: int, lr: float) -> Report:
    sgd = {"name": "sgd", "lr": lr, "momentum": 0.9}
    options = Options(("train",), ("float64",), batch=8, steps=steps, optimizer=sgd)
    return compare(graph, [runner("torch"), runner("tensorflow")], options)


def errors(found: Report) -> dict[str, float]:
    assert found.ok, report.text(found.to_json())
    return {one.quantity: one.error for one in found.checks}


def test_ten_steps_of_sgd_with_momentum(smooth: Graph) -> None:
    assert {node.op.NAME for node in smooth.nodes} >= {"softplus", "max_pool"}
    assert "relu" not in {node.op.NAME for node in smooth.nodes}
    run = trained(smooth, 10, lr=2.0)
    assert run.moved is not None
    assert run.moved > 0.05, "weights that stay where they are say nothing"
    found = errors(run)
    assert found["weights after 1 step"] <= 1e-12
    assert found["weights"] <= 1e-9
    assert found["losses"] <= 1e-9


@pytest.mark.slow
def test_fifty_steps_of_sgd_with_momentum(smooth: Graph) -> None:
    run = trained(smooth, 50, lr=0.5)
    assert run.moved is not None
    assert run.moved > 0.05
    assert errors(run)["weights"] <= 1e-8
