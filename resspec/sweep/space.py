"""Design spaces: the settings that are tried, all of a grid or some drawn at random.

A setting is what `--set` takes, `stages.2.depth=23`. An axis is a key with the values it may have:
`width=32,48,64`, `stages.2.depth=1..40`, `width=8..256..8`; with `log` before a range, numbers are
drawn such that their logarithms are spread evenly, as design spaces are sampled in
arXiv:2003.13678, section 3.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from resspec.diagnostics import SpecError, error

MAX_SETTINGS = 1_000_000
MAX_VALUES = 100_000  # of one axis
NUMBER = r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?"
RANGE = re.compile(rf"(log +)?({NUMBER})\.\.({NUMBER})(?:\.\.({NUMBER}))?")
PIECE = re.compile(r"""[\[{]|[\]}]|,|"(?:\\.|[^"\\])*"|'(?:''|[^'])*'|[^\[\]{},"']+|["']""")
TRIES = 50  # of drawing another setting than those before, for each that is wanted

Setting = tuple[str, ...]  # of each axis, `key=value`


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included. step: None for any number between them."""

    low: Decimal
    high: Decimal
    step: Decimal | None
    log: bool

    def __len__(self) -> int:
        return 0 if self.step is None else int((self.high - self.low) / self.step) + 1

    def at(self, index: int) -> str:
        """A number of the grid, as it is written."""
        assert self.step is not None
        return str(self.low + index * self.step)

    def drawn(self, chance: float) -> str:
        """The number at a place between 0 and 1."""
        if not self.log and self.step is not None:
            return self.at(int(chance * len(self)))
        low, high = float(self.low), float(self.high)
        if self.log:
            number = math.exp(math.log(low) + chance * (math.log(high) - math.log(low)))
        else:
            number = low + chance * (high - low)
        if self.step is None:
            return f"{number:.6g}"
        steps = round((number - low) / float(self.step))
        return self.at(min(steps, len(self) - 1))


@dataclass(frozen=True, slots=True)
class Axis:
    """A key and its values, in YAML."""

    key: str
    values: tuple[str, ...] | Range

    def drawn(self, chance: float) -> str:
        """The value at a place between 0 and 1."""
        if isinstance(self.values, Range):
            return self.values.drawn(chance)
        return self.values[int(chance * len(self.values))]

    def __iter__(self) -> Iterator[str]:
        values = self.values
        return map(values.at, range(len(values))) if isinstance(values, Range) else iter(values)


@dataclass(frozen=True, slots=True)
class Space:
    """Axes, and what is the same everywhere."""

    fixed: Setting
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int | None:
        """How many settings there are; None where a range has no step."""
        if any(isinstance(one.values, Range) and one.values.step is None for one in self.axes):
            return None
        return math.prod(len(one.values) for one in self.axes)

    def grid(self) -> Iterator[Setting]:
        """Every setting, the last axis the fastest. Errors: `bad-value` where that is no list."""
        if self.size is None:
            endless = next(one.key for one in self.axes if not len(one.values))
            raise error(
                "bad-value",
                f"`{endless}` may be any number of its range",
                help="give a step, `1.5..3..0.1`, or draw some with --random N",
            )
        if self.size > MAX_SETTINGS:
            raise error(
                "bad-value",
                f"{self.size:,} settings; the limit is {MAX_SETTINGS:,}",
                help="draw some of them with --random N",
            )
        for values in itertools.product(*self.axes):
            yield self._setting(values)

    def sample(self, count: int, seed: int) -> Iterator[Setting]:
        """So many settings, none twice; fewer where there are no more. The same for a seed."""
        source, seen = random.Random(seed), set[Setting]()  # noqa: S311 (nothing is secret)
        for _ in range(TRIES * count):
            if len(seen) == count:
                return
            setting = self._setting([one.drawn(source.random()) for one in self.axes])
            if setting not in seen:
                seen.add(setting)
                yield setting

    def _setting(self, values: Sequence[str]) -> Setting:
        return tuple(f"{one.key}={value}" for one, value in zip(self.axes, values, strict=True))


def space(settings: Sequence[str]) -> Space:
    """The space that `--set` options span: those with one value are the same everywhere.

    Errors: `bad-value`.
    """
    axes = [axis(*setting.split("=", 1)) for setting in settings]
    keys = [one.key for one in axes]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise error("bad-value", f"`{twice}` is set twice", help=f"write `{twice}=1,2,3`")
    return Space(
        tuple(one for one, made in zip(settings, axes, strict=True) if len(made.values) == 1),
        tuple(one for one in axes if len(one.values) != 1),
    )


def axis(key: str, text: str) -> Axis:
    """The axis that `KEY=TEXT` says. Errors: `bad-value`."""
    key, text = key.strip(), text.strip()
    if found := RANGE.fullmatch(text):
        return Axis(key, _range(f"{key}={text}", *found.groups()))
    values = _split(text)
    if len(set(values)) < len(values) or not all(values[1:]):
        what = "is there twice" if all(values[1:]) else "is empty"
        raise error("bad-value", f"`{key}={text}`: a value {what}")
    return Axis(key, values)


def _range(text: str, log: str | None, low: str, high: str, step: str | None) -> Range:
    found = Range(Decimal(low), Decimal(high), Decimal(step) if step else None, bool(log))
    if step is None and "." not in low + high:
        found = Range(found.low, found.high, Decimal(1), found.log)
    if found.low > found.high or (found.step is not None and found.step <= 0):
        raise _wrong(text, "a range goes upwards, `1..9` or `1..9..2`")
    if found.log and found.low <= 0:
        raise _wrong(text, "logarithms are of numbers above 0")
    if len(found) > MAX_VALUES:
        raise _wrong(text, f"{len(found):,} values; the limit is {MAX_VALUES:,}")
    return found


def _wrong(text: str, message: str) -> SpecError:
    return error("bad-value", f"`{text}`: {message}")


def _split(text: str) -> tuple[str, ...]:
    """Values between commas, of which those inside of brackets and quotes are none."""
    values, depth = [""], 0
    for piece in PIECE.findall(text):
        depth += (piece in "[{") - (piece in "]}")
        if piece == "," and depth == 0:
            values.append("")
        else:
            values[-1] += piece
    return tuple(value.strip() for value in values)
