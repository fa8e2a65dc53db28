"""Spec → graph: stem, stages and head, every expression evaluated, every shape inferred.

Lowering is concrete: a condition is decided before anything inside it is elaborated, and each
node remembers the expression that its attributes came from.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from resspec.diagnostics import Diagnostic, Span, SpecError
from resspec.ir import Given, Graph, Value
from resspec.language.spec import Branch, ModelSpec, Ref
from resspec.lower.arguments import counted
from resspec.lower.builder import Builder
from resspec.lower.env import Bound, Env, Known, Library, failure
from resspec.lower.layers import Layers
from resspec.lower.problems import Stop
from resspec.lower.scope import Scope
from resspec.lower.stages import Stages
from resspec.lower.uncalled import ROLE_DEFAULTS
from resspec.lower.values import NO_VALUE, Val, flat, poisoned, show_value
from resspec.options import Limits
from resspec.types import TensorType

PYTHON_DEPTH = 4_000

Outputs = tuple[tuple[str, tuple[Value, ...]], ...]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A graph, and `idle`: keys of the model that came from a base and that nothing here takes."""

    graph: Graph
    idle: frozenset[str]


def lower(
    spec: ModelSpec, library: Library, known: Known = tuple, limits: Limits | None = None
) -> Lowered:
    """The graph of a model. `library` finds a block by name, `known` names to suggest.

    Raises SpecError with every problem found, each with its line.
    """
    builder = Builder(limits or Limits())
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, PYTHON_DEPTH))  # a block call takes a dozen Python calls
    try:
        model = _Model(spec, builder, Layers(builder, library, known))
        return Lowered(model.graph(), model.idle())
    except RecursionError:
        message = f"the blocks of `{spec.name}` are nested too deeply"
        help = "call fewer blocks within blocks, and put less inside each other"
        raise SpecError(Diagnostic("recursion-limit", message, spec.span, help=help)) from None
    finally:
        sys.setrecursionlimit(before)


class _Model:
    """One model being lowered."""

    def __init__(self, spec: ModelSpec, builder: Builder, layers: Layers) -> None:
        self.spec, self.builder, self.layers = spec, builder, layers
        self.classes: tuple[Given, ...] = ()
        self.env = Env({}, {})
        base = Scope(spec.name, "", self.env, {}, {}, {}, is_model=True)
        roles = {
            role: (Bound(Ref(name=name, span=spec.span), base), self.env)
            for role, name in ROLE_DEFAULTS.items()
        }
        self.env = self.env.under(roles)
        self.scope = Scope(spec.name, "", self.env, spec.params, {}, spec.let, is_model=True)
        self.env = self.env.with_roles(spec.defaults, self.scope)
        self.scope.env = self.env

    def graph(self) -> Graph:
        spec, builder, scope = self.spec, self.builder, self.scope
        kind = self.input_type()
        if spec.num_classes is not None:
            value = scope.evaluate(spec.num_classes, self.env, NO_VALUE)
            classes = counted(value, "num_classes", spec.num_classes.span, self.env)
            self.env = self.env.with_ambient(num_classes=classes)
            self.classes = (Given("num_classes", classes),)
        x = builder.input(kind)
        self.env = scope.env = self.env.with_ambient(input=x)
        scope.values["input"] = x
        builder.open("", spec.name, spec.span, spec.span, spec.doc)
        current: Val = x
        if spec.stem is not None:
            current = self.part("stem", spec.stem, current)
        current, self.env = Stages(spec, builder, self.layers, scope).run(current, self.env)
        if spec.head is not None:
            current = self.part("head", spec.head, current)
        outputs = self.outputs(current)
        if self.idle() - spec.inherited and not self.layers.problems:
            place = spec.shortcut.key or spec.shortcut.span  # type: ignore[union-attr]
            message = "no block of this model takes a `shortcut`"
            found = Diagnostic("unknown-argument", message, place, help="remove it")
            self.layers.report(found)
        if self.layers.problems:
            raise Stop(*self.layers.problems)
        builder.stack[-1].args = (*scope.asked(), *self.classes)
        root = builder.close(tuple(value for _, values in outputs for value in values))
        return Graph(spec.name, spec.doc, x, outputs, replace(root, inputs=(x,)))

    def idle(self) -> frozenset[str]:
        idle = self.spec.shortcut is not None and not self.layers.offered
        return frozenset(("shortcut",) if idle else ())

    # -- numbers of the model ------------------------------------------------------------

    def input_type(self) -> TensorType:
        arg = self.spec.input
        shape = self.scope.evaluate(arg, self.env, NO_VALUE)
        if not isinstance(shape, tuple) or len(shape) != 3:
            message = f"`input` is [channels, height, width], found {show_value(shape)}"
            raise failure(self.env, "wrong-type", message, arg.span)
        kind = TensorType(tuple(counted(n, "input", arg.span, self.env) for n in shape))
        self.builder.check_size(kind, self.env, arg.span)
        return kind

    # -- parts ---------------------------------------------------------------------------

    def part(self, name: str, ref: Ref, current: Val) -> Val:
        """The stem or the head."""
        place = (ref, name, current, self.scope, self.env, ref.span)
        result = self.layers.guard(self.layers.call, *place, where=f"the {name}")
        self.scope.values[name] = result
        return result

    def outputs(self, current: Val) -> Outputs:
        """The named outputs; `out`, the last value, where none are named."""
        if not self.spec.outputs:
            return (("out", self.given("the model", current, self.spec.span)),)
        found = []
        for name, branch in self.spec.outputs.items():
            value = self.layers.guard(self.output, name, branch, current)
            found.append((name, self.given(f"output `{name}`", value, branch.span)))
        return tuple(found)

    def given(self, what: str, value: Val, span: Span) -> tuple[Value, ...]:
        """The tensors of an output; none where it failed or is none, which is reported."""
        if poisoned(value):
            return ()
        if not flat(value):
            message = f"{what} gives no value"
            self.layers.report(*failure(self.env, "tuple-unexpected", message, span).diagnostics)
        return flat(value)

    def output(self, name: str, branch: Branch, current: Val) -> Val:
        if branch.ref is not None:
            return self.layers.named(branch.ref, self.scope, self.env)
        path = f"outputs.{name}"
        self.builder.open(path, name, branch.span, branch.span)
        inner = self.scope.inner(path=path)
        return self.layers.shut(self.layers.run(branch.layers, current, inner, self.env))
