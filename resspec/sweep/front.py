"""Rows chosen and ordered: by a condition, by a column, or the best of which none beats another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from resspec.diagnostics import SpecError, did_you_mean, error
from resspec.language.evaluate import ExprError
from resspec.language.expr import parse_expr

Row = Mapping[str, Any]
One = TypeVar("One", bound=Row)


def keep(condition: str, names: Sequence[str]) -> Callable[[Row], bool]:
    """Whether a row meets a condition of the language, `macs < 4e9 and params < 30e6`.

    names: what it may speak of. Errors: those of expressions, and `unknown-name`.
    """
    try:
        parsed = parse_expr(condition)
    except ExprError as problem:
        raise _told(problem, condition) from None
    if unknown := sorted(parsed.names - set(names)):
        message = f"`{condition}` asks for `{unknown[0]}`; there is {', '.join(names)}"
        raise error("unknown-name", message, help=did_you_mean(unknown[0], names))

    def holds(row: Row) -> bool:
        try:
            value = parsed.evaluate(row.__getitem__)
        except ExprError as problem:
            raise _told(problem, condition) from None
        if not isinstance(value, bool):
            message = f"`{condition}` gives {value!r}, neither true nor false"
            raise error("expression-value", message, help="compare: `macs < 4e9`")
        return value

    return holds


def _told(problem: ExprError, condition: str) -> SpecError:
    message = f"`{condition}`: {problem.message}"
    return error(problem.code, message, help=problem.help)


def ordered(rows: Sequence[One], key: str, names: Sequence[str]) -> list[One]:
    """By a column, the smallest first; the largest first where the name begins with `-`."""
    name, sign = best(key, names)
    return sorted(rows, key=lambda row: sign * row[name])


def best(key: str, names: Sequence[str]) -> tuple[str, int]:
    """A column and 1 where less of it is better, -1 where more is. Errors: `unknown-name`."""
    name = key.removeprefix("-").strip()
    if name not in names:
        message = f"there is no column `{name}`; there is {', '.join(names)}"
        raise error("unknown-name", message, help=did_you_mean(name, names))
    return name, -1 if key.startswith("-") else 1


def front(rows: Sequence[One], keys: Sequence[str], names: Sequence[str]) -> list[One]:
    """The rows that no other is as good as in every column and better in one (Pareto's front)."""
    wanted = [best(key, names) for key in keys]

    def goodness(row: Row) -> tuple[float, ...]:
        return tuple(sign * row[name] for name, sign in wanted)

    return list(_unbeaten(sorted(rows, key=goodness), goodness))


def _unbeaten(rows: Sequence[One], goodness: Callable[[Row], tuple[float, ...]]) -> Iterator[One]:
    kept: list[tuple[float, ...]] = []  # whatever beats a row is before it
    for row in rows:
        here = goodness(row)
        if not any(
            one != here and all(a <= b for a, b in zip(one, here, strict=True)) for one in kept
        ):
            kept.append(here)
            yield row
