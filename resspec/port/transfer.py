"""Checkpoints of other libraries → canonical weights, and back, by what the networks compute.

The original's code is asked for its layers in the order in which they run (`origins`), and its
tensors are matched to the spec's (`match`). No names are compared.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec import artifacts
from resspec.backend import get
from resspec.diagnostics import Note, SpecError, error
from resspec.port import origins
from resspec.port.match import match
from resspec.port.mismatch import structure_differences
from resspec.weights import example
from resspec.weights.stored import Arrays, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resspec.ir import Graph
    from resspec.port.match import Matching
    from resspec.port.origins import Origin, Original

SHOWN = 10
ROUNDED = 1e-3  # float32 through a deep network, its batch norms not trained to be kind


@dataclass(frozen=True, slots=True)
class Ported:
    """What was carried over. `differences`: what the original is told otherwise (an eps);
    `ambiguous`: sets of names that only the order of execution told apart; `unread`: tensors that
    the original holds and never uses."""

    original: str
    tensors: int
    numbers: int
    dtypes: tuple[str, ...]
    unread: tuple[str, ...]
    ambiguous: tuple[tuple[str, ...], ...]
    differences: tuple[str, ...]
    by_order: bool = False  # there was no code to say how the layers are wired
    taken: str = ""  # which of a file's sets of tensors, in words


def read(
    checkpoint: Path, source: str, graph: Graph, model: str | None = None, key: str | None = None
) -> tuple[Stored, Ported]:
    """A checkpoint's tensors by canonical name, with the types that they are stored in.

    source: an origin (`torchvision`, `timm`, `keras`; `torch` for a state dict without code).
    model: the original's name there; by default the spec's. key: which of several sets of tensors
    in the file.
    Errors: SpecError (`io-error`, `weights-format`, `weights-mismatch`, `not-found`).
    """
    original = _original(origins.get(source), checkpoint, graph, model, empty=True)
    arrays, dtypes = original.read(checkpoint, key)
    matching = match(original.trace, graph)
    weights = matching.canonical(arrays)
    _check_finite(weights, matching, checkpoint)
    kept = {
        link.name: dtypes[link.tensor.name] for link in matching.links if link.tensor.name in dtypes
    }
    stored = Stored(weights, kept)
    report = _report(original.trace.name, matching, stored)
    return stored, replace(report, by_order=original.trace.ordered_only, taken=original.taken)


def outputs_apart(
    checkpoint: Path, source: str, graph: Graph, stored: Stored, model: str | None = None,
    key: str | None = None,
) -> float | None:  # fmt: skip
    """How far the outputs are from the original's, relL2 in float32, for one random example; both
    run in the original's framework. None where there is no code to run.

    Equal layers in one order may still be told to compute something else: a product for a sum.
    Errors: SpecError (`weights-mismatch`) where they differ by more than rounding explains.
    """
    origin = origins.get(source)
    if not origin.backend:
        return None
    original = _original(origin, checkpoint, graph, model, empty=False)
    original.load(original.read(checkpoint, key)[0])
    x = example((1, *graph.input.type.shape))
    expected = original.forward(x)
    backend = get(origin.backend)
    emitted = backend.emit(graph)
    live = backend.instantiate(graph, emitted, "cpu", "float32")
    backend.load_weights(live, emitted, stored.weights)
    found = [value for values in backend.forward(live, x).values() for value in values]
    apart = distance(found, expected)
    if not apart <= ROUNDED:
        raise error(
            "weights-mismatch",
            f"the outputs of {original.trace.name} and of {graph.name} with its weights are "
            f"{apart:.1e} apart: all layers match, but not what is computed between them",
            help="compare activations, sums and products; --no-check writes the weights all the "
            "same",
        )
    return apart


def distance(found: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """‖found − expected‖ / ‖expected‖ over all outputs; infinite where shapes differ, 0 where all
    numbers agree, even if they are zeros, as after a classifier that starts at zero."""
    if [one.shape for one in found] != [one.shape for one in expected]:
        return float("inf")
    difference = sum(float(((a - b) ** 2).sum()) for a, b in zip(found, expected, strict=True))
    total = sum(float((b.astype("float64") ** 2).sum()) for b in expected)
    if difference == 0:
        return 0.0
    ratio = (difference / total) ** 0.5 if total else float("inf")
    return ratio if np.isfinite(ratio) else float("inf")


def _original(
    origin: Origin, checkpoint: Path, graph: Graph, model: str | None, *, empty: bool
) -> Original:
    """The network of that name, or where none is given and none is known, the file's own."""
    try:
        return origin.open(model or graph.name, graph, empty=empty)
    except SpecError as unknown:
        if model is None and (found := origin.described(checkpoint)):
            return found
        raise unknown


def write(
    stored: Stored, target: str, graph: Graph, out: Path, model: str | None = None, *,
    force: bool = False,
) -> Ported:  # fmt: skip
    """Write canonical weights as a checkpoint that an origin's own loader accepts strictly; the
    ending of `out` chooses the format. Errors: SpecError; then nothing is written."""
    must_be_free(out, force=force)
    original = origins.get(target).open(model or graph.name, graph)
    formats = original.formats
    ending = next((one for one in formats if out.name.endswith(one)), None)
    if ending is None:
        raise error(
            "weights-format",
            f"`{out}`: {target} reads {', '.join(formats) or 'nothing without its code'}",
            help=f"name it {out.stem}{formats[0]}" if formats else None,
        )
    matching = match(original.trace, graph)
    arrays = matching.stored(stored.weights)
    dtypes = {link.tensor.name: stored.dtypes.get(link.name, "float32") for link in matching.links}
    artifacts.write_file(out, original.encode(arrays, dtypes, ending), force=force)
    return _report(original.trace.name, matching, stored)


def must_be_free(out: Path, *, force: bool) -> None:
    """Say before long work what writing would say after it. Errors: `exists`."""
    if os.path.lexists(out) and not force:
        raise error(
            "exists",
            f"`{out}` is not overwritten: it is there already",
            help="choose another place, or add --force to replace it",
        )


def _report(name: str, matching: Matching, stored: Stored) -> Ported:
    return Ported(
        name,
        len(matching.links),
        sum(int(array.size) for array in stored.weights.values()),
        tuple(sorted(set(stored.dtypes.values()))) or ("float32",),
        matching.unread,
        matching.ambiguous,
        tuple(structure_differences(matching)),
    )


def _check_finite(weights: Arrays, matching: Matching, checkpoint: Path) -> None:
    broken = [link for link in matching.links if not np.isfinite(weights[link.name]).all()]
    if broken:
        notes = [Note(f"{link.tensor.name}, here {link.name}") for link in broken[:SHOWN]]
        if len(broken) > SHOWN:
            notes.append(Note(f"and {len(broken) - SHOWN} more"))
        count = "a tensor holds" if len(broken) == 1 else f"{len(broken)} tensors hold"
        raise error("weights-format", f"`{checkpoint}`: {count} nan or infinity", notes=notes)


__all__ = ["Ported", "distance", "must_be_free", "outputs_apart", "read", "write"]
