"""Tensors that a file describes: placed, bounded, and read only when they are taken."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.weights.files.source import Data, Unreadable, shown, whole

# What an element takes, and what it becomes: half precision is widened, which is exact.
PLAIN = {
    "float16": np.float32, "float32": np.float32, "float64": np.float64, "bfloat16": np.float32,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "bool": np.bool_,
}  # fmt: skip
FLOATS = ("float16", "bfloat16", "float32", "float64")
STORED = {"bfloat16": "u2", "bool": "u1"}
# What libraries call the parameters and statistics of a layer.
WEIGHTS = ("weight", "bias", "gain", "kernel", "gamma", "beta", "scale", "running_mean",
           "running_var", "mean", "var", "moving_mean", "moving_variance")  # fmt: skip
RANK = 32
LARGEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Lazy:
    """A tensor that is not yet read.

    strides, offset: in elements; no strides: C order. held: bytes that reading it keeps beside.
    trouble: why it cannot be read at all.
    """

    dtype: str
    shape: tuple[int, ...]
    data: Data | None = None
    offset: int = 0
    strides: tuple[int, ...] | None = None
    big: bool = False
    held: int = 0
    trouble: str = ""

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it may be a weight: what is in trouble may be one, too."""
        return bool(self.trouble) or self.dtype not in PLAIN or self.dtype in FLOATS

    def same(self) -> tuple[object, ...]:
        """What two tensors have in common that are one and the same."""
        return (self.dtype, self.shape, id(self.data), self.offset, self.strides)


def unreadable(kind: str, shape: tuple[int, ...] = (1,)) -> Lazy:
    """A tensor of a kind that holds no plain numbers."""
    return Lazy(kind, shape, trouble=f"is {kind}")


def extents(found: object, what: str = "shape") -> tuple[int, ...]:
    """A shape or strides as a file gives them. Errors: Unreadable."""
    if not isinstance(found, tuple | list) or len(found) > RANK:
        raise Unreadable(f"a tensor's {what} is damaged")
    for extent in found:
        if type(extent) is not int or not 0 <= extent < LARGEST:
            raise Unreadable(f"a tensor's {what} is damaged")
    if 0 in found and math.prod(extent or 1 for extent in found) >= LARGEST >> 4:
        raise Unreadable(f"a tensor's {what} is damaged")  # of nothing, and more than NumPy takes
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a tensor's numbers are: bytes [start, stop) of its data, strides in elements."""

    start: int
    stop: int
    strides: tuple[int, ...]
    stored: np.dtype[Any]


def measured(tensors: Iterable[tuple[str, Lazy]], limit: int) -> None:
    """Refuse, before any number is read, what is no plain tensor or is damaged, and what takes
    more memory than that or much more reading. Errors: Unreadable."""
    total, beside, reading, largest, name_of_largest = 0, 0, 0, -1, ""
    for name, tensor in tensors:
        if tensor.trouble:
            raise Unreadable(f"`{shown(name)}` {tensor.trouble}, and cannot be read as weights",
                             "save it as a plain tensor of float32 numbers")  # fmt: skip
        if tensor.dtype not in PLAIN or (tensor.dtype not in FLOATS and is_weight(name)):
            raise Unreadable(
                f"`{shown(name)}` is stored as {shown(tensor.dtype or 'bytes')}; weights are read "
                f"as {', '.join(FLOATS)}",
                "convert it before saving: `.float()`",
            )
        taken = tensor.size * np.dtype(PLAIN[tensor.dtype]).itemsize
        total += taken
        if taken > largest:
            largest, name_of_largest = taken, name
        span = span_of(name, tensor)
        if span is not None and tensor.data is not None:
            reading += span.stop - (0 if tensor.data.sequential else span.start)
            if not _is_c_order(tensor.shape, span.strides):
                beside = max(beside, span.stop - span.start + 8 * tensor.size)
            beside = max(beside, tensor.held)
    if total > limit:
        raise Unreadable(
            f"its tensors claim {_bytes(total)}, `{shown(name_of_largest)}` alone "
            f"{_bytes(largest)}; for this spec at most {_bytes(limit)} are read",
            "is it the checkpoint of another network? `--key` takes a part of it, `--partial` "
            "what fits",
        )
    if total + beside > limit or reading > 4 * limit:
        raise Unreadable(
            f"its tensors are spread over {_bytes(max(beside, reading))}, which for this spec is "
            "too much",
            "save them contiguous (`.contiguous()`), and not compressed",
        )


