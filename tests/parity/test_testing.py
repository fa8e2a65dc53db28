"""`resspec.testing.assert_same`, as users' tests call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, weights
from resspec.diagnostics import SpecError
from resspec.testing import assert_same
from tests import specs


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return specs.write(tmp_path)


def built(spec: str, name: str, dtype: str = "float64", seed: int = 1) -> Any:
    pytest.importorskip(name)
    graph = api.load(spec).graph
    return api.build(graph, name, dtype=dtype, weights=weights.randomise(graph, seed))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_models_of_three_frameworks_are_the_same(spec: str, dtype: str) -> None:
    torch, tensorflow, jax = (built(spec, name, dtype) for name in ("torch", "tensorflow", "jax"))
    assert_same(torch, tensorflow, spec)
    assert_same(tensorflow, jax, spec)
    assert_same(torch, jax, spec, input=(3, 12, 10))


def test_a_function_is_compared_in_its_outputs(spec: str) -> None:
    model = built(spec, "torch")
    run = backend.get("torch").runtime().forward
    assert_same(model, lambda x: run(model, x)[0]["out"][0], spec)
    with pytest.raises(AssertionError, match=r"b gives 2×\d+ for `out`, and \w+ 2×\d+"):
        assert_same(model, lambda x: run(model, x)[0]["out"][0][:, :-1], spec)
    with pytest.raises(TypeError, match="neither a model nor a function"):
        assert_same(model, 5, spec)


def test_what_is_not_the_specs_is_told(spec: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = built(spec, "torch").eval()
    assert_same(model, lambda x: model(torch.from_numpy(x).double()), spec)  # keeps gradients
    other = specs.write(tmp_path, name="other.yaml", text=specs.TINY + "outputs: {a: stem}\n")
    with pytest.raises(AssertionError, match="a gives nothing for `a`"):
        assert_same(model, model, other)
    for wrong in ({"batch": 0}, {"input": (3, 8)}, {"input": (3, -1, 8)}):
        with pytest.raises(ValueError, match=r"batch is 0|channels, height and width"):
            assert_same(model, model, spec, **wrong)


def test_a_model_may_be_wrapped(spec: str) -> None:
    torch = pytest.importorskip("torch")
    model = built(spec, "torch")
    assert_same(torch.nn.DataParallel(model), model, spec)
    assert_same(model, torch.compile(model, backend="eager"), spec)
    other = torch.nn.Sequential(model, torch.nn.Softmax(1))
    with pytest.raises(AssertionError, match="output `out` differs"):
        assert_same(model, other, spec)


@pytest.mark.parametrize(
    "given", [None, "a", [[None] * 5] * 2, np.zeros((2, 5), complex), (np.zeros((2, 5)),)]
)
def test_what_a_function_gives_must_be_numbers(spec: str, given: Any) -> None:
    model = built(spec, "torch")
    with pytest.raises(TypeError, match=r"a function gives an? \w+"):
        assert_same(lambda x: given, model, spec)
    for wrong in ({"batch": "2"}, {"batch": 1.5}, {"seed": "x"}):
        with pytest.raises(SpecError, match="is a whole number"):
            assert_same(model, model, spec, **wrong)


def test_two_models_of_another_spec_are_not_the_specs(spec: str, tmp_path: Path) -> None:
    from tests.specs import TINY

    longer = TINY.replace("depth: 1", "depth: 2")
    assert longer != TINY
    other = specs.write(tmp_path, name="longer.yaml", text=longer)
    model, second = built(other, "torch"), built(other, "tensorflow")
    assert_same(model, second, other)
    with pytest.raises(AssertionError, match="they agree, and differ from"):
        assert_same(model, second, spec)
    short = built(spec, "torch")
    with pytest.raises(AssertionError, match=r"a is no \w+: it has no `stages\.0\.1\."):
        assert_same(short, built(spec, "tensorflow"), other)
    run = backend.get("torch").runtime().forward
    assert_same(lambda x: run(short, x)[0]["out"][0], short, spec)


def test_frozen_parameters_have_no_gradients_to_compare(spec: str) -> None:
    frozen = built(spec, "torch")
    for parameter in frozen.parameters():
        parameter.requires_grad_(False)
    assert_same(built(spec, "torch"), frozen, spec)


def test_the_first_weight_that_differs_is_named(spec: str) -> None:
    with pytest.raises(AssertionError, match=r"first weight that differs: stem\.conv1\.weight"):
        assert_same(built(spec, "torch"), built(spec, "torch", seed=2), spec)


def test_the_first_layer_that_departs_is_named(spec: str) -> None:
    wrong = built(spec, "torch")
    path = next(path for path, one in wrong.named_modules() if path.endswith("conv2"))
    layer = wrong.get_submodule(path)
    layer.register_forward_hook(lambda module, given, y: y * 1.001)
    for other in ("torch", "jax"):
        with pytest.raises(AssertionError) as caught:
            assert_same(built(spec, other), wrong, spec)
        assert f"first layer that departs from the spec, in b: {path} (conv2d) at " in str(caught.value)  # fmt: skip
    keras = pytest.importorskip("keras")
    model = built(spec, "tensorflow", "float32")
    name = path.replace(".", "-")
    kept = model.get_layer(name)
    kept.call = lambda x, call=kept.call: keras.ops.multiply(call(x), 1.5)
    with pytest.raises(AssertionError, match=rf"in a: {path} \(conv2d\)"):
        assert_same(model, built(spec, "torch", "float32"), spec)


def test_gradients_are_compared(spec: str) -> None:
    import torch

    wrong = built(spec, "torch")
    path = next(path for path, one in wrong.named_modules() if path.endswith("conv1"))
    weight = wrong.get_submodule(path).weight
    weight.register_hook(lambda gradient: gradient * 2)
    assert_same(built(spec, "torch"), wrong, spec, gradients=False)
    with pytest.raises(AssertionError, match=f"the gradient of `{path}.weight` differs"):
        assert_same(built(spec, "torch"), wrong, spec)
    assert isinstance(weight, torch.nn.Parameter)
    assert np.isfinite(weight.detach().numpy()).all()
