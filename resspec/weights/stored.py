"""Weight files: safetensors in canonical names and layout, whole or in part.

float16 and bfloat16 are widened to float32 as they are read, which is exact, and what the file
held is remembered, so that a half-precision checkpoint can be written as it was.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from resspec import artifacts
from resspec.diagnostics import Note, SpecError, error

if TYPE_CHECKING:
    from resspec.ir import Graph

Arrays = dict[str, NDArray[Any]]  # canonical name → float32 or float64
Shapes = Mapping[str, tuple[int, ...]]
SHOWN = 20  # differences that are listed one by one
READABLE = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
TAGS = {dtype: tag for tag, dtype in READABLE.items()}
WIDTHS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor that a network and a file do not both have, or not in one shape."""

    name: str
    network: tuple[int, ...] | None
    file: tuple[int, ...] | None

    def __str__(self) -> str:
        return f"{self.name}: the network has {_shape(self.network)}, the file has " + _shape(
            self.file
        )

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "network": self.network, "file": self.file}


@dataclass(frozen=True, slots=True)
class Stored:
    """Weights for every parameter of a graph, in its order, and where they come from.

    dtypes: what the file holds, by name; a tensor that was not taken from one is float32.
    left_out: what a partial load did not take.
    """

    weights: Arrays
    dtypes: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[Difference, ...] = ()


def read(path: str | Path, graph: Graph, start: Arrays | None = None) -> Stored:
    """Weights for this graph from a file.

    start: where the file may fit in part only, the values of tensors that it lacks or that have
    another shape there. Without it, every name and shape must agree.
    Errors: `io-error`; `weights-format` for what is no safetensors file or holds a number that is
    not finite; `weights-mismatch` with a note for each name or shape that differs.
    """
    shapes = {name: param.shape for name, param in graph.parameters().items()}
    path = Path(path)
    try:
        with path.open("rb") as file:
            begin = file.read(8)
        with safetensors.safe_open(path, "numpy") as stored:
            slices = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
            found = {name: tuple(part.get_shape()) for name, part in slices.items()}
            made_for = (stored.metadata() or {}).get("spec")
            origin = f"`{path}`" + (
                f", saved for {made_for}," if made_for and made_for != graph.name else ""
            )
            left_out = _fit(origin, found, shapes, graph.name, partial=start is not None)
            kept = [name for name in shapes if found.get(name) == shapes[name]]
            dtypes = {name: _dtype(path, name, slices[name].get_dtype()) for name in kept}
            halves = [name for name in kept if dtypes[name] == "bfloat16"]
            weights = {name: stored.get_tensor(name) for name in kept if name not in halves}
        weights |= _bfloat16(path, halves, shapes)
    except OSError as problem:
        raise artifacts.io_error("read", path, problem) from problem
    except safetensors.SafetensorError as problem:
        raise _unreadable(path, begin, problem) from problem
    _must_be_finite(f"`{path}`", weights)
    weights = {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in weights.items()
    }
    return Stored(_completed(weights, shapes, start), dtypes, left_out)


def load(path: str | Path, graph: Graph) -> Arrays:
    """The weights that `read` finds: all of them, float16 and bfloat16 widened to float32."""
    return read(path, graph).weights


def fit(weights: Mapping[str, NDArray[Any]], graph: Graph, start: Arrays | None = None) -> Stored:
    """Arrays of the caller for this graph, `start` as for `read`. Errors: `weights-mismatch`."""
    shapes = {name: param.shape for name, param in graph.parameters().items()}
    found = {name: tuple(np.shape(array)) for name, array in weights.items()}
    left_out = _fit("the given weights", found, shapes, graph.name, partial=start is not None)
    kept = {name: weights[name] for name in shapes if found.get(name) == shapes[name]}
    return Stored(_completed(kept, shapes, start), {}, left_out)


