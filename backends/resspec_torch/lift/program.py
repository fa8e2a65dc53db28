"""A network as calls of ATen's operations, wherever it was written down: traced at any size without
computing, for `reader`, and run.

Nothing but the operations below is ever called, whatever a file names.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from resspec_torch.lift.aten import TABLE

# what may be called of parameters and constants alone, beside what can be lifted
BESIDE = frozenset(
    "abs arange cos div eq erf exp expand full full_like gt index linalg_vector_norm log lt mean "
    "neg norm ones ones_like outer pow prod reciprocal repeat rsqrt scalar_tensor sin sqrt square "
    "std std_mean sub sum t unsqueeze var var_mean view where zeros zeros_like".split()
)
FACTORIES = frozenset("arange full ones scalar_tensor zeros".split())
SCALARS: Mapping[str, Callable[..., Any]] = {
    "_operator.add": operator.add, "_operator.sub": operator.sub, "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv, "_operator.truediv": operator.truediv,
    "_operator.mod": operator.mod, "_operator.neg": operator.neg, "_operator.eq": operator.eq,
    "_operator.ge": operator.ge, "_operator.le": operator.le, "_operator.lt": operator.lt,
    "_operator.gt": operator.gt, "_operator.ne": operator.ne, "math.ceil": math.ceil,
    "math.floor": math.floor, "math.trunc": math.trunc, "torch.sym_float": float,
    "torch.sym_int": int, "torch.sym_max": max, "torch.sym_min": min, "builtins.round": round,
}  # fmt: skip
IGNORED = re.compile(r"aten\.(_assert|sym_constrain|_check)|torch\._check")
NAME = re.compile(r"aten\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")
LARGE = 1 << 22  # numbers in a constant that is computed


class Unfit(Exception):
    """What the program does not take, in words."""


class Ref(NamedTuple):
    """A value of the program by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """target: `aten.NAME.OVERLOAD`, or of what is never called; `gives`: names of what it gives,
    of a tuple where `several`; stack: the modules that it ran in, as torch.export notes them."""

    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    gives: tuple[str | None, ...]
    several: bool = False
    stack: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    reason: str = ""  # why nothing says it


@dataclass(frozen=True)
class Program:
    """`taken`: names of values that are tensors of the file, by `parameters`, `buffers` (which
    nothing trains) or `constants`; shape: of the input, None where any size goes."""

    calls: Sequence[Call]
    input: str
    shape: tuple[int | None, ...]
    taken: Mapping[str, tuple[str, str]]
    outputs: Sequence[tuple[str, Any]]
    tensors: Mapping[str, Tensor]
    types: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # of values, where known

    def of(self, kind: str) -> dict[str, str]:
        """Names of values that are such tensors, and of the tensors."""
        return {value: name for value, (found, name) in self.taken.items() if found == kind}


def avg_pool_sides(x: Tensor, kernel: Any, stride: Any, sides: Any) -> Tensor:
    """Averages that leave out a padding which differs on both ends."""
    top, bottom, left, right = sides

    def pooled(value: Tensor) -> Tensor:
        value = torch.nn.functional.pad(value, (left, right, top, bottom))
        return torch.nn.functional.avg_pool2d(value, kernel, stride)

    return pooled(x) / pooled(torch.ones_like(x[:1, :1]))


OWN: Mapping[str, Callable[..., Any]] = {"aten.avg_pool_sides.default": avg_pool_sides}


def operation(target: str) -> Any:
    """ATen's operation of that name, or one of our own; None for what is never called."""
    if target in OWN:
        return OWN[target]
    found = NAME.fullmatch(target)
    name = found[1].rstrip("_") if found and not found[1].startswith("__") else ""
    if found is None or (name not in TABLE and name not in BESIDE):
        return None
    return getattr(getattr(torch.ops.aten, found[1], None), found[2], None)


def followed(
    program: Program, env: dict[str, Any], apply: Callable[..., Any], size: Callable[..., int]
) -> list[Any]:
    """The values of the outputs. env: of the input and the tensors, by name; apply: what a call
    gives; size: how large a value is along an axis."""
    for call in program.calls:
        if IGNORED.match(call.target):
            continue
        args, kwargs = _filled((call.args, dict(call.kwargs)), env)
        made: Any
        if call.target == "aten.sym_size.int":
            made = size(*args)
        elif call.target in SCALARS:
            try:
                made = SCALARS[call.target](*args)
            except (TypeError, ValueError, ArithmeticError) as problem:
                raise Unfit(f"{call.target}: {problem}") from problem
        else:
            made = apply(call, args, kwargs)
        if call.several:
            env |= {name: one for name, one in zip(call.gives, made, strict=False) if name}
        elif call.gives and call.gives[0]:
            env[call.gives[0]] = made
    return [env.get(one.name) if isinstance(one, Ref) else one for _, one in program.outputs]


def _filled(given: Any, env: Mapping[str, Any]) -> Any:
    return tree_map(
        lambda one: env[one.name] if isinstance(one, Ref) else one, given,
        is_leaf=lambda one: isinstance(one, Ref),
    )  # fmt: skip


