"""Nodes and regions as they are made: values numbered, shapes inferred, limits held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

from resspec.diagnostics import Diagnostic, Span, SpecError
from resspec.ir import Facts, Given, Item, Node, Region, Step, Value, facts
from resspec.lower.env import Env, Thunk, failure
from resspec.lower.scales import Scales
from resspec.lower.values import show_value
from resspec.ops.base import Op, OpError, attributes
from resspec.options import Limits
from resspec.passes.dead import read_by
from resspec.types import TensorType

ITEMS_A_NODE = 5  # that may be lowered


@dataclass(slots=True)
class Open:
    """A region under construction."""

    path: str
    block: str
    span: Span
    definition: Span
    doc: str = ""
    turn: bool = False
    step: Step | None = None
    items: list[Item] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    args: tuple[Given, ...] = ()


class Builder:
    """The graph under construction: a stack of open regions."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stack: list[Open] = []
        self.reusing = False
        self.scales = Scales()
        self._paths: dict[str, Node] = {}
        self._regions: set[str] = set()
        self.values = self.nodes = self.params = 0  # made so far

    @property
    def path(self) -> str:
        """Canonical path of the region on top."""
        return self.stack[-1].path

    def open(
        self,
        place: str | Step,
        block: str,
        span: Span,
        definition: Span,
        doc: str = "",
        *,
        turn: bool = False,
    ) -> None:
        """Begin a region: a call of a block, or a turn of a repeat in it."""
        step = place if isinstance(place, Step) else None
        self.stack.append(Open(str(place), block, span, definition, doc, turn, step))

    def close(self, outputs: tuple[Value, ...]) -> Region:
        """End the region on top."""
        opened = self.stack.pop()
        items = tuple(opened.items)
        made = {value.index for item in items for value in item.outputs}
        labels = tuple((index, name) for index, name in opened.labels.items() if index in made)
        return Region(
            path=opened.path,
            block=opened.block,
            inputs=read_by(items, outputs),
            outputs=outputs,
            items=items,
            span=opened.span,
            definition=opened.definition,
            doc=opened.doc,
            labels=labels,
            turn=opened.turn,
            step=opened.step,
            args=opened.args,
        )

    def close_into(self, outputs: tuple[Value, ...]) -> None:
        """End the region on top and put it into the one below. A turn that is one call is it."""
        region = self.close(outputs)
        if len(region.items) == 1 and region.turn:
            (only,) = region.items
            if isinstance(only, Region) and only.outputs == region.outputs:
                step, own = region.step, only.step
                if own is not None:  # a row of one turn, in a turn of another
                    step = Step(own.row, own.number, region.step)
                self.stack[-1].items.append(only.placed(step))
                return
        if region.items:
            if not self.reusing and self.has(region.path):
                raise SpecError(named_twice(region.path, region.span))
            self._regions.add(region.path)
            self.stack[-1].items.append(region)

    def put(self, region: Region, paths: Mapping[str, Node], regions: Iterable[str]) -> None:
        """A whole region, with the paths of all that is in it."""
        self._paths.update(paths)
        self._regions.update(regions)
        self.stack[-1].items.append(region)

    @property
    def here(self) -> int:
        """Items of the region on top so far."""
        return len(self.stack[-1].items)

    def claim_row(self, path: str, env: Env, span: Span) -> None:
        """A row of turns is an item of this name. Raises SpecError where another is, too."""
        if self.has(path) and not self.reusing:
            raise SpecError(replace(named_twice(path, span), notes=env.frames[::-1]))
        self._regions.add(path)

    def has(self, path: str) -> bool:
        """Whether something is named so."""
        return path in self._regions or path in self._paths

    def label(self, value: object, name: str) -> None:
        """Name a value for readable source."""
        if isinstance(value, Value):
            self.stack[-1].labels.setdefault(value.index, name)
        elif isinstance(value, tuple):
            for number, part in enumerate(value):
                self.label(part, f"{name}{number}")

    @contextmanager
    def again(self, path: str) -> Iterator[None]:
        """While an item is applied again: its names are under the path of its first place."""
        top = self.stack[-1]
        here, was = top.path, self.reusing
        top.path, self.reusing = path, True
        try:
            yield
        finally:
            top.path, self.reusing = here, was

    def input(self, kind: TensorType) -> Value:
        """The model's input."""
        value = self.value(kind)
        self.scales.whole[value.index] = (1, 1)
        return value

    def value(self, kind: TensorType) -> Value:
        """A new value."""
        self.values += 1
        return Value(self.values - 1, kind)

    def node(
        self,
        op: Op,
        place: str | Step,
        inputs: tuple[Value, ...],
        env: Env,
        span: Span,
        args: Mapping[str, Thunk],
    ) -> tuple[Value, ...]:
        """Append an op. Raises SpecError where its inputs do not fit or a limit is passed."""
        types = tuple([value.type for value in inputs])
        try:
            op, found, kinds, largest = _settled(op, types)
        except OpError as caught:
            at = args[caught.attr].span if caught.attr and caught.attr in args else span
            raise failure(env, caught.code, caught.message, at, caught.help) from None
        for kind in kinds if largest > self.limits.elements else ():
            self.check_size(kind, env, span)
        self.nodes += 1
        self.params += found.trainable + found.buffers
        if self.nodes > self.limits.nodes:
            raise over("node-limit", "too many nodes", "nodes", self.limits.nodes, env, span)
        if self.params > self.limits.params:
            what, most = f"{self.params:,} parameters up to here", self.limits.params
            raise over("param-limit", what, "params", most, env, span)
        sources = tuple([(k, t.arg.value) for k, t in args.items() if isinstance(t.arg.value, str)])
        made = tuple([self.value(kind) for kind in found.outputs])
        self.scales.made(op, inputs, made, span)
        path, step = str(place), place if isinstance(place, Step) else None
        if self.reusing and not found.params:
            path = self._own_path(path, op, types)
        node = Node(path, op, inputs, made, span, sources, step).of(found)
        self._claim(node, env)
        self.stack[-1].items.append(node)
        return made

    def _own_path(self, path: str, op: Op, types: tuple[TensorType, ...]) -> str:
        """A path for what shares no parameters: another where the one before does something else,
        which no layer could do as well."""
        number, own = 2, path
        while own in self._paths and not does_the_same(self._paths[own], op, types):
            own, number = f"{path}_{number}", number + 1
        return own

    def _claim(self, node: Node, env: Env) -> None:
        """One path, one set of parameters."""
        before = self._paths.setdefault(node.path, node)
        twice = before is not node or node.path in self._regions
        if twice and not self.reusing:
            raise SpecError(replace(named_twice(node.path, node.span), notes=env.frames[::-1]))
        if before is node:
            return
        if before.params != node.params or type(before.op) is not type(node.op):
            message = (
                f"`{node.path}` is reused on {node.input_types[0]}, "
                f"its parameters are made for {before.input_types[0]}"
            )
            raise failure(env, "shape-mismatch", message, node.span)
        if node.params and before.op != node.op:
            pairs = [(name, getattr(before.op, name), getattr(node.op, name))
                     for name in attributes(node.op)]  # fmt: skip
            name, was, now = next(pair for pair in pairs if pair[1] != pair[2])
            message = (
                f"`{node.path}` is reused with {name} {show_value(now)}, it was made with "
                f"{show_value(was)}"
            )
            help = "one set of parameters is one layer: let its arguments not depend on the place"
            raise failure(env, "shape-mismatch", message, node.span, help)

    def check_size(self, kind: TensorType, env: Env, span: Span) -> None:
        """Refuse a tensor that no machine holds."""
        if kind.size > self.limits.elements:
            what, most = f"a tensor of {kind} = {kind.size:,} elements", self.limits.elements
            raise over("size-limit", what, "elements", most, env, span)


