"""Planted faults: each is caught, and traced to the first layer that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resspec import api, backend
from resspec.backend import Rule, RuleTable
from resspec.emit import choose
from resspec.ir import Graph, Node
from resspec.ops.activation import Gelu
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d
from resspec.ops.merge import Concat, Sub
from resspec.ops.norm import BatchNorm
from resspec.parity import Options, Report, compare, report, runner
from resspec.parity.measure import SECOND, SECOND_SLOPES
from resspec.types import TensorType
from tests import specs

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

SPEC = """\
model: faulty
doc: Two stages, the second of which gets the faults.
input: [3, 12, 12]
num_classes: 5
stem:
  - conv: {out_channels: 4, kernel_size: 3}
  - norm
  - act
block: mixed
stages:
  - {depth: 1, width: 4}
  - {depth: 2, width: 8, stride: 2}
head: classifier
blocks:
  mixed:
    doc: Every kind of layer that a fault is planted in.
    params: {width: {type: int}, stride: 1}
    layers:
      - conv: {out_channels: width, kernel_size: 3, stride: stride}
      - norm
      - gelu
      - {as: x}
      - concat: [[{conv: {out_channels: width, kernel_size: 1}}], x]
      - norm
      - {as: y}
      - sub: [[{conv: {out_channels: width, kernel_size: 3}}], [{conv: {out_channels: width, kernel_size: 1}}]]
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return api.load(specs.write(tmp_path_factory.mktemp("spec"), SPEC)).graph


def compared(graph: Graph, **options: Any) -> Report:
    runners = [runner(name) for name in ("torch", "tensorflow")]
    return compare(graph, runners, Options(**options))


Change = Callable[[Rule], Rule]


class Fault:
    """One wrong rule of one backend, for the layers of the second stage."""

    def __init__(
        self,
        backend: str,
        op: type[Op],
        where: str,
        change: Change,
        kind: str = "activation",
        **only: Any,
    ) -> None:
        self.backend, self.op, self.where = backend, op, where
        self.change, self.kind, self.only = change, kind, only

    def has(self, op: Op, types: tuple[TensorType, ...]) -> bool:
        second = types[0].spatial == (6, 6) or getattr(op, "stride", (1, 1)) == (2, 2)
        alike = all(getattr(op, name, None) == value for name, value in self.only.items())
        return isinstance(op, self.op) and second and alike

    def plant(self, graph: Graph, rules: RuleTable, patch: pytest.MonkeyPatch) -> Node:
        """Change the rule; the first layer that has the fault."""
        right = rules[self.op]

        def wrong(op: Op, types: tuple[TensorType, ...]) -> Rule:
            found = right(op, types) if callable(right) else right
            return self.change(found) if self.has(op, types) else found

        patch.setitem(rules, self.op, wrong)
        before = {self.op: right}
        for node in graph.nodes:
            if self.has(node.op, node.input_types):
                assert choose(rules, node) != choose(before, node), "nothing was changed"
        return next(node for node in graph.nodes if node.path == self.where)


def init(old: str, new: str) -> Change:
    return lambda rule: replace(rule, init=swapped(rule.init or "", old, new))


def call(old: str, new: str) -> Change:
    return lambda rule: replace(rule, call=swapped(rule.call, old, new))


def layout(old: str, new: str) -> Change:
    return lambda rule: replace(
        rule, variables=tuple((a, b, swapped(c, old, new)) for a, b, c in rule.variables)
    )


def swapped(text: str, old: str, new: str) -> str:
    return text.replace(old, new)


def late_padding(rule: Rule) -> Rule:
    """Pads as TensorFlow's SAME does on an even size: one row and column at the end."""
    if "nn.Conv2d" in (rule.init or ""):
        init = (rule.init or "").replace("padding={pad|0}, ", "")
        return replace(rule, call="{self}(F.pad({x}, (0, 1, 0, 1)))", init=init)
    plain = getattr(rule, "plain", rule)  # as it is written where its stride is known
    return call("ZeroPadding2D({pad}", "ZeroPadding2D(((0, 1), (0, 1))")(plain)


