"""Weight files: safetensors in canonical names and layout, whole or in part.

float16 and bfloat16 are widened to float32 as they are read, which is exact, and what the file
held is remembered, so that a half-precision checkpoint can be written as it was.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec import artifacts
from resspec.diagnostics import error, escape
from resspec.weights import files
from resspec.weights.fitting import Stored, take
from resspec.weights.given import Arrays, Given, arrays_of
from resspec.weights.naming import is_step, recognised
from resspec.weights.purpose import NAME, metadata, purpose

if TYPE_CHECKING:
    from resspec.ir import Graph

TAGS = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
WIDTHS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def read(
    path: str | Path,
    graph: Graph,
    start: Arrays | None = None,
    *,
    key: str | None = None,
    adapt: str | None = None,
) -> Stored:
    """Weights for this graph from a file: in canonical names, or in those of a backend's own files.

    start: where the file may fit in part only, the values of tensors that it lacks or that have
    another shape there. Without it, every name and shape must agree. key: which set of tensors,
    where the file holds several. adapt: as for `fitting.take`.
    Errors: `io-error`; `weights-format` for what is no file of weights or holds a number that is
    not finite; `weights-mismatch` with a note for each name or shape that differs.
    """
    wanted = None if start is None else _those_that_fit(graph, adapt)
    return take(given(Path(path), graph, key, wanted), graph, start, adapt)


def _those_that_fit(graph: Graph, adapt: str | None) -> files.Wanted:
    """Of a file that may hold another network: what has a name and the shape of this one's, and
    where the input is adapted, every kernel of such a name."""
    expected = {name: sorted(param.shape) for name, param in graph.parameters().items()}

    def wanted(shapes: Mapping[str, tuple[int, ...]], key: str) -> Collection[str]:
        naming = recognised(shapes, graph, key)
        if naming is None:
            return shapes
        fits = {variable.name: expected[name] for name, variable in naming.variables.items()}
        return [
            name
            for name, sides in fits.items()
            if sorted(shapes[name]) == sides or (adapt is not None and len(sides) == 4)
        ]

    return wanted


def given(
    path: Path, graph: Graph, key: str | None = None, wanted: files.Wanted | None = None
) -> Given:
    """The tensors of a file, as they are named there; at most so much of it is read as this graph
    has use for, and of `wanted` alone where that is given. Errors: `io-error`, `weights-format`."""
    budget = sum(4 * param.size for param in graph.parameters().values())
    found = files.read(path, key=key, budget=budget, wanted=wanted)
    made_for = purpose(found.metadata)
    other = made_for and made_for.name != graph.name
    saved = f", saved for {escape(made_for.name)}," if made_for and other else ""
    return Given(
        f"`{path}`{saved}",
        {name: array for name, array in found.tensors.items() if not is_step(name)},
        found.dtypes,
        path=path,
        taken=found.described(),
        key=found.chosen,
        purpose=made_for,
        strange=found.strange,
    )


def load(path: str | Path, graph: Graph) -> Arrays:
    """The weights that `read` finds: all of them, float16 and bfloat16 widened to float32."""
    return read(path, graph).weights


def fit(
    weights: Mapping[str, Any],
    graph: Graph,
    start: Arrays | None = None,
    adapt: str | None = None,
    key: str | None = None,
) -> Stored:
    """Tensors or arrays of the caller for this graph, the rest as for `read`.
    Errors: `weights-format`, `weights-mismatch`."""
    return take(arrays_of(weights, key), graph, start, adapt)


def check(weights: Mapping[str, NDArray[Any]], graph: Graph) -> Mapping[str, NDArray[Any]]:
    """The same arrays, if they fit the graph. Errors: `weights-mismatch`."""
    fit(weights, graph)
    return weights


def encode(
    weights: Mapping[str, NDArray[Any]],
    spec: str | Graph | Mapping[str, str],
    dtype: str | Mapping[str, str] = "float32",
) -> bytes:
    """Weights as a safetensors file; the same bytes each time. `spec`, its name, its graph or more
    about it, is kept as metadata.

    dtype: float32, float64, float16 or bfloat16, for all or by name (float32 where none is
    given); narrowing rounds to nearest. Errors: `weights-format` where a number is too large.
    """
    dtypes = {
        name: dtype if isinstance(dtype, str) else dtype.get(name, "float32") for name in weights
    }
    # the widest first, so that each tensor starts at a multiple of its width
    order = sorted(weights, key=lambda name: (-WIDTHS[dtypes[name]], name))
    about = {NAME: spec} if isinstance(spec, str) else spec
    about = dict(about) if isinstance(about, Mapping) else metadata(about)
    entries: dict[str, Any] = {"__metadata__": about}
    parts, end = [], 0
    for name in order:
        part = _bytes(name, weights[name], dtypes[name])
        entries[name] = {
            "dtype": TAGS[dtypes[name]],
            "shape": list(np.shape(weights[name])),
            "data_offsets": [end, end := end + len(part)],
        }
        parts.append(part)
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return b"".join([struct.pack("<Q", len(header)), header, *parts])


def save(
    path: str | Path,
    weights: Mapping[str, NDArray[Any]],
    spec: str | Graph,
    *,
    dtype: str | Mapping[str, str] = "float32",
    force: bool = False,
) -> None:
    """Write weights as safetensors, whole or not at all. Errors: `exists`, `io-error`."""
    artifacts.write_file(Path(path), encode(weights, spec, dtype), force=force)


def _bytes(name: str, array: NDArray[Any], dtype: str) -> bytes:
    """Little-endian numbers of that type."""
    array, data = np.asarray(array), b""
    with np.errstate(over="ignore"):
        if dtype == "bfloat16":  # the upper half of a float32, rounded to even
            bits = np.ascontiguousarray(array, "<f4").view("<u4")
            rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
            whole = np.isfinite((rounded << 16).astype("<u4").view("<f4")).all()
            data = rounded.astype("<u2").tobytes()
        else:
            narrow = np.ascontiguousarray(array, np.dtype(dtype).newbyteorder("<"))
            whole, data = np.isfinite(narrow).all(), narrow.tobytes()
    if not whole and np.isfinite(array).all():
        raise error("weights-format", f"{name} holds a number that is too large for {dtype}")
    return data