@lru_cache(maxsize=1 << 14)
def _settled(
    op: Op, types: tuple[TensorType, ...]
) -> tuple[Op, Facts, tuple[TensorType, ...], int]:
    """An op on inputs of these types, what follows of it, the tensors that it needs and the size of
    the largest. Raises OpError."""
    op = op.resolve(*types)
    found = facts(op, types)
    kinds = (*found.outputs, *((op.padded(*types),) if types[0].is_map else ()))
    return op, found, kinds, max(kind.size for kind in kinds)


def named_twice(path: str, span: Span) -> Diagnostic:
    """The problem of two items whose parameters would have the same names."""
    help = "give one of them another name with `as:`"
    return Diagnostic("name-collision", f"two items are named `{path}`", span, help=help)


def does_the_same(node: Node, op: Op, types: tuple[TensorType, ...]) -> bool:
    """Whether a layer without parameters computes this, too: the same op, on as many axes, with
    the same padding."""
    ranks = [len(kind.shape) for kind in node.input_types]
    alike = node.op == op and ranks == [len(kind.shape) for kind in types]
    return alike and node.op.sides(*node.input_types) == op.sides(*types)


def join(path: str, name: str) -> str:
    """A path and one more component."""
    return f"{path}.{name}" if path else name


def over(code: str, what: str, flag: str, most: int, env: Env, span: Span) -> SpecError:
    """The error of a limit."""
    help = f"if you mean it, raise the limit: `--limit {flag}=NUMBER`"
    message = f"the model has {what}; the limit is {most:,}"
    return SpecError(Diagnostic(code, message, span, notes=env.frames[::-1], help=help))
