"""Constants up to the limits that ops declare, and integers as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.properties.generate.choose import Seeded

EPSILONS = (1e-3, 1e-5, 1e-12, 0.999, 1e-18)
NUMBERS = (0.5, -1, 1, 0, 3, -0.25, 1e-30, -1e30, 1e30)
ALPHAS = (0.5, 1, 2.0, 1e-3, 1e-30, 1e30)
RATES = (0, 0.0, 0.2, 0.999, 1, 1.0)
MOMENTA = (0, 1, 0.0, 1.0, 0.01, 0.3, 0.999)


def number(g: Seeded, common: float) -> Any:
    """A number: mostly a common one, at times one at the limits."""
    return common if g.chance(50) else g.choice(NUMBERS)


def written(g: Seeded, value: int, numbers: Mapping[str, Any]) -> Any:
    """An integer, or one of many expressions that give it. `numbers`: names that have a value."""
    if g.chance(60):
        return value
    equal = [name for name, known in numbers.items() if known == value]
    if equal and g.chance(60):
        return g.choice(equal)
    if numbers and g.chance(40):
        name = g.choice([*numbers])
        return f"{name} + {value - numbers[name]}".replace("+ -", "- ")
    k = g.integer(2, 5)
    forms = [
        f"{value + k} - {k}",
        f"{value * k} / {k}",
        f"{value * k + k - 1} // {k}",
        f"min({value}, {value + k})",
        f"max([{value}, {value - k}])",
        f"{value} if {k} > 1 and not false else {k}",
        f"{k} if {k} in [1, {k + 1}] else {value}",
        f"{value} if 1 < {k} <= 5 != 6 else -1",
        f"[{k}, {value}][-1]",
        f"[[{k}], [{value}, {k}]][1][0]",
        f"round({value}.25)",
        f"ceil({value} - 0.5)",
        f"abs(-{value})",
        f"floor(sqrt({value} * {value}))",
        f"log2(2 ** {value})" if value < 60 else f"{value}",
        f"{value + k * 7} % {value + 1 if value >= k * 7 else value + k * 7 + 1} - {k * 7}"
        if value + k * 7 < value + 1
        else f"({value} + {k}) - {k} % {k + 1}",
        f"make_divisible({value}, 1, 0)",
        f"make_divisible(v={value}, divisor=1, min_value=0, round_limit=0)",
        f"sum([{value - 1}, len([{k}])])",
        f"sum([]) + {value}",
        f"({value})",
        f"+{value}.0",
    ]
    return str(g.choice(forms))


def condition(g: Seeded, truth: bool, numbers: Mapping[str, Any]) -> Any:
    """A condition of that truth over the numbers in scope."""
    if not numbers or g.chance(10):
        return g.choice([truth, "true" if truth else "false", int(truth), f"{int(truth)} * 3"])
    name = g.choice([*numbers])
    value = numbers[name]
    true = [
        f"{name} == {value}",
        f"not ({name} != {value})",
        f"{name} == {value} and true",
        f"{name} in [{value}, -7]",
        f"{value - 1} < {name} <= {value}",
        f"false or {name} >= {value}",
    ]
    false = [
        f"{name} != {value}",
        f"not ({name} == {value})",
        f"{name} == {value} and false",
        f"{name} not in [{value}, -7]",
        f"{value} < {name}",
        f"false or {name} > {value}",
    ]
    return g.choice(true if truth else false)
