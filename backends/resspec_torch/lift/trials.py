"""Modules that are one op in whole, whatever arithmetic they write it with: found by trying ops of
the same parameters on the same numbers, in float64."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from resspec.diagnostics import Span
from resspec.ir import Graph, Node, Region, Value
from resspec.lift import layout as layouts
from resspec.lift.record import Data, Taken
from resspec.ops.base import OPS, Op, OpError
from resspec.types import TensorType
from resspec_torch.lift.reader import Opaque, Reader, frames_of
from resspec_torch.lift.relative import relative
from resspec_torch.lift.values import copied
from resspec_torch.origins import Lifted

NORMS = (
    "grn", "filter_response_norm", "rms_norm", "simple_norm", "layer_norm", "group_norm",
    "evonorm_s0", "instance_norm", "l2_normalize", "tlu", "blur_pool", "frozen_batch_norm",
)  # fmt: skip
CLOSE = 1e-10
LONGEST = 60  # operations of a module that may be an op
FROZEN = 4  # scale, shift, mean and variance
HERE = Span("", 1, 1, 1, 1)


class Trials:
    """`found`: calls of modules that are one op, by their key."""

    def __init__(self, program: ExportedProgram, model: nn.Module | None) -> None:
        self.program, self.model = program, model
        self.found: dict[str, Opaque] = {}
        self.tried: set[str] = set()
        self.known: dict[object, tuple[tuple[Op, ...], tuple[str, ...]] | None] = {}

    def more(self, reader: Reader) -> bool:
        """Whether modules that something failed in are one op in whole, so that it pays to read
        again."""
        before = len(self.found)
        for node, _ in reader.failed:
            for frame in reversed(frames_of(node)):
                if frame.key in self.found:
                    break
                if frame.key not in self.tried:
                    self.tried.add(frame.key)
                    if self._try(frame.key, frame.path, reader):
                        break
        return len(self.found) > before

    def _try(self, key: str, path: str, reader: Reader) -> bool:
        inside = [
            node
            for node in self.program.graph.nodes
            if node.op == "call_function" and any(f.key == key for f in frames_of(node))
        ]
        ends = _ends(inside, reader)
        if ends is None or self.model is None or len(inside) > LONGEST:
            return False
        reads, gives = ends
        module = self.model.get_submodule(path)
        places = relative(module, reads.meta["val"], gives.meta["val"])
        if places is not None:
            self.found[key] = Opaque((), (), reads, gives, scores=(places, path))
            return True
        parameters = _own(module)
        vectors = all(max(one.shape, default=1) == one.numel() for one in parameters.values())
        if len(parameters) > 4 or not vectors:
            return False
        data = reader.env.get(reads)
        if not isinstance(data, Data):
            return False
        try:
            kind = reader.recorder.map(data).type
        except Exception:
            return False
        given = getattr(gives.meta["val"], "shape", None)
        if given is None or len(given) != len(data.layout):
            return False
        shapes = tuple((name, tuple(value.shape)) for name, value in parameters.items())
        same = (type(module), repr(module), kind, shapes, _numbers_of(module, inside))
        if same not in self.known:
            self.known[same] = self._search(module, kind, inside, tuple(given))
        answer = self.known[same]
        if answer is None:
            return False
        ops, names = answer
        rest = iter(names)
        taken = [{own: Taken(f"{path}.{next(rest)}") for own in op.params(kind)} for op in ops]
        self.found[key] = Opaque(ops, tuple(taken), reads, gives)
        return True

    def _search(
        self, module: nn.Module, kind: TensorType, inside: list[fx.Node], given: tuple[int, ...]
    ) -> tuple[tuple[Op, ...], tuple[str, ...]] | None:
        module = copied(module).double().eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for value in _own(module).values():
                value.copy_(torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5)
        x = torch.randn((2, *kind.shape), generator=generator, dtype=torch.float64)
        parameters = _own(module)
        frozen = bool(parameters) and not any(True for _ in module.parameters())
        try:
            with torch.no_grad(), Lifted():
                wanted = module(x)
        except (RuntimeError, TypeError, ValueError, AssertionError):
            return None
        if not isinstance(wanted, Tensor):
            return None
        numbers = _numbers_of(module, inside)
        for ops in _rows(kind, numbers, tuple(wanted.shape[1:])):
            try:
                local = [(at, own, one) for at, op in enumerate(ops)
                         for own, one in op.params(kind).items()]  # fmt: skip
                shape = kind
                for op in ops:
                    (shape,) = op.infer(shape)
            except OpError:
                continue
            if shape.shape != tuple(wanted.shape[1:]) or len(local) != len(parameters):
                continue
            if any(one.trainable == frozen for _, _, one in local):
                continue
            own_names = [own for _, own, _ in local]
            orders = sorted(  # what is called alike first
                itertools.permutations(parameters),
                key=lambda names: sum(map(operator.ne, own_names, names)),
            )
            for names in orders:
                pairs = list(zip(local, names, strict=True))
                if any(one.size != parameters[name].numel() for (_, _, one), name in pairs):
                    continue
                weights = {
                    f"op{at}.{own}": parameters[name].detach().numpy().reshape(one.shape)
                    for (at, own, one), name in pairs
                }
                if _same(ops, kind, weights, x, wanted):
                    return ops, names
        return None


def rough(reader: Reader, program: ExportedProgram) -> dict[str, Opaque]:
    """For each place that no op says, the smallest call of a module around it that reads one value
    and gives one, to stand as it is."""
    found: dict[str, Opaque] = {}
    for (node, _), problem in zip(reader.failed, reader.recorder.problems, strict=False):
        for frame in reversed(frames_of(node)):
            if frame.key in found or frame.key in reader.opaque:
                break
            inside = [one for one in program.graph.nodes if one.op == "call_function"
                      and any(other.key == frame.key for other in frames_of(one))]  # fmt: skip
            ends = _ends(inside, reader)
            value = ends[1].meta.get("val") if ends is not None else None
            if ends is None or not isinstance(value, Tensor):
                continue
            data = reader.env[ends[0]]
            whole = isinstance(data, Data) and tuple(value.shape) == layouts.shape(data.layout)
            if whole or value.dim() in (2, 4):
                kind = frame.kind.rpartition(".")[2]
                told = replace(problem, path=frame.path, kind=kind)
                found[frame.key] = Opaque((), (), ends[0], ends[1], told)
                break
    return found


def _rows(
    kind: TensorType, numbers: tuple[float, ...], given: tuple[int, ...]
) -> Iterator[tuple[Op, ...]]:
    """One op, or a norm and its activation."""
    found = list(_candidates(kind, numbers, given))
    yield from ((op,) for op in found)
    for op in found:
        if op.KIND == "norm":
            yield op, OPS["tlu"]()
            yield op, OPS["relu"]()
            yield op, OPS["silu"]()


def _ends(inside: list[fx.Node], reader: Reader) -> tuple[fx.Node, fx.Node] | None:
    """What a call of a module reads of the data, and gives, where that is one tensor each."""
    within = set(inside)
    reads = {one for node in inside for one in node.all_input_nodes
             if one not in within and isinstance(reader.env.get(one), Data)}  # fmt: skip
    gives = [node for node in inside if any(user not in within for user in node.users)]
    return (reads.pop(), gives[0]) if len(reads) == len(gives) == 1 else None


def _own(module: nn.Module) -> dict[str, Tensor]:
    """Its parameters; of a norm that nothing trains, its buffers."""
    found: dict[str, Tensor] = dict(module.named_parameters())
    buffers = {name: one for name, one in module.named_buffers() if one.is_floating_point()}
    return buffers if not found and len(buffers) == FROZEN else found


def _numbers_of(module: nn.Module, inside: list[fx.Node]) -> tuple[float, ...]:
    """Numbers that it is made with."""
    found = {float(one) for one in vars(module).values() if _is_number(one)}
    for node in inside:
        found |= {float(one) for one in node.args if _is_number(one)}
    return tuple(sorted(found))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _candidates(
    kind: TensorType, numbers: tuple[float, ...], given: tuple[int, ...]
) -> Iterator[Op]:
    eps = [number for number in numbers if 1e-18 <= number < 0.1] or [1e-6]
    whole = [int(n) for n in numbers if n == int(n) and 1 <= n <= kind.channels]
    whole = [one for one in whole if kind.channels % one == 0]
    groups = list(dict.fromkeys([*whole, *(kind.channels // one for one in whole)]))
    for name in NORMS:
        cls = OPS[name]
        if name == "tlu":
            yield cls()
        elif name == "blur_pool":
            if len(given) == 3:
                yield from _blurs(kind, given)
        elif "groups" in cls.FIELDS:
            words: list[dict[str, Any]] = [
                {"activate": True}, {"activate": False}, {"activate": False, "divide": True},
            ]  # fmt: skip
            for number, group in itertools.product(eps, groups):
                for more in (
                    words if name == "evonorm_s0" else [{"affine": True}, {"affine": False}]
                ):
                    yield cls(eps=number, groups=group, **more)
        else:
            for number in eps:
                yield cls(eps=number)
                if "affine" in cls.FIELDS:
                    yield cls(eps=number, affine=False)


def _blurs(kind: TensorType, given: tuple[int, ...]) -> Iterator[Op]:
    for stride, size, mode in itertools.product((2, 1, 4), range(2, 8), ("reflect", "zero")):
        before, after = (size - 1) // 2, size // 2
        for sides in {(before, after), (after, before), (after, after), (before, before), (0, 0)}:
            padding = (*sides, *sides)
            yield OPS["blur_pool"](kernel_size=size, stride=stride, padding=padding, pad_mode=mode)


def _same(
    ops: tuple[Op, ...], kind: TensorType, weights: Mapping[str, Any], x: Tensor, wanted: Tensor
) -> bool:
    from resspec_torch import BACKEND
    from resspec_torch.runtime import forward, instantiate, load_weights

    start = value = Value(0, kind)
    nodes = []
    for at, op in enumerate(ops):
        (made,) = op.infer(value.type)
        given = Value(at + 1, made)
        nodes.append(Node(f"op{at}", op.resolve(value.type), (value,), (given,), HERE))
        value = given
    root = Region("", "tried", (start,), (value,), tuple(nodes), HERE, HERE)
    graph = Graph("tried", "", start, (("out", (value,)),), root)
    source = BACKEND.emit(graph)
    model = load_weights(instantiate(graph, source, "cpu", "float64"), source.variables, weights)
    found, _ = forward(model, x.numpy())
    made_here, expected = found["out"][0], wanted.numpy()
    if made_here.shape != expected.shape:
        return False
    apart = np.abs(made_here - expected).max()
    return bool(apart <= CLOSE * max(1.0, float(np.abs(expected).max())))
