"""What is written in the holes of a block: numbers where all instances agree, expressions where
they follow from others, params where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from resspec.language.checker import RESERVED, is_identifier
from resspec.lift.merge import LEFT_OUT, When, choices, holes
from resspec.lift.naming import fresh
from resspec.lift.spell import Hole

DROPS = ("dropout", "channel_dropout", "drop_path")
ONES = frozenset({"stride", "dilation", "groups", *DROPS})
NAMES = {"channels": ("width", "inner", "middle", "hidden")}
Column = Mapping[int, Any]  # a number by instance
TAKEN = frozenset(  # names with a meaning of their own where params are read or given
    "index depth name count block blocks stage stride dilation groups out_channels stage_index "
    "block_index num_blocks depths num_classes".split()
)


class _Unsaid:
    """What is left to a block's own default."""


UNSAID = _Unsaid()


@dataclass(eq=False, slots=True)
class Param:
    """A param of a block: what each instance gives it."""

    name: str
    kind: str
    values: dict[int, Any]
    default: Any = None  # None: it has none

    def declared(self) -> Any:
        values = [*self.values.values()]
        wide = any(isinstance(value, list) for value in values)
        if wide:
            return {"type": "size"} | ({} if self.default is None else {"default": self.default})
        if self.default is not None:
            return self.default
        if isinstance(values[0], bool):
            return {"type": "bool"}
        whole = all(isinstance(value, int) for value in values)
        return {"type": "int" if whole else "number"}


