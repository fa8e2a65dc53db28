"""Checkpoints of other libraries → canonical weights, and back, by what the networks compute.

The original's code is asked for its layers in the order in which they run (`origins`), and its
tensors are matched to the spec's (`match`); no names are compared. Without code, names that are
known here decide (`naming`), and where they are not, the order, which something must confirm.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resspec import artifacts
from resspec.backend import get
from resspec.diagnostics import Note, SpecError, error, escape
from resspec.port import bare, depart, origins
from resspec.port.bare import in_order
from resspec.port.distance import distance as distance
from resspec.port.match import match
from resspec.port.mismatch import structure_differences
from resspec.running import Running
from resspec.weights import draw, example
from resspec.weights.fitting import FLOATS, Stored, take
from resspec.weights.given import Arrays, Given
from resspec.weights.naming import recognised
from resspec.weights.stored import given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from resspec.ir import Graph
    from resspec.port.match import Matching
    from resspec.port.origins import Origin, Original

SHOWN = 10
ROUNDED = 1e-3  # float32 through a deep network, its batch norms not trained to be kind


@dataclass(frozen=True, slots=True)
class Ported:
    """What was carried over. `differences`: what the original is told otherwise (an eps);
    `ambiguous`: sets of names that only the order of execution told apart; `unread`: tensors that
    the original holds and never uses; `names`: whose names they were taken by, if by name."""

    original: str
    tensors: int
    numbers: int
    dtypes: tuple[str, ...]
    unread: tuple[str, ...]
    ambiguous: tuple[tuple[str, ...], ...]
    differences: tuple[str, ...]
    by_order: bool = False  # there was no code to say how the layers are wired
    taken: str = ""  # which of a file's sets of tensors, in words
    names: str = ""
    left_out: tuple[str, ...] = ()


def read(
    checkpoint: Path,
    source: str,
    graph: Graph,
    model: str | None = None,
    key: str | None = None,
    *,
    partial: bool = False,
) -> tuple[Stored, Ported]:
    """A checkpoint's tensors by canonical name, with the types that they are stored in.

    source: an origin (`torchvision`, `timm`, `keras`; `torch` for tensors without code: by name
    where the names are known here, otherwise in their order).
    model: the original's name there; by default the spec's. key: which of several sets of tensors
    in the file. partial: without code, a head of other classes, or none, is left out.
    Errors: SpecError (`io-error`, `weights-format`, `weights-mismatch`, `not-found`).
    """
    return next(candidates(checkpoint, source, graph, model, key, partial=partial))


def candidates(
    checkpoint: Path,
    source: str,
    graph: Graph,
    model: str | None = None,
    key: str | None = None,
    *,
    partial: bool = False,
) -> Iterator[tuple[Stored, Ported]]:
    """As `read`: all that a checkpoint may mean, the likeliest first; several only where nothing
    but the order of its tensors tells."""
    if source == origins.BARE:
        yield from without_code(given(checkpoint, graph, key), graph, partial=partial)
        return
    original = _original(origins.get(source), checkpoint, graph, model, empty=True)
    arrays, dtypes = original.read(checkpoint, key)
    matching = match(original.trace, graph)
    stored = _stored(matching, arrays, dtypes, checkpoint)
    yield stored, replace(_report(original.trace.name, matching, stored), taken=original.taken)


def without_code(
    found: Given, graph: Graph, *, partial: bool = False
) -> Iterator[tuple[Stored, Ported]]:
    """Tensors as they are named and ordered → weights: by name, if the names are known here;
    otherwise what may be meant, the likeliest first. Errors: `weights-format`, `weights-mismatch`.
    """
    naming = recognised(found.arrays, graph, found.key)
    if naming is not None and naming.likely:
        start = draw(graph) if partial else None
        stored = take(found, graph, start)
        if partial:
            left = {line.name for line in stored.left_out if line.network}
            kept = {name: one for name, one in stored.weights.items() if name not in left}
            stored = replace(stored, weights=kept)
        yield stored, replace(_by_name(found, stored), names=naming.whose)
        return
    seen: list[tuple[str, ...]] = []
    for names in (in_order(found.arrays), list(found.arrays)):
        shapes = {name: found.arrays[name].shape for name in names}
        for structured in (True, False):
            matching = match(
                bare.trace(shapes, escape(found.what)), graph,
                structured=structured, partial=partial,
            )  # fmt: skip
            order = tuple(link.tensor.name for link in matching.links)
            if order not in seen:
                seen.append(order)
                stored = _stored(matching, found.arrays, found.dtypes, found.path)
                report = _report(found.what, matching, stored)
                yield stored, replace(report, by_order=True, taken=found.taken)


def _stored(
    matching: Matching, arrays: Arrays, dtypes: Mapping[str, str], checkpoint: Path | None
) -> Stored:
    weights = matching.canonical(arrays)
    _check_numbers(weights, matching, dtypes, checkpoint)
    kept = {
        link.name: dtypes[link.tensor.name] for link in matching.links if link.tensor.name in dtypes
    }
    return Stored(weights, kept)


def _by_name(found: Given, stored: Stored) -> Ported:
    return Ported(
        found.what,
        len(stored.weights),
        sum(int(array.size) for array in stored.weights.values()),
        tuple(sorted(set(stored.dtypes.values()))) or ("float32",),
        (),
        (),
        (stored.other,) if stored.other else (),
        taken=found.taken,
        left_out=tuple(map(str, stored.left_out)),
    )


def outputs_apart(
    checkpoint: Path, source: str, graph: Graph, stored: Stored, model: str | None = None,
    key: str | None = None,
) -> float | None:  # fmt: skip
    """How far the outputs are from the original's, relL2 in float32, for one random example; both
    run in the original's framework. None where there is no code to run.

    Equal layers in one order may still be told to compute something else: a product for a sum.
    Errors: SpecError (`weights-mismatch`) where they differ by more than rounding explains.
    """
    if source == origins.BARE:
        return None
    origin = origins.get(source)
    original = _original(origin, checkpoint, graph, model, empty=False)
    original.load(original.read(checkpoint, key)[0])
    x = example((1, *graph.input.type.shape))
    expected = original.forward(x)
    backend = get(origin.backend)
    outputs = Running.start(graph, backend).load(stored.weights).forward(x)
    found = [value for values in outputs.values() for value in values]
    apart = distance(found, expected)
    if not apart <= ROUNDED:
        matching = match(original.trace, graph)
        where = depart.first(original, matching, graph, backend, stored.weights, x, apart)
        said = "its layers cannot be watched one by one" if where is None else str(where)
        raise error(
            "weights-mismatch",
            f"the outputs of {original.trace.name} and of {graph.name} with its weights are "
            f"{apart:.1e} apart: all layers match, but not what is computed between them",
            notes=[Note(said)],
            help="compare activations, sums and products; --no-check writes the weights all the "
            "same",
        )
    return apart


def _original(
    origin: Origin, checkpoint: Path, graph: Graph, model: str | None, *, empty: bool
) -> Original:
    """The network of that name, or where none is given and none is known, the file's own."""
    try:
        return origin.open(model or graph.name, graph, empty=empty)
    except SpecError as unknown:
        budget = sum(4 * param.size for param in graph.parameters().values())
        if model is None and (found := origin.described(checkpoint, budget)):
            return found
        raise unknown


