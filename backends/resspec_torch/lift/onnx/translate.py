"""An ONNX graph at one input size → a program of ATen's calls: what depends on sizes alone is
computed, everything else is said by the table in `operators`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resspec.lift.naming import fresh
from resspec.lift.table import Table
from resspec_torch.lift.onnx.folding import FOLDED, folded
from resspec_torch.lift.onnx.model import LAYERS, NORMS, Model, Node
from resspec_torch.lift.program import Call, Program, Ref, Unfit, operation

Array = NDArray[Any]
TABLE = Table()
operator = TABLE.of
EIGHT = re.compile("Quantize|QLinear|Integer")
TRAINED = {
    *LAYERS,
    *NORMS,
    "GroupNorm",
    "Linear",
}  # whose numbers are no constants, even single ones
QUANTISED = "values of eight bits; give the model as it was before they were made so"


class Unsaid(Exception):
    """No operation of ATen says this; the text is why."""


def flag(condition: bool, reason: str) -> None:
    if condition:
        raise Unsaid(reason)


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that depend on sizes at most."""

    array: Array


@dataclass(frozen=True, eq=False)
class Made:
    """A tensor of the program. meta: its shape, None where that is not known."""

    ref: Ref
    meta: Tensor | None

    @property
    def shape(self) -> tuple[int, ...]:
        if self.meta is None:
            raise Unsaid("it reads what could not be followed")
        return tuple(int(one) for one in self.meta.shape)


