"""Initial weights, the same in every backend: drawn once, in canonical names and layout.

Canonical layout: convolutions (O, I/groups, kh, kw), linear (O, I), one number a channel (C,).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from resspec import artifacts, sampling
from resspec.diagnostics import Note, SpecError, error

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.moments import Moments
    from resspec.ops.base import Param

Weights = dict[str, NDArray[Any]]  # canonical name → float32, or float64 where asked for
TINY = 1e-6  # least running variance
SHOWN = 20  # differences that are listed one by one
READABLE = {"F16": "float16", "F32": "float32", "F64": "float64"}


def draw(graph: Graph, seed: int = 0) -> Weights:
    """First values of every parameter and buffer, as their ops declare (`Init`).

    A tensor depends on the seed, its own name, shape and kind of start only: the rest of the
    network may change around it.
    """
    return {name: _first(param, seed, name) for name, param in graph.parameters().items()}


def _first(param: Param, seed: int, name: str) -> NDArray[np.float32]:
    init, shape = param.init, param.shape
    match init.kind:
        case "zeros":
            return np.zeros(shape, np.float32)
        case "ones":
            return np.ones(shape, np.float32)
        case "constant":
            return np.full(shape, init.value, np.float32)
        case "normal":
            values = sampling.normal("weights", seed, name, shape) * init.value
        case "kaiming_normal":
            values = sampling.normal("weights", seed, name, shape) * sqrt(2.0 / init.fan)
        case "kaiming_uniform":
            values = sampling.uniform("weights", seed, name, shape) * sqrt(1.0 / init.fan)
    return values.astype(np.float32)


def cotangent(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Fixed standard normal numbers by which an output is weighed in gradient comparisons.

    `name` is the output's name (with an index where there are several), `shape` (N, C, H, W) or
    (N, C).
    """
    return sampling.normal("cotangent", 0, name, shape)


