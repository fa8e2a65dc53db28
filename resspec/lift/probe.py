"""The sizes that an original is looked at: traced, to see what follows from its input, and compared
with its spec."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from resspec.diagnostics import Diagnostic, Note, SpecError
from resspec.ir import Graph
from resspec.lift.follow import either, fixed, follow, pooled, sized
from resspec.lift.proof import TRACED, Network
from resspec.lift.record import Problem, Recorder, partly_shared
from resspec.lift.same import laid_over

Size = tuple[int, int]
EVEN = 64  # what divides a size that is even, however often a network strides
SIZES = (64, 96, 128, 160, 224, 256, 299, 331, 384)


def recorded(network: Network, shape: tuple[int, int, int]) -> Recorder:
    """The network as ops. Errors: `not-liftable`, one for each place."""
    batch = network.batch or TRACED
    recorder = network.record((batch, *shape))
    if problems := recorder.problems or partly_shared(recorder):
        raise SpecError(*diagnostics(problems))
    others = [(shape[1] + 32, shape[2] + 65)] if sized(recorder) else []
    if either(recorder) or pooled(recorder):  # of an even size all the way down
        others.append((EVEN * (shape[1] // EVEN + 1), EVEN * (shape[2] // EVEN + 2)))
    for size in others:
        with contextlib.suppress(SpecError):  # it may take no other size
            other = network.record((batch, shape[0], *size))
            if not other.problems:
                follow(recorder, other)
    return recorder


def diagnostics(problems: Sequence[Problem]) -> list[Diagnostic]:
    """One for each class, operation and reason; further places of it as notes."""
    found: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.kind, problem.operation, problem.reason), []).append(problem)
    return [
        Diagnostic(
            "not-liftable",
            str(first),
            notes=tuple(Note(f"also in `{one.path}`") for one in dict.fromkeys(more[:20]))
            + ((Note(f"and in {len(more) - 20} more places"),) if len(more) > 20 else ()),
        )
        for first, *more in found.values()
    ]


def compared_at(
    network: Network, recorder: Recorder, at: Callable[[Size], Graph], shape: tuple[int, int, int],
    *, full: bool,
) -> tuple[Size, Size | None, list[str]]:  # fmt: skip
    """Where a spec, whose graph at a size is `at`, is compared: at a small size where the original
    is the same network there, and for a full proof at another; and what is to be told of that."""
    size, second = _sizes(at, shape, network)
    if recorder.stored:  # of which the original may have others at other sizes
        size, second = shape[1:], (shape[1] + 32, shape[2] + 64)
        if full and not _has(network, recorder.stored, (shape[0], *second)):
            here, there = (f"{height}×{width}" for height, width in (size, second))
            note = f"numbers that nothing trains are those of {here}; at {there} it has others"
            return size, None, [note]
        return size, second, []
    if not fixed(recorder):
        return size, second, []
    if size != shape[1:] and not _is_there(network, at, shape, size, False):
        size = shape[1:]
        second = (size[0] + 32, size[1] + 64)
    if full and second and not _is_there(network, at, shape, second, True):
        here, there = (f"{height}×{width}" for height, width in (shape[1:], second))
        note = (
            f"the spec is the original at {here}; at {there} the original is another network, as "
            "its code counts with sizes, and the spec stays as it is"
        )
        return size, None, [note]
    return size, second, []


def _has(network: Network, stored: Mapping[str, Any], shape: tuple[int, int, int]) -> bool:
    """Whether what nothing trains is the same at this size; or nothing can be said of it."""
    try:
        found = network.record((network.batch or TRACED, *shape)).stored
    except SpecError:
        return True
    return stored.keys() == found.keys() and all(
        np.array_equal(array, found[name]) for name, array in stored.items()
    )


def _is_there(
    network: Network, at: Callable[[Size], Graph], shape: tuple[int, int, int],
    size: Size, otherwise: bool,
) -> bool:  # fmt: skip
    """Whether the original has the spec's graph at this size, too; otherwise: where one of them
    takes no such size."""
    try:
        recorder, graph = recorded(network, (shape[0], *size)), at(size)
    except SpecError:
        return otherwise
    with contextlib.suppress(SpecError):
        laid_over(recorder, graph)
        return True
    return False


def _sizes(
    at: Callable[[Size], Graph], shape: tuple[int, int, int], network: Network
) -> tuple[Size, Size | None]:
    """Two sizes to compare at: small ones, where the network takes them."""
    full = at(shape[1:])
    pixels = prod(shape[1:])

    def takes(size: Size) -> bool:
        if not network.takes((network.batch or TRACED, shape[0], *size)):
            return False
        try:
            made = at(size)
        except SpecError:
            return False
        return made.parameters() == full.parameters() and all(
            min(node.inputs[0].type.spatial) > 1
            or node.inputs[0].type.spatial == one.inputs[0].type.spatial
            for node, one in zip(made.nodes, full.nodes, strict=True)
            if node.op.NORMALISES
        )

    first = next(((n, n) for n in SIZES if n * n < pixels and takes((n, n))), shape[1:])
    height, width = first
    for second in ((height + 32, width + 64), (height + 64, width + 64)):
        if takes(second):
            return first, second
    # the original may take it, and then the spec should
    return first, (height + 32, width + 64)
