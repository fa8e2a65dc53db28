"""Canonical weights → a file like another one of the same network: its names, layouts and types.

So a parameter tree of any library is written without its code (Flax Linen's, as its `init` gives
it): it is enough that such a file can be read.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resspec import artifacts
from resspec.diagnostics import error
from resspec.port import confirm
from resspec.port.transfer import Ported, must_be_free, without_code
from resspec.weights import encode
from resspec.weights.stored import given

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.weights.fitting import Stored

ENDINGS = (".safetensors", ".npz")


def write(
    stored: Stored,
    like: Path,
    graph: Graph,
    out: Path,
    key: str | None = None,
    *,
    trust_order: bool = False,
    force: bool = False,
) -> Ported:
    """Write the weights at `out`, as `like` has those of this network; what the network does not
    use stays as it is there. The ending of `out` chooses the format.

    Errors: SpecError (`weights-mismatch`, `weights-ambiguous`, `weights-format`, `exists`); then
    nothing is written.
    """
    must_be_free(out, force=force)
    if not out.name.endswith(ENDINGS):
        help = f"name it {out.stem}{ENDINGS[0]}"
        raise error("weights-format", f"`{out}`: {' and '.join(ENDINGS)} are written", help=help)
    found = given(like, graph, key)
    # Each number's place in the file, read as if it were a weight, says where that weight belongs.
    sizes = [array.size for array in found.arrays.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1].tolist()
    places = {
        name: np.arange(start, start + array.size, dtype=np.float64).reshape(array.shape)
        for start, (name, array) in zip(starts, found.arrays.items(), strict=True)
    }
    spread, report = next(without_code(replace(found, arrays=places), graph))
    if not trust_order:
        confirm.must_be_certain(report, like, compared=False, ways=confirm.WAYS_BACK)
    numbers = np.concatenate([np.ravel(array) for array in found.arrays.values()])
    numbers = numbers.astype(np.float64)
    for name, where in spread.weights.items():
        numbers[where.astype(np.int64).ravel()] = stored.weights[name].ravel()
    arrays = {
        name: numbers[start : start + array.size].reshape(array.shape)
        for start, (name, array) in zip(starts, found.arrays.items(), strict=True)
    }
    dtypes = {name: found.dtypes.get(name, "float32") for name in arrays}
    artifacts.write_file(out, _bytes(arrays, dtypes, graph.name, out), force=force)
    return replace(report, original=str(like))


def _bytes(arrays: dict[str, np.ndarray], dtypes: dict[str, str], name: str, out: Path) -> bytes:
    if out.name.endswith(ENDINGS[0]):
        return encode(arrays, name, dtypes)
    narrow = {"bfloat16": "float32"}  # which NumPy lacks
    file = io.BytesIO()
    typed = {key: one.astype(narrow.get(dtypes[key], dtypes[key])) for key, one in arrays.items()}
    np.savez(file, allow_pickle=False, **typed)
    return file.getvalue()