@dataclass(eq=False)
class Solver:
    """One block. `entry`: channels of each instance's first input, which its text calls `source`;
    `keys`: all instances; `given`: what they were made with, by the arguments' names."""

    body: Any
    entry: Column
    keys: Sequence[int]
    source: str = "in_channels"
    given: Mapping[str, Column] = field(default_factory=dict)
    params: list[Param] = field(default_factory=list)

    def solve(self) -> list[Param]:
        """Fill in all holes and conditions; the params."""
        rest: list[Hole] = []
        for hole in holes(self.body):
            values = set(map(repr, hole.values.values()))
            if len(values) == 1 and not self._depthwise(hole):
                hole.text = next(iter(hole.values.values()))
                if hole.text == hole.default:
                    hole.text = LEFT_OUT
            else:
                rest.append(hole)
        channels = [hole for hole in rest if hole.kind == "channels"]
        self._base(channels)
        for hole in rest:
            hole.text = self._expression(hole)
        for hole in holes(self.body):
            self._as_a_param(hole)
        for choice in choices(self.body):
            choice.condition = self._condition(choice)
        return self.params

    def _depthwise(self, hole: Hole) -> bool:
        """As many groups as there are channels: said so, whatever their number."""
        if hole.kind != "groups" or len(self.keys) < 2:
            return False
        return all(hole.values[key] == hole.here[key] > 1 for key in hole.values)

    def _base(self, found: Sequence[Hole]) -> None:
        """The widths that most others follow from."""
        todo = [hole for hole in found if self._derived(hole) is None]
        while todo:
            best, left = None, len(todo) + 1
            for hole in todo:
                if set(hole.values) != set(self.keys):
                    continue
                trial = Param("", "channels", dict(hole.values))
                count = sum(self._derived(one, [*self.params, trial]) is None for one in todo)
                if count < left:
                    best, left = hole, count
            if best is None:
                best = todo[0]
            more = self._made_with(todo)
            ratio = self._ratio(todo, best)
            if ratio is not None and ratio[0] <= left:
                self.params.append(ratio[1])
            elif more is not None and more[0] < left:
                self.params.append(more[1])
            else:
                self._declare(best)
            todo = [hole for hole in todo if self._derived(hole) is None]

    def _made_with(self, todo: Sequence[Hole]) -> tuple[int, Param] | None:
        """An argument of the constructor that more widths follow from than from any of them; how
        many are left."""
        found: list[tuple[int, Param]] = []
        taken = {param.name for param in self.params}
        for name, column in self.given.items():
            whole = all(type(value) is int and value > 0 for value in column.values())
            if not whole or name in taken or not _may_name(name) or len({*column.values()}) < 2:
                continue
            trial = Param(name, "channels", dict(column))
            left = sum(self._derived(one, [*self.params, trial]) is None for one in todo)
            found.append((left, trial))
        return min(found, key=lambda one: one[0], default=None)

    def _ratio(self, todo: Sequence[Hole], best: Hole) -> tuple[int, Param] | None:
        """How many times the channels of the input a width has, where that is a whole number and
        takes fewer values than the width does; how many widths are left."""
        values, entry = best.values, self.entry
        if set(values) != set(self.keys) or any(values[key] % entry[key] for key in values):
            return None
        ratios = {key: values[key] // entry[key] for key in values}
        if not 1 < len({*ratios.values()}) < len({*values.values()}):
            return None
        taken = {param.name for param in self.params}
        wishes = [
            *(name for name, column in self.given.items()
              if _may_name(name) and all(column[key] == ratios[key] for key in ratios)),
            "expansion", "expansion2", "expansion3",
        ]  # fmt: skip
        name = next((wish for wish in wishes if wish not in taken), None)
        if name is None:
            return None
        trial = Param(name, "ratio", ratios)
        return sum(self._derived(one, [*self.params, trial]) is None for one in todo), trial

    def _declare(self, hole: Hole) -> Param:
        values = dict(hole.values)
        default: Any = 1 if hole.kind in ONES else None
        if hole.kind in DROPS:
            default = 0.0
        missing = [key for key in self.keys if key not in values]
        if missing:  # where its layer is not there at all
            default = default if default is not None else next(iter(values.values()))
            values |= dict.fromkeys(missing, default)
        wishes = NAMES.get(hole.kind, (hole.kind,))
        taken = {param.name for param in self.params} | {"index", "depth"}
        if hole.kind == "channels":
            made_with = [
                name
                for name, column in self.given.items()
                if all(column[key] == value for key, value in hole.values.items())
            ]
            wishes = (*filter(_may_name, made_with), *wishes)
        name = next((wish for wish in wishes if wish not in taken), None)
        number = 2
        while name is None:
            wish = f"{wishes[-1]}{number}"
            name, number = (wish if wish not in taken else None), number + 1
        param = Param(name, hole.kind, values, default)
        self.params.append(param)
        return param

    def _derived(self, hole: Hole, params: Sequence[Param] | None = None) -> str | None:
        """An expression that gives the hole's number in every instance."""
        values = hole.values
        same = all(values[key] == hole.here[key] for key in values)
        if same and hole.kind == "groups":
            return "channels"
        declared = self.params if params is None else params
        known: list[tuple[str, Column]] = [
            (param.name, param.values) for param in declared if param.kind == "channels"
        ]
        known.append((self.source, self.entry))
        if hole.kind not in ("channels", "groups"):
            return None
        for name, column in known:
            ratios = {Fraction(values[key], column[key]) for key in values}
            if len(ratios) == 1:
                return _times(name, ratios.pop())
        for param in declared:
            if param.kind == "ratio" and all(
                values[key] == self.entry[key] * param.values[key] for key in values
            ):
                return f"{self.source} * {param.name}"
        return "channels" if same else None

    def _expression(self, hole: Hole) -> Any:
        found = self._derived(hole)
        if found is not None:
            return found
        for param in self.params:
            if param.kind == hole.kind and all(
                param.values[key] == hole.values[key] for key in hole.values
            ):
                return param.name
        return self._declare(hole).name

    def _as_a_param(self, hole: Hole) -> None:
        """A number that only some instances have, where it is what they give a param."""
        if len(hole.values) == len(self.keys) or isinstance(hole.text, str):
            return
        for param in self.params:
            if param.kind == hole.kind and all(
                param.values[key] == value for key, value in hole.values.items()
            ):
                hole.text = param.name
                return

    def _condition(self, choice: When) -> str:
        """What tells the instances that have the layers from the others."""
        stride = next((one.values for one in self.params if one.name == "stride"), None)
        own = [(one.name, one.values) for one in self.params if one.kind == "channels"]
        entry, source = self.entry, self.source
        tests: list[tuple[str, Any]] = []
        for text, column in (*own, *self._widths()):
            if stride is not None:
                tests += [
                    (
                        f"stride != 1 or {source} != {text}",
                        lambda key, c=column: stride[key] != 1 or entry[key] != c[key],
                    ),
                    (
                        f"stride == 1 and {source} == {text}",
                        lambda key, c=column: stride[key] == 1 and entry[key] == c[key],
                    ),
                ]
        if stride is not None:
            tests.append(("stride != 1", lambda key: stride[key] != 1))
        for text, column in (*own, *self._widths()):
            tests.append((f"{source} != {text}", lambda key, c=column: entry[key] != c[key]))
        for text, test in tests:
            said = {key for key in self.keys if test(key)}
            if said == choice.members:
                return text
            if (
                said == set(self.keys) - choice.members
                and " or " not in text
                and " and " not in text
            ):
                return text.replace("!=", "==")
        name = self._flag(choice)
        values = {key: key in choice.members for key in self.keys}
        for param in self.params:
            if param.kind == "flag" and param.values == values:
                return param.name
        self.params.append(Param(name, "flag", values, False))
        return name

    def _widths(self) -> list[tuple[str, Column]]:
        """Channel counts that the body computes."""
        return [
            (hole.text, hole.values)
            for hole in holes(self.body)
            if hole.kind == "channels" and isinstance(hole.text, str) and " " in hole.text
            and set(hole.values) == set(self.keys)
        ]  # fmt: skip

    def _flag(self, choice: When) -> str:
        taken = {param.name for param in self.params}
        for name, column in self.given.items():
            told = {key for key in self.keys if column[key]}
            whether = all(isinstance(value, bool) for value in column.values())
            if told == choice.members and whether and _may_name(name) and name not in taken:
                return name
        return fresh("extra", taken)


def _times(name: str, ratio: Fraction) -> str:
    if ratio == 1:
        return name
    if ratio.denominator == 1:
        return f"{name} * {ratio.numerator}"
    if ratio.numerator == 1:
        return f"{name} // {ratio.denominator}"
    return f"{name} * {ratio.numerator} // {ratio.denominator}"


def _may_name(name: str) -> bool:
    """Whether a param may have it."""
    return is_identifier(name) and name not in RESERVED and name not in TAKEN
