"""Checkpoints of other libraries → canonical weights, and back, by what the networks compute.

The original's code is asked for its layers in the order in which they run (`resspec.origins`), and
its tensors are matched to the spec's (`resspec.match`). No names are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from resspec import artifacts, origins
from resspec.diagnostics import Note, SpecError, error
from resspec.match import match
from resspec.mismatch import structure_differences

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.match import Matching

DTYPES = ("float16", "float32", "float64")
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Ported:
    """What was carried over. `differences`: what the original is told otherwise (an eps);
    `ambiguous`: sets of names that only the order of execution told apart."""

    tensors: int
    parameters: int
    unread: tuple[str, ...]
    ambiguous: tuple[tuple[str, ...], ...]
    differences: tuple[str, ...]


def read(
    checkpoint: Path, source: str, graph: Graph, model: str | None = None
) -> tuple[dict[str, NDArray[Any]], Ported]:
    """A checkpoint's tensors by canonical name, in the dtype they are stored in.

    source: an origin (`torchvision`, `timm`, `keras`; `torch` for a state dict without code).
    model: the original's name there; by default the spec's.
    Errors: SpecError (`io-error`, `weights-format`, `weights-mismatch`, `not-found`).
    """
    original = origins.get(source).open(model or graph.name, graph, empty=True)
    arrays = original.read(checkpoint)
    matching = match(original.trace, graph)
    weights = matching.canonical(arrays)
    _check_finite(weights, matching, checkpoint)
    return weights, _report(matching, weights)


def write(
    weights: Mapping[str, NDArray[Any]],
    target: str,
    graph: Graph,
    out: Path,
    model: str | None = None,
    *,
    force: bool = False,
) -> Ported:
    """Write canonical weights as a checkpoint that an origin's own loader accepts strictly; the
    ending of `out` chooses the format. Errors: SpecError; then nothing is written."""
    if out.exists() and not force:
        artifacts.write_file(out, b"")  # which says that it is there
    original = origins.get(target).open(model or graph.name, graph)
    formats = original.formats
    ending = next((one for one in formats if out.name.endswith(one)), None)
    if ending is None:
        raise error(
            "weights-format",
            f"`{out}`: {target} reads {', '.join(formats)}",
            help=f"name it {out.stem}{formats[0]}" if formats else None,
        )
    matching = match(original.trace, graph)
    artifacts.write_file(out, original.encode(matching.stored(weights), ending), force=force)
    return _report(matching, weights)


def encode(weights: Mapping[str, NDArray[Any]], spec: str, dtype: str | None = None) -> bytes:
    """Weights as safetensors; without a dtype each tensor stays what it is."""
    tensors = {
        name: np.ascontiguousarray(array if dtype is None else array.astype(dtype))
        for name, array in weights.items()
    }
    return safetensors.numpy.save(tensors, metadata={"spec": spec})


def _report(matching: Matching, weights: Mapping[str, NDArray[Any]]) -> Ported:
    return Ported(
        len(matching.links),
        sum(int(array.size) for array in weights.values()),
        matching.unread,
        matching.ambiguous,
        tuple(structure_differences(matching)),
    )


def _check_finite(
    weights: Mapping[str, NDArray[Any]], matching: Matching, checkpoint: Path
) -> None:
    stored = {link.name: link.tensor.name for link in matching.links}
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        notes = [Note(f"{stored[name]}, here {name}") for name in broken[:SHOWN]]
        if len(broken) > SHOWN:
            notes.append(Note(f"and {len(broken) - SHOWN} more"))
        raise error(
            "weights-format",
            f"`{checkpoint}`: {len(broken)} tensors hold nan or infinity",
            notes=notes,
        )


__all__ = ["DTYPES", "Ported", "SpecError", "encode", "read", "write"]
