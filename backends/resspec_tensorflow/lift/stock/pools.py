"""Pooling."""

from __future__ import annotations

from typing import Any

from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.registry import layer
from resspec_tensorflow.lift.walk import Walker


@layer("MaxPooling2D", "AveragePooling2D")
def _pool(walk: Walker, one: Any, x: Any) -> Data:
    value, sides = walk.map(one, x), one.padding
    arguments: dict[str, Any] = {}
    if type(one).__name__ == "AveragePooling2D":
        op = "avg_pool"
        arguments = {"count_include_pad": sides == "valid"}
        words: tuple[str, ...] = ("zero",)
    else:
        op, words = "max_pool", ("lowest", "zero")
    if sides == "valid":
        sides = (0, 0, 0, 0)
        for word in words:
            inner, found = walk.recorder.before_pad(value, sides, word)
            window = max(tuple(one.pool_size))
            if inner is not value and max(found) < window:
                value, sides = inner, found
                if op == "max_pool":
                    arguments = {"pad_value": word}
                break
    (made,) = walk.recorder.apply(
        op, value, kernel_size=tuple(one.pool_size), stride=tuple(one.strides), padding=sides,
        **arguments,
    )  # fmt: skip
    return walk.laid(one, made)


@layer("GlobalAveragePooling2D", "GlobalMaxPooling2D")
def _global_pool(walk: Walker, one: Any, x: Any) -> Data:
    kind = "avg" if "Average" in type(one).__name__ else "max"
    (made,) = walk.recorder.apply(f"global_{kind}_pool", walk.map(one, x))
    data = walk.laid(one, made)
    if one.keepdims:
        return data
    return Data(made, tuple(axis for at, axis in enumerate(data.layout) if axis or at == 0))
