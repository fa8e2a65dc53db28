"""What the arguments of ops are: hints that pydantic reads, each named once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from resspec.declared import Limits


def pair(value: Any) -> Any:
    """One number for both."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def sides(value: Any) -> Any:
    """Padding numbers: n, [vertical, horizontal] or [top, bottom, left, right]."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * 4
    if isinstance(value, list | tuple) and len(value) == 2:
        return (value[0], value[0], value[1], value[1])
    return value


def by_name(value: Any) -> Any:
    """Numbers by name, in the order of the names."""
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


MAX_EXTENT = 2**20
PositiveInt = Annotated[int, Limits(strict=True, ge=1, le=MAX_EXTENT)]
NonNegativeInt = Annotated[int, Limits(strict=True, ge=0, le=MAX_EXTENT)]
Pair = Annotated[tuple[PositiveInt, PositiveInt], Limits(before=pair)]
PairFromZero = Annotated[tuple[NonNegativeInt, NonNegativeInt], Limits(before=pair)]
Sides = tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt]
SidesValue = Annotated[Sides, Limits(before=sides)]
WeightStart = Literal["default", "zero"]
ScaleStart = Literal["one", "zero"]
PaddingWord = Literal["symmetric", "same", "valid"]
Padding = Annotated[PaddingWord | Sides, Limits(before=sides)]
# its square is a number in float32, and so is what divides by its root three times
Epsilon = Annotated[float, Limits(ge=1e-18, lt=1)]
AxisSizes = Annotated[tuple[tuple[str, PositiveInt], ...], Limits(before=by_name)]
Rate = Annotated[float, Limits(ge=0, le=1)]
Number = Annotated[float, Limits(ge=-1e30, le=1e30, tangible=True)]
PositiveNumber = Annotated[float, Limits(gt=0, le=1e30, tangible=True)]
