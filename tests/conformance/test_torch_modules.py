"""Layers without parameters are modules, too: hooks, FX and `print` see every one of them, and an
activation or a sum works in place only where nothing else reads what it overwrites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from resspec import api, live  # noqa: E402
from resspec.api import compile_for  # noqa: E402
from resspec.passes.outputs import expose  # noqa: E402
from tests.builds.twins import graph  # noqa: E402

NET = """\
model: net
input: [4, 9, 9]
num_classes: 5
stem: stem_3x3
block: {basic: {attention: se}}
stages: [{depth: 1, width: 4}, {depth: 2, width: 8, stride: 2}]
head:
  - max_pool: {kernel_size: 3, stride: 2}
  - hard_swish
  - classifier
"""
FUNCTIONS = {"add", "mul", "flatten"}  # written as such by torchvision, too


def test_every_layer_is_a_module_that_hooks_see(tmp_path: Path) -> None:
    net = graph(NET, tmp_path)
    model = api.build(net)
    seen: list[str] = []
    for path, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, path=path: seen.append(path))
    model(torch.zeros(2, 4, 9, 9))
    layers = [node.path for node in net.nodes if node.op.NAME not in FUNCTIONS]
    assert seen == layers
    traced = torch.fx.symbolic_trace(model)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == layers
    names = {path.rpartition(".")[0] for path in model.state_dict()}
    assert names == {path.rpartition(".")[0] for path in net.parameters()}


CONV = "{conv: {out_channels: 4, kernel_size: 1}}"
PLACES = {
    "after a norm": (f"[{CONV}, norm, relu]", 1),
    "after a convolution": (f"[{CONV}, relu6]", 1),
    "after a sum": ("[{residual: {body: [norm]}}, silu]", 1),
    "of a positive slope": (f"[{CONV}, leaky_relu]", 1),
    "of a negative slope": (f"[{CONV}, {{leaky_relu: {{slope: -0.1}}}}]", 0),
    "of the input": ("[relu, norm]", 0),
    "of what is read again": (f"[{CONV}, {{as: x}}, {{relu: {{}}, as: a}}, {{add: [x, a]}}]", 0),
    "of an activation's result": (f"[{CONV}, sigmoid, relu]", 0),
    "of a view": (f"[{CONV}, {{slice: {{stop: 2}}}}, relu]", 0),
    "of a product": (f"[{CONV}, {{as: x}}, {{mul: [x, x]}}, hard_swish]", 0),
    "of a pool": (f"[{CONV}, {{max_pool: {{kernel_size: 2}}}}, leaky_relu]", 0),
    "of what a drop path hands on": (f"[{CONV}, {{drop_path: {{rate: 0.1}}}}, relu]", 0),
    "applied again": (f"[{CONV}, {{relu: {{}}, as: a}}, sigmoid, {{reuse: a}}]", 0),
}


@pytest.mark.parametrize(("stem", "count"), PLACES.values(), ids=PLACES)
def test_an_activation_overwrites_what_nothing_else_reads(
    stem: str, count: int, tmp_path: Path
) -> None:
    net = graph(f"model: net\ninput: [4, 5, 5]\nstem: {stem}\n", tmp_path)
    assert api.source(net).count("inplace=True") == count
    model = api.build(net, dtype="float64")
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    found = results(model, x)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    for a, b in zip(found, results(model, x), strict=True):
        assert torch.equal(a, b)


SUMS = {
    "of a norm": (f"[{{residual: {{body: [{CONV}, norm]}}}}, relu]", 1),
    "of a convolution": (f"[{{residual: {{body: [{CONV}]}}}}]", 1),
    "of what is read again": (f"[{{as: x}}, {CONV}, {{as: h}}, {{add: [h, x]}}, {{add: [x, h]}}]", 0),
    "of an activation's result": (f"[{{residual: {{body: [{CONV}, sigmoid]}}}}]", 0),
    "of the input first": (f"[{{as: x}}, {CONV}, {{as: h}}, {{add: [x, h]}}]", 0),
    "of itself": (f"[{CONV}, {{as: h}}, {{add: [h, h]}}]", 0),
}  # fmt: skip


@pytest.mark.parametrize(("stem", "count"), SUMS.values(), ids=SUMS)
def test_a_sum_overwrites_its_first_value_where_nothing_else_reads_it(
    stem: str, count: int, tmp_path: Path
) -> None:
    net = graph(f"model: net\ninput: [4, 5, 5]\nstem: {stem}\n", tmp_path)
    source = compile_for(net, "torch").source
    assert source.text.count(".add_(") == count
    model = api.build(net, dtype="float64")
    other = getattr(live.load(source.text.replace(".add_(", ".add(")), source.entry)().double()
    other.load_state_dict(model.state_dict())
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    for a, b in zip(results(model, x), results(other, x), strict=True):
        assert torch.equal(a, b)


def results(model: Any, x: Any) -> list[Any]:
    """The output, and the gradients of input and parameters."""
    model.eval()
    y = model(x)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *model.parameters()])]


def test_a_value_that_is_shown_is_not_overwritten(tmp_path: Path) -> None:
    net = graph(f"model: net\ninput: [4, 5, 5]\nstem: [{CONV}, relu]\n", tmp_path)
    model = api.build(expose(net, [node.outputs[0].index for node in net.nodes]))
    shown, after = model(torch.randn(1, 4, 5, 5)).values()
    assert shown.min() < 0 <= after.min()


def test_names_of_weights_do_not_depend_on_modules_without(tmp_path: Path) -> None:
    """What is dissolved into its parent is called by the part of its name that says enough."""
    model = api.build("resnetblur18", weights=None)
    assert all(
        name.endswith(("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
        for name in model.state_dict()
    )
    assert isinstance(model.stem.pool, torch.nn.MaxPool2d)