def span_of(name: str, tensor: Lazy) -> Span | None:
    """Where its numbers are; None where it has none. Errors: Unreadable where they are not."""
    if tensor.size == 0:
        return None
    plain: np.dtype[Any] = np.dtype(STORED.get(tensor.dtype, tensor.dtype))
    stored = plain.newbyteorder(">" if tensor.big else "<")
    strides = c_order(tensor.shape) if tensor.strides is None else tensor.strides
    if tensor.data is None or len(strides) != len(tensor.shape):
        raise Unreadable(f"`{shown(name)}` is damaged: it has no place in the file")
    last = sum((extent - 1) * by for extent, by in zip(tensor.shape, strides, strict=True))
    start, stop = tensor.offset * stored.itemsize, (tensor.offset + last + 1) * stored.itemsize
    if not 0 <= start < stop <= tensor.data.size:
        raise Unreadable(
            f"`{shown(name)}` is damaged: it reaches to byte {stop:,} of {tensor.data.size:,}"
        )
    return Span(start, stop, strides, stored)


def is_weight(name: str) -> bool:
    """Whether it can be nothing else: counters and index tables may be whole numbers."""
    return re.split(r"[./:]", name)[-1] in WEIGHTS


def array_of(name: str, tensor: Lazy) -> NDArray[Any]:
    """Its numbers, float16 and bfloat16 as float32; it is among those that `measured` has let
    pass. Errors: Unreadable."""
    target = np.dtype(PLAIN[tensor.dtype])
    span = span_of(name, tensor)
    if span is None or tensor.data is None:
        return np.empty(tensor.shape, target)
    if _is_c_order(tensor.shape, span.strides):
        return _straight(tensor, span, target).reshape(tensor.shape)
    # NumPy checks the bounds once more
    view = np.ndarray(
        tensor.shape, span.stored, whole(tensor.data, span.start, span.stop),
        strides=tuple(by * span.stored.itemsize for by in span.strides),
    )  # fmt: skip
    return _widened(view, tensor.dtype, target)


def hollow(name: str, tensor: Lazy) -> NDArray[Any]:
    """Its shape, and zeros that take no memory. Errors: Unreadable where none could have it."""
    if tensor.size >= LARGEST >> 4:
        raise Unreadable(f"`{shown(name)}` is damaged: it claims {tensor.size:,} numbers")
    return np.broadcast_to(np.zeros((), PLAIN.get(tensor.dtype, np.float32)), tensor.shape)


def _straight(tensor: Lazy, span: Span, target: np.dtype[Any]) -> NDArray[Any]:
    """Consecutive numbers, a piece at a time."""
    assert tensor.data is not None
    stored = span.stored
    found = np.empty((span.stop - span.start) // stored.itemsize, target)
    at, rest = 0, b""
    for piece in tensor.data.pieces(span.start, span.stop):
        piece = rest + piece if rest else piece
        count = len(piece) // stored.itemsize
        part = np.frombuffer(piece, stored, count)
        found[at : at + count] = _widened(part, tensor.dtype, target)
        at, rest = at + count, piece[count * stored.itemsize :]
    if at != found.size:
        raise Unreadable("it is cut off: it ends before its contents do")
    return found


def _widened(part: NDArray[Any], dtype: str, target: np.dtype[Any]) -> NDArray[Any]:
    if dtype == "bfloat16":
        bits: NDArray[Any] = (part.astype(np.uint32) << 16).view(np.float32)
        return bits
    if dtype == "bool":
        return np.asarray(part, np.bool_)
    found: NDArray[Any] = np.ascontiguousarray(part, target).reshape(part.shape)
    return found


def f_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements, the first axis the fastest."""
    strides, step = [], 1
    for extent in shape:
        strides.append(step)
        step *= extent
    return tuple(strides)


def c_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements, the last axis the fastest."""
    return f_order(shape[::-1])[::-1]


def _is_c_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Strides of axes of one element say nothing."""
    expected = c_order(shape)
    return all(
        extent == 1 or found == due
        for extent, found, due in zip(shape, strides, expected, strict=True)
    )


def _bytes(count: int) -> str:
    for unit, size in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}" if count < size << 20 else f"over {1 << 20} {unit}"
    return f"{count} bytes"
