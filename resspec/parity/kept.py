"""Large results wait in files: a comparison holds those of several runs at once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGE = 1 << 28  # bytes; what is smaller stays in memory


def is_large(arrays: Mapping[str, Array]) -> bool:
    return sum(array.nbytes for array in arrays.values()) >= LARGE


def kept(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same numbers, in a file without a name if they are many.

    The system takes the file's pages out of memory when it needs room, and deletes the file when
    the last array is gone. Where the disk has no room, the arrays stay in memory.
    """
    if not is_large(arrays):
        return dict(arrays)
    try:
        with tempfile.TemporaryFile(prefix="resspec-parity-") as file:
            for array in arrays.values():
                file.write(np.ascontiguousarray(array).data)
            file.flush()
            # One map for all, since each holds a file descriptor; "c" never writes to the file, and
            # frameworks warn of arrays that cannot be written.
            whole = np.memmap(file, np.uint8, mode="c")
    except OSError:
        return dict(arrays)
    found, start = {}, 0
    for name, array in arrays.items():
        part = np.asarray(whole[start : start + array.nbytes])
        found[name] = part.view(array.dtype).reshape(array.shape)
        start += array.nbytes
    return found
