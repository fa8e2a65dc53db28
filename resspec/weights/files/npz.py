"""NumPy's files: one array (`.npy`), or a zip of them by name (`.npz`). Objects are not read.

Source: numpy/lib/format.py, whose header this reads without evaluating it.
"""

from __future__ import annotations

import ast
import math
import re
import struct

from resspec.weights.files.inert import NUMPY, WIDTHS
from resspec.weights.files.source import Data, Part, Unreadable, shown, whole
from resspec.weights.files.tensors import Lazy, extents, f_order
from resspec.weights.files.zips import Archive

MAGIC = b"\x93NUMPY"
HEADER = 10_000
CODE = re.compile(r"([<>=|])([fiubc]\d{1,2})")


def is_npz(archive: Archive) -> bool:
    return any(name.endswith(".npy") for name in archive.members)


def read_npz(archive: Archive) -> dict[str, Lazy]:
    """Arrays by name, not yet read. Errors: Unreadable."""
    return {
        name.removesuffix(".npy"): read_npy(archive.open(name), name.removesuffix(".npy"))
        for name in archive.members
        if name.endswith(".npy")
    }


def read_npy(data: Data, name: str) -> Lazy:
    """One array, not yet read. Errors: Unreadable."""
    wrong = Unreadable(f"array `{shown(name)}` in it is damaged")
    start = whole(data, 0, min(12, data.size))
    if len(start) < 12 or not start.startswith(MAGIC):
        raise wrong
    wide = start[6] > 1
    length, begin = struct.unpack_from("<I" if wide else "<H", start, 8)[0], 12 if wide else 10
    if length > HEADER or begin + length > data.size:
        raise wrong
    text = whole(data, begin, begin + length).decode("utf-8", "replace")
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as problem:
        raise wrong from problem
    if not isinstance(header, dict):
        raise wrong
    shape, code = extents(header.get("shape")), header.get("descr")
    if not isinstance(code, str):
        return Lazy("records", shape, trouble="is an array of records")
    found = CODE.fullmatch(code)
    if found is None or found[2] not in NUMPY:
        what = "Python objects" if code.endswith("O") else f"`{shown(code)}`"
        return Lazy(code, shape, trouble=f"is an array of {what}")
    dtype = NUMPY[found[2]]
    strides = f_order(shape) if header.get("fortran_order") else None
    begin += length
    if data.size - begin < WIDTHS[dtype] * math.prod(shape):
        raise Unreadable(f"array `{shown(name)}` in it is cut off: it claims shape {list(shape)}")
    return Lazy(dtype, shape, Part(data, begin, data.size - begin), 0, strides, found[1] == ">")