def write(
    stored: Stored, target: str, graph: Graph, out: Path, model: str | None = None, *,
    force: bool = False,
) -> Ported:  # fmt: skip
    """Write canonical weights as a checkpoint that an origin's own loader accepts strictly; the
    ending of `out` chooses the format. Errors: SpecError; then nothing is written."""
    must_be_free(out, force=force)
    if target == origins.BARE:
        raise error("bad-value", "without the original's code its names are not known",
                    help="use --to torchvision, timm or keras; or --like FILE, a checkpoint of the "
                    "same network, its first weights will do")  # fmt: skip
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
        tuple(structure_differences(matching.pairs)),
    )


def _check_numbers(
    weights: Arrays, matching: Matching, dtypes: Mapping[str, str], checkpoint: Path | None
) -> None:
    """Errors: `weights-format` for whole numbers, nan and infinity."""
    whole = [link for link in matching.links if weights[link.name].dtype.kind != "f"]
    for link in whole:
        kind = dtypes.get(link.tensor.name, weights[link.name].dtype.name)
        raise error("weights-format", f"`{checkpoint}`: {escape(link.tensor.name)} is stored as "
                    f"{kind}; {', '.join(FLOATS)} can be read")  # fmt: skip
    broken = [link for link in matching.links if not np.isfinite(weights[link.name]).all()]
    if broken:
        notes = [Note(f"{escape(link.tensor.name)}, here {link.name}") for link in broken[:SHOWN]]
        if len(broken) > SHOWN:
            notes.append(Note(f"and {len(broken) - SHOWN} more"))
        count = "a tensor holds" if len(broken) == 1 else f"{len(broken)} tensors hold"
        raise error("weights-format", f"`{checkpoint}`: {count} nan or infinity", notes=notes)
