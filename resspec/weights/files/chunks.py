"""HDF5's chunked datasets: an array cut into blocks, each of them packed or not.

Read a band of blocks at a time, so that no more is held than that and the array itself. Source:
HDF5 file format 3.0, "Data layout" and "Data storage - filter pipeline": shuffle, then deflate.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.weights.files.source import PIECE, Data, Unreadable
from resspec.weights.files.tensors import extents

DEFLATE, SHUFFLE = 1, 2  # as HDF5 numbers its filters
FILTERS = ((), (SHUFFLE,), (DEFLATE,), (SHUFFLE, DEFLATE))
DAMAGED = "it is damaged: a block of an array in it is not what it should be"


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block begins in the array, where its bytes are in the file, and which filters, by
    bit, were left out for it."""

    corner: tuple[int, ...]
    start: int
    size: int
    left_out: int


class Chunked:
    """The bytes of such an array in C order."""

    sequential = True

    def __init__(
        self, file: Data, shape: tuple[int, ...], itemsize: int, block: tuple[int, ...],
        filters: tuple[int, ...], blocks: list[Block],
    ) -> None:  # fmt: skip
        self.blocks = {one.corner: one for one in blocks}
        if len(shape) != len(block) or not all(block) or filters not in FILTERS:
            raise Unreadable(DAMAGED)
        sides = zip(shape, block, strict=True)
        self.corners = [range(0, extent, size) for extent, size in sides]
        if math.prod(map(len, self.corners)) != len(self.blocks):
            raise Unreadable(DAMAGED)
        self.file, self.shape, self.block, self.filters = file, shape, block, filters
        self.itemsize, self.size = itemsize, math.prod(shape) * itemsize
        self.one = math.prod(block) * itemsize
        self.held = min(block[0], shape[0]) * math.prod(shape[1:]) * itemsize + 3 * self.one

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        at = 0
        for top in self.corners[0]:
            rows = min(self.block[0], self.shape[0] - top)
            length = rows * math.prod(self.shape[1:]) * self.itemsize
            low, high = max(start - at, 0), min(stop - at, length)
            if low < high:
                band = self._band(top, rows)
                for place in range(low, high, PIECE):
                    yield bytes(band[place : min(place + PIECE, high)])
            at += length
            if at >= stop:
                return

    def _band(self, top: int, rows: int) -> memoryview:
        """Rows [top, top + rows) as bytes."""
        band: NDArray[Any] = np.empty((rows, *self.shape[1:], self.itemsize), np.uint8)
        for rest in product(*self.corners[1:]):
            one = self.blocks.get((top, *rest))
            if one is None:
                raise Unreadable(DAMAGED)
            found = self._unpacked(one).reshape(*self.block, self.itemsize)
            sides = zip((0, *rest), self.block, (rows, *self.shape[1:]), strict=True)
            there = tuple(slice(begin, min(begin + size, end)) for begin, size, end in sides)
            band[there] = found[tuple(slice(0, one.stop - one.start) for one in there)]
        return band.data.cast("B")

    def _unpacked(self, block: Block) -> NDArray[Any]:
        """The bytes of one block, as many as it has numbers for."""
        if block.size > self.one + (self.one >> 6) + 1024:
            raise Unreadable(DAMAGED)
        data = b"".join(self.file.pieces(block.start, block.start + block.size))
        applied = [code for bit, code in enumerate(self.filters) if not block.left_out >> bit & 1]
        if DEFLATE in applied:
            engine = zlib.decompressobj()
            try:
                data = engine.decompress(data, self.one + 1)
            except zlib.error as problem:
                raise Unreadable(DAMAGED) from problem
        if len(data) != self.one:
            raise Unreadable(DAMAGED)
        found: NDArray[Any] = np.frombuffer(data, np.uint8)
        return found.reshape(self.itemsize, -1).T if SHUFFLE in applied else found


def chunked(entry: dict[str, Any], file: Data, shape: tuple[int, ...], itemsize: int) -> Chunked:
    """The dataset that the listing describes. Errors: Unreadable."""
    block = extents(entry["block"])
    blocks = []
    for corner, *numbers in entry["blocks"]:
        start, size, left_out = extents(numbers, "place")
        if start + size > file.size:
            raise Unreadable("it is cut off, or damaged: it says it holds more than it does")
        blocks.append(Block(extents(corner, "place"), start, size, left_out))
    return Chunked(file, shape, itemsize, block, tuple(entry["filters"]), blocks)
