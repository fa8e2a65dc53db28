"""What the functions share: an operator's inputs as tensors and numbers, and its padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.translate import Known, Made, Translator, flag
from resspec_torch.lift.values import WRITTEN

Values = Any  # Made, Known or None


def data(value: Any) -> Made:
    flag(not isinstance(value, Made), "it reads numbers alone")
    assert isinstance(value, Made)
    return value


def ints(value: Any) -> list[int]:
    flag(not isinstance(value, Known), "its sizes depend on the data")
    return [int(one) for one in value.array.reshape(-1)]


def number(value: Any) -> float | None:
    if isinstance(value, Known) and value.array.size == 1:
        # as it was meant: 1/6, which single precision holds to seven digits
        return float(value.array.reshape(-1)[0])
    return None


def operand(t: Translator, value: Any) -> Any:
    """A value of arithmetic: a number where it is one."""
    one = number(value)
    if one is not None:
        return one
    return t.constant(value.array) if isinstance(value, Known) else data(value)


def constant(t: Translator, value: Any) -> Any:
    """Numbers of the file that no op trains where they stand: few of them are a constant."""
    array = t.array(value) if isinstance(value, Made) else None
    return value if array is None or array.size > WRITTEN else t.constant(array)


def pads_of(t: Translator, node: Node, x: Made, kernel: Sequence[int]) -> list[int]:
    """top, bottom, left, right; along one axis, that of columns."""
    found, count = node.attributes, len(kernel)
    strides = found.get("strides", [1] * count)
    dilations = found.get("dilations", [1] * count)
    auto = found.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = found.get("pads", [0] * (2 * count))
        ends = [one for pair in zip(pads[:count], pads[count:], strict=True) for one in pair]
        return [0, 0, *ends][-4:]
    if auto == "VALID":
        return [0, 0, 0, 0]
    sides = [0, 0] * (2 - count)
    for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less, more = total // 2, total - total // 2
        sides += [less, more] if auto == "SAME_UPPER" else [more, less]
    return sides


def padded(t: Translator, x: Made, sides: list[int], fill: float) -> tuple[Made, list[int]]:
    """The input, and what is left to pad on both ends of an axis alike."""
    top, bottom, left, right = sides
    axes = len(x.shape) - 2
    if top == bottom and left == right:
        return x, [top, left][-axes:]
    ends = [left, right, top, bottom][: 2 * axes]
    return t.emit("constant_pad_nd", x, ends, fill), [0] * axes


def over(axes: int) -> str:
    """What ATen calls an operation of windows over so many axes."""
    flag(axes not in (1, 2), "over other than rows and columns")
    return f"{axes}d"
