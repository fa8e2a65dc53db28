"""An exported graph, node by node, as ops of the language; what has none is told, all of it."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves, tree_map

from resspec.lift import arrange, todo
from resspec.lift import layout as layouts
from resspec.lift.layout import Awkward
from resspec.lift.record import Data, Frame, Problem, Recorder, Taken
from resspec.ops.base import Op, OpError
from resspec.ops.merge import MOST
from resspec.types import TensorType
from resspec_torch.lift.kinds import (
    IGNORED,
    INSTEAD,
    SPREAD,
    UNSAID,
    VIEWS,
    base_name,
    is_view,
    looked_at,
)
from resspec_torch.lift.relative import Relative
from resspec_torch.lift.values import (
    Constant,
    Made,
    Unfinished,
    Unknown,
    Weight,
    as_tensor,
    output_names,
)
from resspec_torch.origins import Lifted


class Unliftable(Exception):
    """No op says this; the text is why, or what would be needed."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A call of a module that is an op here, or a norm and an activation; todo: or nothing that an
    op says."""

    ops: tuple[Op, ...]
    taken: tuple[Mapping[str, Taken], ...]
    reads: fx.Node
    gives: fx.Node
    todo: Problem | None = None
    scores: tuple[Relative, str] | None = None  # or of what queries have for each place


@dataclass(eq=False)
class Reader:
    """One pass over an exported program. `opaque`: calls of modules that are read as one op, by
    their key. `drops`: classes of modules that zero whole examples while training. `outline`: what
    no op says becomes a step `todo`."""

    program: ExportedProgram
    tensors: Mapping[str, Tensor]
    table: Mapping[str, Callable[..., Any]]  # what each operation is, by its name
    opaque: Mapping[str, Opaque] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    outline: bool = False
    env: dict[fx.Node, Any] = field(default_factory=dict)
    storage: dict[fx.Node, fx.Node] = field(default_factory=dict)  # of views: what they look at
    failed: list[tuple[fx.Node, str]] = field(default_factory=list)
    guessed: set[fx.Node] = field(default_factory=set)  # what follows from what could not be said
    node: fx.Node | None = None
    recorder: Recorder = field(default_factory=lambda: Recorder(0))

    @property
    def wide(self) -> bool:
        """Whether the network is one in float64, as it is compared."""
        return any(one.dtype == torch.float64 for one in self.tensors.values())

    def read(self) -> Recorder:
        """The network. What could not be said is in its `problems`."""
        done: set[str] = set()
        signature = self.program.graph_signature
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node, signature)
            elif node.op == "call_function":
                self.recorder.frames = frames_of(node)
                key = next((f.key for f in self.recorder.frames if f.key in self.opaque), None)
                if key is None:
                    self._call(node)
                elif key not in done:
                    done.add(key)
                    self._whole(self.opaque[key])
            elif node.op == "output":
                self._outputs(node)
        return self.recorder

    # -- what comes in and goes out --------------------------------------------------------------

    def _placeholder(self, node: fx.Node, signature: Any) -> None:
        name = str(node.name)
        trained, kept = signature.inputs_to_parameters, signature.inputs_to_buffers
        for known in (trained, kept):
            if name in known:
                tensor = self.tensors[known[name]]
                axes = tuple(range(tensor.dim()))
                self.env[node] = Weight(known[name], tensor, axes, fixed=known is kept)
                node.meta["resspec_name"] = known[name]
                return
        if name in signature.inputs_to_lifted_tensor_constants:
            constant = self.program.constants[signature.inputs_to_lifted_tensor_constants[name]]
            self.env[node] = Constant(constant)
            return
        shape = tuple(node.meta["val"].shape) if hasattr(node.meta.get("val"), "shape") else ()
        if self.recorder.input is not None or len(shape) not in (2, 4):
            self.env[node] = Unknown()
            self._problem(node, "input", "a model reads one tensor, N×C×H×W or N×C")
            return
        self.recorder.batch = shape[0]
        self.env[node] = self.recorder.start(shape[1:])

    def _outputs(self, node: fx.Node) -> None:
        spec = self.program.call_spec.out_spec
        flat = list(tree_leaves(node.args[0]))
        named = output_names(torch.utils._pytree.tree_unflatten(range(len(flat)), spec))
        for at, one in enumerate(flat):
            found = self.env.get(one) if isinstance(one, fx.Node) else None
            if isinstance(found, Data):
                try:
                    found = self._spread(one, found)
                    self.recorder.outputs.append((named[at], self.recorder.output(found)))
                except (Awkward, OpError) as problem:
                    if one not in self.guessed:
                        self._problem(node, "output", str(problem))
            elif isinstance(found, Unfinished):
                self._problem(node, "output", found.what)
            elif one is not None and not isinstance(found, Unknown):
                self._problem(
                    node, "output", "it gives something that does not depend on the input"
                )

    # -- operations ------------------------------------------------------------------------------

    def _call(self, node: fx.Node) -> None:
        name = base_name(node.target)
        plain = name.rstrip("_") if not name.startswith("__") else name
        if any(plain.startswith(one) for one in IGNORED):
            return
        self.node = node
        args, kwargs = tree_map(
            lambda one: self.env.get(one, one) if isinstance(one, fx.Node) else one,
            (node.args, dict(node.kwargs)),
        )
        if node.target is operator.getitem:
            whole, at = args
            if node.args[0] in self.guessed:
                self.guessed.add(node)
            self.env[node] = whole[at] if isinstance(whole, list | tuple) else Unknown()
            return
        if not self.guessed.isdisjoint(node.all_input_nodes):
            self.guessed.add(node)
        leaves = tree_leaves((args, kwargs))
        if any(isinstance(one, Unknown) for one in leaves):
            self.env[node] = self._stand_in(node, leaves)
            return
        try:
            half = [one for one in leaves if isinstance(one, Unfinished)]
            if half and plain not in half[0].accepts:
                raise Unliftable(half[0].what)
            if half or any(isinstance(one, Data) for one in leaves):
                handler = self.table.get(plain)
                if handler is None:
                    if plain not in INSTEAD:
                        self._steady(node)
                    raise Unliftable(node.meta.get("resspec_reason", INSTEAD.get(plain, UNSAID)))
                if plain != name and not name.startswith("__"):
                    self._writes(node)
                if plain not in SPREAD:
                    args, kwargs = fx.node.map_arg(
                        (node.args, dict(node.kwargs)),
                        lambda one: self._spread(one, self.env.get(one, one)),
                    )
                result = handler(self, *args, **kwargs)
            else:
                result = self._without_data(plain, node, args, kwargs, leaves)
        except Exception as problem:  # what a rule did not think of is told, too
            reason = problem.message if isinstance(problem, OpError) else str(problem)
            if callable(told := getattr(problem, "errors", None)):  # pydantic's, of an argument
                reason = f"its {told()[0]['loc'][0]}: {told()[0]['msg']}"
            if not isinstance(problem, Unliftable | Awkward | OpError | ValueError):
                reason = (
                    f"it is called in a way that is not read ({type(problem).__name__}: {reason})"
                )
            if node in self.guessed and not isinstance(problem, Unliftable):
                result = self._stand_in(node, leaves)  # it may be well where what is before is
            else:
                self._problem(node, name, reason.splitlines()[0] if reason else UNSAID)
                result = self._left(node, self.recorder.problems[-1], leaves)
                if plain != name and not name.startswith("__"):  # whatever it was to write into
                    self.env |= {one: Unknown() for one, part in looked_at(node.args[0]) if part}
                self.guessed.add(node)
        self.env[node] = result
        self._aliases(node, name, plain, result)

    def _writes(self, node: fx.Node) -> None:
        """Raise Unliftable for a write into a part of a tensor, all of which is read later."""
        for one, part in looked_at(node.args[0]):
            if part and any(node < user for user in one.users):
                raise Unliftable("it writes into a part of a tensor that is read later")

    def _steady(self, node: fx.Node) -> None:
        """Raise Unliftable for what gives other numbers at each call."""
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise Unliftable("it draws random numbers; dropouts and drop path can be said")

    def _aliases(self, node: fx.Node, name: str, plain: str, result: Any) -> None:
        """Views share what they look at: an operation in place changes it for all of them."""
        first = next((one for one in node.args if isinstance(one, fx.Node)), None)
        if first is None:
            return
        if is_view(node) and not name.endswith("_"):
            self.storage[node] = self.storage.get(first, first)
        elif name.endswith("_") and not name.startswith("__"):
            owner = self.storage.get(first, first)
            self.storage[node] = owner
            before = self.env[first]
            for other, found in list(self.env.items()):
                if self.storage.get(other, other) is not owner or other is node:
                    continue
                if isinstance(found, Data) and isinstance(result, Data):
                    same = isinstance(before, Data) and found.layout == before.layout
                    self.env[other] = result if same else Data(result.value, found.layout)
                else:
                    self.env[other] = result

    def _without_data(
        self, name: str, node: fx.Node, args: Any, kwargs: Any, leaves: list[Any]
    ) -> Any:
        """Of parameters and constants alone."""
        self._steady(node)
        plain_args, plain_kwargs = tree_map(as_tensor, (args, kwargs))
        with torch.no_grad(), Lifted() if self.wide else contextlib.nullcontext():
            made = node.target(*plain_args, **plain_kwargs)
        used = [one for one in leaves if isinstance(one, Weight | Made)]
        if not used:
            return tree_map(lambda one: Constant(one) if isinstance(one, Tensor) else one, made)
        if len(used) == 1 and isinstance(used[0], Weight) and isinstance(made, Tensor):
            viewed = used[0].viewed(name, node, made) if name in VIEWS else None
            if viewed is not None:
                return viewed
        names = frozenset(
            one for use in used for one in ([use.name] if isinstance(use, Weight) else use.names)
        )
        return tree_map(
            lambda one: Made(node, one, names) if isinstance(one, Tensor) else one, made
        )

    def _whole(self, opaque: Opaque) -> None:
        found = self.env.get(opaque.reads)
        if not isinstance(found, Data):
            self.env[opaque.gives] = self._stand_in(opaque.gives)
            return
        if opaque.todo is not None:
            self.env[opaque.gives] = self._left(opaque.gives, opaque.todo, [found])
            return
        if opaque.scores is not None:
            places, path = opaque.scores
            self.env[opaque.gives] = places.applied(self.recorder, self.settled(found), path)
            return
        value = self.recorder.map(found)
        for op, taken in zip(opaque.ops, opaque.taken, strict=True):
            (value,) = self.recorder.apply(op, value, taken=taken)
        self.env[opaque.gives] = Data(value, layouts.usual(value.type, self.recorder.batch))

    def settled(self, data: Data) -> Data:
        """A tensor whose axes share or part positions as tokens or windows, for all who read it:
        noted where it was first seen so."""
        count = len(self.recorder.steps)
        made = arrange.in_rows(self.recorder, data)
        if made is data:
            return data
        same = [node for node, found in self.env.items()
                if isinstance(found, Data) and found.value is data.value
                and found.layout == data.layout]  # fmt: skip
        self.env |= dict.fromkeys(same, made)
        new = self.recorder.steps[count:]
        maker = self.recorder.maker(data.value)
        if same and new:
            for step in new:
                step.frames = frames_of(same[0])
            at = self.recorder.steps.index(maker) + 1 if maker is not None else 0
            self.recorder.steps[count:] = []
            self.recorder.steps[at:at] = new
        return made

    # -- what could not be said ------------------------------------------------------------------

    def _problem(self, node: fx.Node, operation: str, reason: str) -> None:
        self.failed.append((node, operation))
        stack = frames_of(node)
        path, kind = (stack[-1].path, stack[-1].kind) if stack else ("", "")
        self.recorder.problems.append(Problem(path, kind.rpartition(".")[2], operation, reason))

    def _left(self, node: fx.Node, problem: Problem, leaves: list[Any]) -> Any:
        """What stands for something that no op says."""
        reads = next((one for one in leaves if isinstance(one, Data)), None)
        value = node.meta.get("val")
        if not self.outline or reads is None or isinstance(value, list | tuple):
            return self._stand_in(node, leaves)
        shape = layouts.shape(reads.layout) if value is None else tuple(value.shape)
        return todo.left(self.recorder, problem, reads, shape) or Unknown()

    def _spread(self, node: Any, found: Any) -> Any:
        """A tensor that was expanded, with each of its elements as often as it is there."""
        value = node.meta.get("val") if isinstance(found, Data) else None
        if not isinstance(value, Tensor) or value.dim() != len(found.layout):
            return found
        shape = layouts.shape(found.layout)
        more = [n for n, size in enumerate(value.shape) if size != shape[n] and n > 0]
        if not more or node in self.guessed:
            return found
        if len(shape) != 4:
            raise Awkward("it works on a tensor that was expanded")
        x = self.recorder.as_map(found)
        made = x.value
        if 1 in more:
            if value.shape[1] > MOST:
                raise Awkward(f"its channels are repeated more often than {MOST} times")
            made = self.recorder.once("concat", *([made] * int(value.shape[1])))
        if {2, 3} & {*more}:
            made = self.recorder.once(
                "resize", made, size=(int(value.shape[2]), int(value.shape[3]))
            )
        return Data(made, layouts.usual(made.type, self.recorder.batch))

    def _stand_in(self, node: fx.Node, leaves: Sequence[Any] = ()) -> Any:
        """Something of that shape, so that what follows is looked at, too."""
        alike = {layouts.shape(one.layout): one.layout for one in leaves if isinstance(one, Data)}

        def one(found: Any) -> Any:
            reads = next((one for one in leaves if isinstance(one, Data)), None)
            if (
                isinstance(found, Tensor)
                and reads
                and alike.get(tuple(found.shape)) == reads.layout
            ):
                return Data(self.recorder.value(reads.value.type), reads.layout)
            if not isinstance(found, Tensor) or found.dim() not in (2, 4):
                return Unknown()
            value = self.recorder.value(TensorType(tuple(found.shape[1:])))
            return Data(value, layouts.usual(value.type, found.shape[0]))

        return tree_map(one, node.meta.get("val"))


def frames_of(node: fx.Node) -> tuple[Frame, ...]:
    """The calls of modules that it ran in, the outermost first, without the model's own."""
    stack = node.meta.get("nn_module_stack") or {}
    found = []
    for key, (path, kind) in stack.items():
        name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
        found.append(Frame(key, path, name, name.startswith("torch.nn.modules.")))
    return tuple(frame for frame in found if frame.path)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    return tuple(int(one) for one in node.meta["val"].shape)


__all__ = ["Opaque", "Reader", "Unliftable", "base_name", "frames_of", "nn", "shape_of"]
