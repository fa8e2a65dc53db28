"""Which function says a stock layer of Keras in ops of the language, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.record import Data
from resspec.lift.table import Table
from resspec_tensorflow.lift.walk import Unliftable, Walker, flag

TABLE = Table()
layer = TABLE.of


def over_channels(x: Any, axis: Any) -> None:
    places = [axis] if isinstance(axis, int) else list(axis)
    right = len(places) == 1 and x.layout[places[0]] == layouts.usual(x.value.type, 1)[1]
    flag(not right, "over something else than the channels")


def merged(walk: Walker, op: str, tensors: Sequence[Any]) -> Data:
    """Tensors joined element by element."""
    flag(not all(isinstance(one, Data) for one in tensors), "some of it does not depend on input")
    if any(one.layout != tensors[0].layout for one in tensors):
        tensors = [arrange.in_rows(walk.recorder, one) for one in tensors]  # some are, already
    layout = tensors[0].layout
    for one in tensors[1:]:
        layout = layouts.broadcast(layout, one.layout)
    values = [one.value for one in tensors]
    if op != "mul" and len({value.type for value in values}) > 1:
        raise Unliftable(f"values of {', '.join(str(value.type) for value in values)}")
    (made,) = walk.recorder.apply(op, *values)
    return Data(made, layout)