FIRST = "stages.1.0"
FAULTS: Mapping[str, Fault] = {
    "eps, torch": Fault("torch", BatchNorm, f"{FIRST}.norm1", init("{eps}", "1.001e-05")),
    "eps, keras": Fault("tensorflow", BatchNorm, f"{FIRST}.norm1", init("{eps}", "1.001e-05")),
    "momentum, torch": Fault(
        "torch", BatchNorm, f"{FIRST}.norm1", init("{momentum}", "0.01"), "statistic"
    ),
    "momentum, keras": Fault(
        "tensorflow",
        BatchNorm,
        f"{FIRST}.norm1",
        init("momentum=0.9,", "momentum=0.99,"),
        "statistic",
    ),
    "padding, torch": Fault("torch", Conv2d, f"{FIRST}.conv1", late_padding, stride=(2, 2)),
    "padding, keras": Fault("tensorflow", Conv2d, f"{FIRST}.conv1", late_padding, stride=(2, 2)),
    "transposed kernel, torch": Fault(
        "torch", Conv2d, f"{FIRST}.conv1", call("{self}({x})", "{self}({x}.mT).mT")
    ),
    "transposed kernel, keras": Fault(
        "tensorflow", Conv2d, f"{FIRST}.conv1", layout("OIHW->HWIO", "OIHW->WHIO")
    ),
    "channels in and out exchanged": Fault(
        "tensorflow",
        Conv2d,
        f"{FIRST}.conv2",
        layout("OIHW->HWIO", "OIHW->HWOI"),
        kernel_size=(1, 1),
    ),
    "swapped terms of a difference": Fault(
        "torch", Sub, f"{FIRST}.sub1", call("{x0} - {x1}", "{x1} - {x0}")
    ),
    "swapped branches, torch": Fault(
        "torch", Concat, f"{FIRST}.concat1", call("[{xs}]", "[{xs}][::-1]")
    ),
    "swapped branches, keras": Fault(
        "tensorflow", Concat, f"{FIRST}.concat1", call("[{xs}]", "[{xs}][::-1]")
    ),
    "tanh-GELU, torch": Fault(
        "torch", Gelu, f"{FIRST}.gelu1", lambda _: Rule('F.gelu({x}, approximate="tanh")')
    ),
    "tanh-GELU, keras": Fault(
        "tensorflow", Gelu, f"{FIRST}.gelu1", lambda _: Rule("keras.ops.gelu({x})")
    ),
}