# -- traced ------------------------------------------------------------------------------------


def traced(program: Program, shape: tuple[int, ...]) -> Any:
    """The program for an input of this shape, as `torch.export` would have it. Raises Unfit."""
    graph = fx.Graph()
    env: dict[str, Any] = {}
    largest = max(LARGE, sum(one.numel() for one in program.tensors.values()))
    for name, (_, tensor) in program.taken.items():
        env[name] = graph.placeholder(name)
        env[name].meta["val"] = program.tensors[tensor].to("meta")
    env[program.input] = graph.placeholder(program.input)
    env[program.input].meta["val"] = torch.empty(shape, device="meta")
    data = {env[program.input]}

    def apply(call: Call, args: Any, kwargs: Any) -> Any:
        op = operation(call.target)
        nodes = [one for one in tree_leaves((args, kwargs)) if isinstance(one, fx.Node)]
        node = graph.call_function(op or _unknown(call), args, kwargs)
        node.meta["nn_module_stack"] = dict(call.stack)
        if call.reason:
            node.meta["resspec_reason"] = call.reason
        depends = any(one in data for one in nodes)
        value: Any = None
        if op is not None and all(one.meta["val"] is not None for one in nodes):
            value = _without_numbers(call, op, args, kwargs)
            if not depends and any(one.numel() > largest for one in _tensors(value)):
                raise Unfit(f"{call.target}: a constant of more than {largest:,} numbers")
        elif call.gives and (known := program.types.get(call.gives[0] or "")):
            value = torch.empty(known, device="meta")
        node.meta["val"] = value
        if depends:
            data.add(node)
        if not call.several:
            return node
        parts = []
        for at in range(len(call.gives)):
            part = graph.call_function(operator.getitem, (node, at))
            part.meta |= node.meta | {"val": None if value is None else value[at]}
            if depends:
                data.add(part)
            parts.append(part)
        return parts

    def size(node: fx.Node, axis: int) -> int:
        value = node.meta["val"]
        if value is None:
            raise Unfit("a size of what could not be followed")
        return int(value.shape[axis])

    found = followed(program, env, apply, size)
    graph.output(tuple(found))
    names = [name for name, _ in program.outputs]
    leaves: Any = 0 if names == ["out"] else dict.fromkeys(names, 0)
    signature = SimpleNamespace(
        inputs_to_parameters=program.of("parameters"), inputs_to_buffers=program.of("buffers"),
        inputs_to_lifted_tensor_constants=program.of("constants"),
    )  # fmt: skip
    return SimpleNamespace(
        graph=graph, graph_signature=signature, state_dict=program.tensors,
        constants=program.tensors, call_spec=SimpleNamespace(out_spec=tree_flatten(leaves)[1]),
    )  # fmt: skip


def _without_numbers(call: Call, op: Any, args: Any, kwargs: Any) -> Any:
    """What it gives, as far as shapes tell. Raises Unfit."""
    args, kwargs = tree_map(
        lambda one: one.meta["val"] if isinstance(one, fx.Node) else one, (args, kwargs)
    )
    if NAME.fullmatch(call.target)[1] in FACTORIES:  # type: ignore[index]
        kwargs["device"] = "meta"
    try:
        return op(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError) as problem:
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise Unfit(f"{call.target}: {line[:200]}") from problem


def _unknown(call: Call) -> Callable[..., Any]:
    """Stands for what is never called."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(call.reason or "it is none of the operations that are read")

    target = call.target
    plain = target.removeprefix("aten.").removeprefix("onnx.")
    never.__name__ = plain.rpartition(".")[0] if target.startswith("aten.") else plain
    return never


def _tensors(value: Any) -> list[Tensor]:
    return [one for one in tree_leaves(value) if isinstance(one, Tensor)]


# -- run -----------------------------------------------------------------------------------------


def computed(program: Program, tensors: Mapping[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Outputs by name, in the input's type. Raises Unfit."""
    env: dict[str, Any] = {name: tensors[tensor] for name, (_, tensor) in program.taken.items()}
    env[program.input] = x

    def apply(call: Call, args: Any, kwargs: Any) -> Any:
        op = operation(call.target)
        if op is None:
            raise Unfit(f"{call.target}: it is none of the operations that are read")
        args, kwargs = tree_map(
            lambda one: x.dtype if isinstance(one, torch.dtype) and one.is_floating_point else one,
            (args, kwargs),
        )
        try:
            return op(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError) as problem:
            raise Unfit(f"{call.target}: {problem}") from problem

    found = followed(program, env, apply, lambda value, axis: int(value.shape[axis]))
    named = zip(program.outputs, found, strict=True)
    return {name: as_vectors(one) for (name, _), one in named}


def as_vectors(one: Tensor) -> Tensor:
    """A number for each example as a spec gives it: N×1."""
    return one[:, None] if one.dim() == 1 else one