def example(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """A batch of standard normal inputs (N, C, H, W), the same for every backend."""
    return sampling.normal("input", seed, "input", shape).astype(np.float32)


def randomise(graph: Graph, seed: int = 0) -> Weights:
    """Weights for comparisons: like `draw`, but nothing is left at 0 or 1.

    Fresh scales, shifts and running statistics hide a wrong eps or order, so scales are drawn in
    (½, 1½), shifts and biases around 0, layers that start at zero like any other, and running
    statistics such that activations stay O(1) in evaluation, however deep the network is.
    """
    from resspec import moments

    weights = draw(graph, seed)
    for name, param in graph.parameters().items():
        if param.trainable and param.init.kind in ("zeros", "ones", "constant"):
            weights[name] = _spread(param, seed, name)
    levels = {graph.input.index: moments.of_input(graph.input.type.channels)}
    chosen: set[str] = set()
    for node in graph.nodes:
        inputs = [levels[value.index] for value in node.inputs]
        if "running_var" in node.params and node.path not in chosen:
            chosen.add(node.path)
            mean, var = (f"{node.path}.{local}" for local in ("running_mean", "running_var"))
            weights[mean], weights[var] = _statistics(inputs[0], seed, mean, var)
        own = {local: weights[f"{node.path}.{local}"] for local in node.params}
        outputs = moments.after(node, own, inputs)
        levels.update((value.index, one) for value, one in zip(node.outputs, outputs, strict=True))
    return weights


def _statistics(
    x: Moments, seed: int, mean: str, var: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Running statistics that bring x to a mean square near 1.

    The mean stays around 0 and not around x's: what is left after subtracting two large numbers
    would magnify any error of the estimate, layer after layer.
    """
    shift = 0.2 * sampling.normal("spread", seed, mean, x.mean.shape)
    stretch = 1.0 + 0.5 * sampling.uniform("spread", seed, var, x.var.shape)
    middle = shift * np.sqrt(x.square)
    spread = (x.var + (x.mean - middle) ** 2) * stretch + TINY
    return middle.astype(np.float32), spread.astype(np.float32)


def _spread(param: Param, seed: int, name: str) -> NDArray[np.float32]:
    """In place of a constant start."""
    if len(param.shape) > 1:
        fan = param.size // param.shape[1]
        values = sampling.normal("weights", seed, name, param.shape) * sqrt(2.0 / fan)
    elif name.endswith(".bias"):
        values = 0.2 * sampling.normal("spread", seed, name, param.shape)
    else:
        values = 1.0 + 0.5 * sampling.uniform("spread", seed, name, param.shape)
    return values.astype(np.float32)


def encode(weights: Mapping[str, NDArray[Any]], spec: str, dtype: str = "float32") -> bytes:
    """Weights as a safetensors file; the same bytes each time. `spec` is kept as metadata."""
    tensors = {name: np.ascontiguousarray(array, dtype) for name, array in weights.items()}
    # One key only: the library writes several in an order that changes from run to run.
    return safetensors.numpy.save(tensors, metadata={"spec": spec})


def save(
    path: str | Path,
    weights: Mapping[str, NDArray[Any]],
    spec: str,
    *,
    dtype: str = "float32",
    force: bool = False,
) -> None:
    """Write weights as safetensors, whole or not at all. Errors: `exists`, `io-error`."""
    artifacts.write_file(Path(path), encode(weights, spec, dtype), force=force)


def load(path: str | Path, graph: Graph) -> Weights:
    """Weights for this graph, in its order; float16 is widened to float32.

    Errors: `io-error`; `weights-format` for what is no safetensors file or holds a number that is
    not finite; `weights-mismatch` with a note for each name or shape that differs.
    """
    shapes = {name: param.shape for name, param in graph.parameters().items()}
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
        with safetensors.safe_open(path, "numpy") as stored:
            slices = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
            found = {name: tuple(part.get_shape()) for name, part in slices.items()}
            _must_match(
                f"`{path}`", found, shapes, (stored.metadata() or {}).get("spec"), graph.name
            )
            for name, part in slices.items():
                if part.get_dtype() not in READABLE:
                    raise error(
                        "weights-format",
                        f"`{path}`: {name} is stored as {part.get_dtype()}; "
                        f"{', '.join(READABLE.values())} can be read",
                    )
            weights = {name: stored.get_tensor(name) for name in shapes}
    except OSError as problem:
        raise artifacts.io_error("read", path, problem) from problem
    except safetensors.SafetensorError as problem:
        raise _unreadable(path, start, problem) from problem
    broken = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise error("weights-format", f"`{path}`: {broken[0]}{more} holds nan or infinity")
    return {
        name: array.astype(np.float32) if array.dtype == np.float16 else array
        for name, array in weights.items()
    }


def check(weights: Mapping[str, NDArray[Any]], graph: Graph) -> Mapping[str, NDArray[Any]]:
    """The same arrays, if they fit the graph. Errors: `weights-mismatch`."""
    shapes = {name: param.shape for name, param in graph.parameters().items()}
    found = {name: tuple(np.shape(array)) for name, array in weights.items()}
    _must_match("the given weights", found, shapes, None, graph.name)
    return weights


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


def _must_match(
    what: str,
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    made_for: str | None,
    name: str,
) -> None:
    lines = mismatches(found, expected)
    if not lines:
        return
    notes = [Note(line) for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        notes.append(Note(f"and {len(lines) - SHOWN} more"))
    origin = f", saved for {made_for}," if made_for and made_for != name else ""
    raise error(
        "weights-mismatch",
        f"{what}{origin} does not fit {name}: {len(lines)} of {len(set(found) | set(expected))} "
        "tensors differ",
        notes=notes,
    )


def mismatches(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """What differs between the shapes of two sets of tensors, one line each, both sides shown."""
    lines = []
    for name, shape in expected.items():
        if name not in found:
            lines.append(f"{name}: the network has {_shape(shape)}, the file has none")
        elif tuple(found[name]) != shape:
            lines.append(
                f"{name}: the network has {_shape(shape)}, the file has {_shape(found[name])}"
            )
    lines += [
        f"{name}: the network has none, the file has {_shape(shape)}"
        for name, shape in found.items()
        if name not in expected
    ]
    return lines


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"