class Translator:
    """One pass over a model, for inputs of `shape` as the model has them."""

    def __init__(self, model: Model, shape: tuple[int, ...]) -> None:
        self.model, self.shape = model, shape
        self.calls: list[Call] = []
        self.taken: dict[str, tuple[str, str]] = {}
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, Known | Made | None] = {}
        self.stack: Mapping[str, tuple[str, str]] = {}
        self.places: dict[str, str] = {}
        self.count = 0
        self.used = {name for node in model.nodes for name in node.inputs} | {*model.outputs}
        weights = {name for node in model.nodes if node.op.rpartition(".")[2] in TRAINED
                   for name in node.inputs[1:]}  # fmt: skip
        for name, array in model.tensors.items():
            wide = array.dtype.kind == "f" and (array.size > 1 or (array.ndim and name in weights))
            self.values[name] = None if wide else Known(array)
        self.values[model.input] = self.given = Made(
            Ref("input"), torch.empty(shape, device="meta")
        )

    def program(self, channels_last: bool) -> Program:
        """Errors: Unfit."""
        if channels_last:
            self.given = Made(Ref("input"), self.given.meta.permute(0, 3, 1, 2))  # type: ignore[union-attr]
            self.values[self.model.input] = self.emit("permute", self.given, [0, 2, 3, 1])
        for node in self.model.nodes:
            self.node(node)
        outputs: list[tuple[str, Ref | None]] = []
        taken: set[str] = set()
        for at, name in enumerate(self.model.outputs):
            value = self.values.get(name)
            if isinstance(value, Made) and channels_last and value.meta is not None:
                value = (
                    self.emit("permute", value, [0, 3, 1, 2]) if value.meta.dim() == 4 else value
                )
            word = "".join(char if char.isalnum() else "_" for char in name)
            plain = word.isidentifier() and word[:1].isalpha() and not keyword.iskeyword(word)
            word = fresh(word if plain else f"out{at}_{word}".rstrip("_"), taken)
            word = "out" if len(self.model.outputs) == 1 else word
            outputs.append((word, value.ref if isinstance(value, Made) else None))
        shape = self.given.shape
        return Program(self.calls, "input", shape, self.taken, outputs, self.tensors)

    def node(self, node: Node) -> None:
        self.stack = node.stack or {f"{node.label}@{self.count}": (node.label, "torch.nn.modules.")}
        arrays = [self._number(name, node.op in TABLE) for name in node.inputs]
        known = all(one is not None for one, name in zip(arrays, node.inputs, strict=True) if name)
        if known and any(node.inputs) and node.op in FOLDED:
            results = folded(node.op, arrays, len(node.outputs), node.attributes, self.model.opset)
            self.values |= {
                name: Known(one) for name, one in zip(node.outputs, results, strict=True)
            }
            return
        values = [self._value(name) for name in node.inputs]
        try:
            handler = TABLE.get(node.op)
            if handler is None:
                raise Unsaid(QUANTISED if EIGHT.search(node.op) else "no op says this")
            found = handler(self, node, *values)
        except Unsaid as problem:
            found = self._unsaid(node, str(problem))
        except (TypeError, KeyError, IndexError, ValueError, ArithmeticError) as problem:
            place = f"{node.op} `{node.label or node.outputs[0]}`"
            raise Unfit(f"{place} is not as the standard has it") from problem
        made_of = found if isinstance(found, list) else [found]
        if self.used.intersection(node.outputs[len(made_of) :]):
            made_of = self._unsaid(node, "of what it gives only the first is read")
        self.values |= dict(zip(node.outputs, made_of, strict=False))

    def _number(self, name: str, sizes: bool) -> Array | None:
        """The numbers of a value that are known; sizes: not those that layers may train."""
        value = self.values.get(name)
        if isinstance(value, Known):
            return value.array
        kept = None if sizes or value is not None else self.model.tensors.get(name)
        return kept if sizes or kept is not None else self.array(value)

    def _value(self, name: str) -> Any:
        if not name:
            return None
        value = self.values.get(name)
        return self.tensor(name) if value is None and name in self.model.tensors else value

    def _unsaid(self, node: Node, reason: str) -> list[Made]:
        """A call that is nothing, so that it is told where it stands."""
        reads = [one.ref for name in node.inputs if isinstance(one := self._value(name), Made)]
        made = [Made(Ref(self._name()), None) for _ in node.outputs]
        names = tuple(one.ref.name for one in made)
        target, place = f"onnx.{node.op}", node.label or node.outputs[0]
        self.stack = node.stack or {f"{place}@": (place, "torch.nn.modules.")}
        self.calls.append(Call(target, tuple(reads), {}, names, len(names) > 1, self.stack, reason))
        return made

    def _name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    # -- what operators use ----------------------------------------------------------------------

    def tensor(self, name: str, kind: str = "parameters") -> Made:
        """A tensor of the file."""
        word = self.places.setdefault(name, f"p{len(self.places)}")
        if self.taken.get(word, ("", ""))[0] != "buffers":
            self.taken[word] = (kind, name)
        array = self.model.tensors[name]
        if name not in self.tensors:
            self.tensors[name] = torch.from_numpy(np.array(array))
        return Made(Ref(word), self.tensors[name].to("meta"))

    def array(self, value: Any) -> Array | None:
        """The numbers of a constant, however it was given."""
        if isinstance(value, Known):
            return value.array
        kind, name = (
            self.taken.get(value.ref.name, ("", "")) if isinstance(value, Made) else ("", "")
        )
        return self.tensors[name].numpy() if kind else None

    def constant(self, array: Array) -> Made:
        """Numbers as a tensor that nothing trains."""
        name = f"constant_{len(self.tensors)}"
        self.tensors[name] = torch.from_numpy(np.array(array, np.float32))
        self.taken[name] = ("constants", name)
        return Made(Ref(name), self.tensors[name].to("meta"))

    def emit(self, name: str, *args: Any, overload: str = "default", **kwargs: Any) -> Any:
        """A call of ATen: what it gives."""
        target = f"aten.{name}.{overload}"
        metas, refs = _parts(args, "meta"), _parts(args, "ref")
        more, named = _parts(kwargs, "meta"), _parts(kwargs, "ref")
        flag(_missing(metas), "it reads what could not be followed")
        op = operation(target)
        assert op is not None, target
        try:
            found = op(*metas, **more)
        except (RuntimeError, TypeError, ValueError, IndexError) as problem:
            line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
            raise Unfit(f"{name}: {line[:200]}") from problem
        several = isinstance(found, list | tuple)
        made = [Made(Ref(self._name()), one) for one in (found if several else [found])]
        names = tuple(one.ref.name for one in made)
        self.calls.append(Call(target, refs, named, names, several, self.stack))
        return made if several else made[0]


class _Nothing:
    pass


NOTHING = _Nothing()


def _parts(value: Any, attribute: str) -> Any:
    if isinstance(value, Made):
        found = getattr(value, attribute)
        return NOTHING if found is None else found
    if isinstance(value, list):
        return [_parts(one, attribute) for one in value]
    if isinstance(value, tuple):
        return tuple(_parts(one, attribute) for one in value)
    if isinstance(value, dict):
        return {key: _parts(one, attribute) for key, one in value.items()}
    return value


def _missing(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_missing(one) for one in value)
    return value is NOTHING
