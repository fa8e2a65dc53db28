"""Networks without parameters, or with some that no output depends on: parity compares what is."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from tests.builds.twins import agree, graph, report

HEAD = "model: nop\ninput: [3, 8, 8]\n"
WITHOUT = {
    "one activation": "stem: [relu]",
    "no layer at all": "stem: []",
    "no stem": "",
    "outputs that are the input": "stem: [relu]\noutputs: {a: input, b: stem, c: stem}",
    "a pyramid of the input": "stem: [relu]\noutputs: {a: {from: [input, stem, input]}}",
    "pooling alone": "stem: [global_avg_pool, flatten]",
    "dropout alone": "stem: [{dropout: {rate: 0.5}}]",
}
UNMOVED = {
    "a constant zero after them": "stem: [{conv: {out_channels: 4, kernel_size: 3}}, {scale: "
    "{value: 0.0}}]",
    "statistics that no output needs": "stem: [norm, {scale: {value: 0.0}}]",
    "an activation that is off": "stem: [{conv: {out_channels: 4, kernel_size: 3}}, {shift: "
    "{value: -1.0e30}}, relu]",
}


@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT)
def test_a_network_without_parameters_is_compared_in_every_mode(text: str, tmp_path: Path) -> None:
    found = agree(f"{HEAD}{text}\n", tmp_path)
    assert found.params == 0
    quantities = {check.quantity for check in found.checks} - {"outputs at a second size"}
    assert quantities == {"outputs", "training outputs", "losses"}
    assert found.moved is None


@pytest.mark.parametrize("text", UNMOVED.values(), ids=UNMOVED)
def test_parameters_that_get_no_gradient_are_compared(text: str, tmp_path: Path) -> None:
    found = agree(f"{HEAD}{text}\n", tmp_path)
    assert {"gradients", "weights"} <= {check.quantity for check in found.checks}


def test_the_report_says_that_there_is_nothing_to_train(tmp_path: Path) -> None:
    from resspec.parity.report import text

    found = text(report(f"{HEAD}stem: [relu]\n", tmp_path).to_json())
    assert "before the last; there are no weights" in found


def test_decay_moves_a_parameter_that_no_output_depends_on_alike(tmp_path: Path) -> None:
    from resspec.parity.compare import Options, compare
    from tests.builds.twins import runners

    rule = {"name": "adamw", "lr": 0.1, "weight_decay": 0.5}
    options = Options(modes=("train",), optimizer=rule, steps=2)
    found = compare(graph(f"{HEAD}{UNMOVED['a constant zero after them']}\n", tmp_path), runners(),
                    options)  # fmt: skip
    assert found.ok
    assert found.moved is not None
    assert found.moved > 0.01


def test_float32_is_judged_without_parameters_too(tmp_path: Path) -> None:
    from resspec.parity.compare import Options, compare
    from tests.builds.twins import runners

    options = Options(modes=("eval", "grad", "train"), dtypes=("float64", "float32"))
    found = compare(graph(f"{HEAD}stem: [sigmoid]\n", tmp_path), runners(), options)
    assert found.ok
    assert {check.dtype for check in found.checks} == {"float64", "float32"}


def test_several_steps_without_parameters(tmp_path: Path) -> None:
    assert report(f"{HEAD}stem: [relu]\n", tmp_path, steps=3).ok


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_an_optimiser_of_nothing_takes_its_steps(backend: str, tmp_path: Path) -> None:
    import numpy as np

    import resspec
    from resspec import backend as backends

    model = resspec.build(graph(f"{HEAD}stem: [relu]\n", tmp_path), backend)
    optimizer = resspec.optimizer("sgd", model, lr=0.1, momentum=0.9)
    x = np.ones((2, 3, 8, 8), np.float32)
    train = backends.get(backend).training().step
    first, second = (train(model, optimizer, x)[0] for _ in range(2))
    assert first == second > 0