def test_without_a_fault_nothing_is_found(graph: Graph) -> None:
    found = compared(graph, modes=("eval", "grad", "train"), dtypes=("float64", "float32"))
    assert found.ok, report.text(found.to_json())
    assert found.departure is None
    assert found.faults == ()
    assert found.settings_read == {"torch": 7, "tensorflow": 7}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_traced_to_its_layer(
    name: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    node = fault.plant(graph, backend.get(fault.backend).rules, monkeypatch)
    found = compared(graph)
    assert not found.ok
    departure = found.departure
    assert departure is not None
    assert departure.kind == fault.kind
    assert departure.path.removesuffix(".running_mean") == node.path  # where it is a statistic
    assert departure.op == node.op.NAME
    assert departure.line == str(node.span)
    assert departure.before <= 1e-13
    assert departure.after >= 1e-10
    text = report.text(found.to_json())
    assert f"{departure.path} ({node.op.NAME}) at {node.span}" in text
    assert "  in mixed at " in text


@pytest.mark.parametrize("name", ["eps, torch", "eps, keras", "momentum, torch", "momentum, keras"])
def test_settings_are_read_from_the_live_layers(
    name: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[name]
    node = fault.plant(graph, backend.get(fault.backend).rules, monkeypatch)
    found = compared(graph, modes=("eval",), dtypes=("float32",))
    assert all(check.ok for check in found.checks), "float32 outputs do not show it"
    assert not found.ok
    first = found.faults[0]
    assert (first.path, first.backend) == (node.path, fault.backend)
    assert first.attribute == name.split(",")[0]
    assert first.line == str(node.span)
    assert str(first.path) in report.text(found.to_json())


def biased(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    from resspec_tensorflow import snippets

    right = snippets.HELPERS["BatchNormalization"]
    assert right.text.count(old) == 1
    wrong = replace(right, text=right.text.replace(old, new))
    monkeypatch.setitem(snippets.HELPERS, "BatchNormalization", wrong)


def test_a_biased_variance_is_a_statistic(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    biased(monkeypatch, "variance = variance * (count / (count - 1))", "pass")
    found = compared(graph)
    assert {one.quantity for one in found.checks if not one.ok} == {"running statistics"}
    departure = found.departure
    assert departure is not None
    assert (departure.kind, departure.path) == ("statistic", "stem.norm1.running_var")


def test_a_fault_in_float32_alone_is_caught(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own error that is far too large must not make room for itself."""
    biased(
        monkeypatch,
        "            outputs, mean, variance, *_ =",
        "            outputs, variance, mean, *_ =",
    )
    found = compared(graph, dtypes=("float64", "float32"))
    wrong = [one for one in found.checks if not one.ok]
    assert {(one.quantity, one.dtype) for one in wrong} == {("running statistics", "float32")}
    departure = found.departure
    assert departure is not None
    assert (departure.kind, departure.path) == ("statistic", "stem.norm1.running_mean")


def test_a_wrong_backward_pass_is_traced(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = call("{self}({x})", "({self}({x}) * 0.5 + {self}({x}).detach() * 0.5)")
    fault = Fault("torch", Gelu, f"{FIRST}.gelu1", wrong)
    fault.plant(graph, backend.get("torch").rules, monkeypatch)
    found = compared(graph)
    departure = found.departure
    assert departure is not None
    assert departure.kind == "gradient"
    # the last layer with the fault, which gradients meet first
    assert departure.path.startswith("stages.1.1.norm1")
    assert departure.before <= 1e-12


def test_a_wrong_optimiser_is_told_from_a_wrong_network(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resspec_torch import training

    from resspec import optim

    right = training.optimizer
    monkeypatch.setattr(
        training, "optimizer", lambda model, rule: right(model, optim.SGD(0.011, momentum=0.9))
    )
    found = compared(graph, modes=("eval", "grad", "train"))
    assert {check.quantity for check in found.checks if not check.ok} == {"weights"}
    assert found.departure is not None
    assert found.departure.kind == "optimizer"
    assert "departs in the optimiser sgd" in report.text(found.to_json())


SAME = """\
model: same
input: [3, 12, 12]
stem: [{conv: {out_channels: 4, kernel_size: 3, stride: 2, padding: same}}]
stages: []
head: [global_avg_pool]
"""


def test_padding_for_the_size_that_was_tried_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal at 12×12, another network at the second size."""
    graph = api.load(specs.write(tmp_path, SAME)).graph
    assert compared(graph, modes=("eval",)).ok
    rules: Any = backend.get("torch").rules
    sound = rules[Conv2d]

    def settled(op: Any, types: tuple[TensorType, ...]) -> Rule:
        made: Rule = sound(op.replace(padding=op.sides(*types)), types)
        return made

    monkeypatch.setitem(rules, Conv2d, settled)
    found = compared(graph, modes=("eval",))
    assert [check.quantity for check in found.checks if not check.ok] == [SECOND]
    slopes = compared(graph, modes=("eval", "grad"))
    assert [check.quantity for check in slopes.checks if not check.ok] == [SECOND, SECOND_SLOPES]
    assert found.second == (9, 13)
    assert "the second size, which no model was built for: 3×9×13" in report.text(found.to_json())