def check(weights: Mapping[str, NDArray[Any]], graph: Graph) -> Mapping[str, NDArray[Any]]:
    """The same arrays, if they fit the graph. Errors: `weights-mismatch`."""
    fit(weights, graph)
    return weights


def _completed(kept: Arrays, shapes: Shapes, start: Arrays | None) -> Arrays:
    """Every tensor of the graph, in its order."""
    return {name: kept[name] if name in kept else (start or {})[name] for name in shapes}


def encode(
    weights: Mapping[str, NDArray[Any]], spec: str, dtype: str | Mapping[str, str] = "float32"
) -> bytes:
    """Weights as a safetensors file; the same bytes each time. `spec` is kept as metadata.

    dtype: float32, float64, float16 or bfloat16, for all or by name (float32 where none is
    given); narrowing rounds to nearest. Errors: `weights-format` where a number is too large.
    """
    dtypes = {
        name: dtype if isinstance(dtype, str) else dtype.get(name, "float32") for name in weights
    }
    # the widest first, so that each tensor starts at a multiple of its width
    order = sorted(weights, key=lambda name: (-WIDTHS[dtypes[name]], name))
    entries: dict[str, Any] = {"__metadata__": {"spec": spec}}
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
    spec: str,
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


def _bfloat16(path: Path, names: Iterable[str], shapes: Shapes) -> Arrays:
    """Tensors that NumPy has no type for, as float32, from a file that was found to be whole."""
    if not names:
        return {}
    found = {}
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name in names:
            begin, end = header[name]["data_offsets"]
            file.seek(8 + length + begin)
            bits = np.frombuffer(file.read(end - begin), "<u2").astype(np.uint32) << 16
            found[name] = bits.view(np.float32).reshape(shapes[name])
    return found


def _dtype(path: Path, name: str, tag: str) -> str:
    if tag not in READABLE:
        raise error(
            "weights-format",
            f"`{path}`: {name} is stored as {tag}; {', '.join(READABLE.values())} can be read",
        )
    return READABLE[tag]


def _must_be_finite(what: str, weights: Arrays) -> None:
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise error("weights-format", f"{what}: {broken[0]}{more} holds nan or infinity")


def _unreadable(path: Path, start: bytes, problem: Exception) -> SpecError:
    kinds = {
        b"PK\x03\x04": "a zip or PyTorch file",
        b"\x80": "a pickle",
        b"\x89HDF": "an HDF5 file",
    }
    kind = next((kind for magic, kind in kinds.items() if start.startswith(magic)), None)
    if kind is None:
        reason = str(problem).removeprefix("Error while deserializing header: ")
        return error("weights-format", f"`{path}` is no whole safetensors file: {reason}")
    return error(
        "weights-format",
        f"`{path}` is {kind}, not safetensors",
        help="convert it with `resspec port`; nothing inside it was run",
    )


def _fit(
    what: str, found: Shapes, expected: Shapes, name: str, *, partial: bool
) -> tuple[Difference, ...]:
    """What does not fit. Errors: `weights-mismatch`, unless part of it is enough and fits."""
    lines = differences(found, expected)
    fits = sum(found.get(one) == shape for one, shape in expected.items())
    if not lines or (partial and fits):
        return lines
    notes = [Note(str(line)) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        notes.append(Note(f"and {len(lines) - SHOWN} more"))
    total = len(set(found) | set(expected))
    help = None
    if fits:
        help = f"to load the {fits} that fit and leave the rest, add --partial (partial=True)"
    message = f"{what} does not fit {name}: {len(lines)} of {total} tensors differ"
    raise error("weights-mismatch", message, notes=notes, help=help)


def differences(found: Shapes, expected: Shapes) -> tuple[Difference, ...]:
    """What differs between two sets of tensors: those of the network, then others of the file."""
    names = [*expected, *(name for name in found if name not in expected)]
    return tuple(
        Difference(name, expected.get(name), found.get(name))
        for name in names
        if expected.get(name) != found.get(name)
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "none"
    return "×".join(map(str, shape)) or "one number"
