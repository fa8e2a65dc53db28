"""A list of tensors without code, as far as names, order and shapes tell a network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from resspec.port.dataflow import INPUT, Part, Tensor, Trace, flow_of, matrix

# What a vector is called by the libraries of the field.
ROLES = {
    "running_mean": "mean", "moving_mean": "mean",
    "running_var": "var", "moving_variance": "var", "mean": "mean", "var": "var",
    "bias": "shift", "beta": "shift", "gain": "gain",
}  # fmt: skip
# Layouts of TensorFlow's kernels, by name and rank, as axes in canonical order.
KERNELS = {
    ("kernel", 4): (3, 2, 0, 1), ("depthwise_kernel", 4): (2, 3, 0, 1), ("kernel", 2): (1, 0),
}  # fmt: skip
SIGNS = re.compile(r"[./]")


def natural(name: str) -> tuple[tuple[int, str, int], ...]:
    """A key by which numbers inside names order as numbers: block 2 before block 10."""
    parts = re.split(r"(\d+)", name)
    return tuple(
        (1, "", int(part)) if at % 2 else (0, part, 0) for at, part in enumerate(parts) if part
    )


def in_order(names: Iterable[str]) -> list[str]:
    """The names as they come, unless that is the order of text, in which a format or a program
    has put them: then with their numbers as numbers."""
    given = list(names)
    return sorted(given, key=natural) if given == sorted(given) else given


def trace(shapes: Mapping[str, tuple[int, ...]], name: str) -> Trace:
    """Atoms of tensors in their order. A tensor's layer is its name up to the last sign; its role
    comes from its rank and, for one number a channel, from whether it is called a bias or a
    statistic. There is no dataflow: `ordered_only`."""
    found = Trace(name, ordered_only=True)
    layers: dict[str, list[str]] = {}
    for key in shapes:
        layers.setdefault(module(key), []).append(key)
    for path, keys in layers.items():
        parts = [_part(key, shapes[key]) for key in keys]
        found.operation(flow_of(INPUT, 1), parts, 1, path, "layer")
    return found


def module(name: str, up: int = 1) -> str:
    """What a name says of where its tensor is, so many steps up."""
    cuts = [cut.start() for cut in SIGNS.finditer(name)]
    return name[: cuts[-up]] if len(cuts) >= up else ""


def _part(key: str, shape: tuple[int, ...]) -> Part:
    local = SIGNS.split(key)[-1]
    if local in ROLES and len(shape) < 2:
        return Part(ROLES[local], Tensor(key, shape), (_size(shape),))
    axes = KERNELS.get((local, len(shape)))
    if axes is not None:
        moved = tuple(shape[axis] for axis in axes)
        if local == "depthwise_kernel":
            moved = (moved[0] * moved[1], 1, *moved[2:])
        return Part("conv", Tensor(key, shape, axes), matrix(moved))
    if len(shape) > 1 and _size(shape) != max(shape):
        return Part("conv", Tensor(key, shape), matrix(shape))
    if len(shape) in (2, 4) and local == "weight":
        return Part("conv", Tensor(key, shape), matrix(shape))
    return Part(ROLES.get(local, "scale"), Tensor(key, shape), (_size(shape),))


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
