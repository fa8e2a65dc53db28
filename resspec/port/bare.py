"""A list of tensors without code, as far as names, order and shapes tell a network."""

from __future__ import annotations

from collections.abc import Mapping

from resspec.port.dataflow import INPUT, Part, Tensor, Trace, flow_of, matrix

STATISTICS = {"running_mean": "mean", "running_var": "var"}


def trace(shapes: Mapping[str, tuple[int, ...]], name: str) -> Trace:
    """Atoms of tensors in their order. A tensor's layer is its name up to the last dot; its role
    comes from its rank and, for one number a channel, from whether it is called a bias or a
    statistic. There is no dataflow: `ordered_only`."""
    found = Trace(name, ordered_only=True)
    layers: dict[str, list[str]] = {}
    for key in shapes:
        layers.setdefault(key.rpartition(".")[0], []).append(key)
    for path, keys in layers.items():
        parts = [_part(key, shapes[key]) for key in keys]
        found.operation(flow_of(INPUT, 1), parts, 1, path, "layer")
    return found


def _part(key: str, shape: tuple[int, ...]) -> Part:
    local = key.rpartition(".")[2]
    if local in STATISTICS:
        return Part(STATISTICS[local], Tensor(key, shape), shape)
    size = 1
    for extent in shape:
        size *= extent
    if len(shape) > 1 and size != max(shape):
        return Part("conv", Tensor(key, shape), matrix(shape))
    if len(shape) in (2, 4) and local == "weight":
        return Part("conv", Tensor(key, shape), matrix(shape))
    role = "shift" if local in ("bias", "beta") else "gain" if local == "gain" else "scale"
    return Part(role, Tensor(key, shape), (size,))
