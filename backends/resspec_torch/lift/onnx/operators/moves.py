"""What only moves elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, data, ints, number
from resspec_torch.lift.onnx.translate import Known, Made, Translator, flag, operator

RUNS = 128  # that are joined at most, as a merge takes


@operator("Flatten")
def _flatten(t: Translator, node: Node, x: Values) -> Any:
    flag(
        node.attributes.get("axis", 1) % len(data(x).shape) != 1,
        "from another axis than the first after the batch",
    )
    return t.emit("flatten", data(x), 1, -1, overload="using_ints")


@operator("Reshape")
def _reshape(t: Translator, node: Node, x: Values, shape: Values) -> Any:
    sizes = ints(shape)
    if not node.attributes.get("allowzero", 0):
        sizes = [data(x).shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    return t.emit("reshape", data(x), sizes)


@operator("Transpose")
def _transpose(t: Translator, node: Node, x: Values) -> Any:
    order = node.attributes.get("perm") or list(reversed(range(len(data(x).shape))))
    return t.emit("permute", data(x), list(order))


@operator("Squeeze")
def _squeeze(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    found = node.attributes.get("axes", []) if axes is None else ints(axes)
    rank = len(data(x).shape)
    gone = {at % rank for at in found} or {at for at, size in enumerate(data(x).shape) if size == 1}
    return t.emit("squeeze", data(x), sorted(gone), overload="dims")


@operator("Unsqueeze")
def _unsqueeze(t: Translator, node: Node, x: Values, axes: Values = None) -> Any:
    made, found = data(x), node.attributes.get("axes", []) if axes is None else ints(axes)
    rank = len(made.shape) + len(found)
    for at in sorted(one % rank for one in found):
        made = t.emit("unsqueeze", made, at)
    return made


@operator("Concat")
def _concat(t: Translator, node: Node, *parts: Values) -> Any:
    tensors = [t.constant(one.array) if isinstance(one, Known) else data(one) for one in parts]
    return t.emit("cat", tensors, node.attributes["axis"])


@operator("Split")
def _split(t: Translator, node: Node, x: Values, sizes: Values = None) -> list[Any]:
    axis = node.attributes.get("axis", 0)
    found = node.attributes.get("split") if sizes is None else ints(sizes)
    if not found:
        count = node.attributes.get("num_outputs", len(node.outputs))
        size = -(-data(x).shape[axis] // count)
        found = [size] * (count - 1) + [data(x).shape[axis] - size * (count - 1)]
    made: list[Any] = t.emit("split_with_sizes", data(x), list(found), axis)
    return made


@operator("Slice")
def _slice(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    made = data(x)
    if given:
        starts, ends, *rest = (ints(one) if one is not None else None for one in given)
        axes, steps = [*rest, None, None][:2]
    else:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        axes, steps = node.attributes.get("axes"), None
    count = len(starts or [])
    for axis, start, end, step in zip(
        axes or range(count), starts or [], ends or [], steps or [1] * count, strict=True
    ):
        size = made.shape[axis]
        if step < 0:
            made = _picked(t, made, axis, [*range(size)[start:end:step]])
            continue
        made = t.emit("slice", made, axis, max(start, -size), min(end, size), step,
                      overload="Tensor")  # fmt: skip
    return made


@operator("Gather")
def _gather(t: Translator, node: Node, x: Values, index: Values) -> Any:
    axis = node.attributes.get("axis", 0) % len(data(x).shape)
    places = t.array(index) if isinstance(index, Known | Made) else None
    flag(places is None, "places that depend on the data")
    assert places is not None
    if places.ndim == 0:
        return t.emit("select", data(x), axis, int(places), overload="int")
    made, size = data(x), data(x).shape[axis]
    flag(bool((places >= size).any() or (places < -size).any()), "places that there are not")
    made = _picked(t, made, axis, [int(one) % size for one in places.reshape(-1)])
    shape = [*made.shape[:axis], *places.shape, *made.shape[axis + 1 :]]
    return made if list(made.shape) == shape else t.emit("reshape", made, shape)


def _picked(t: Translator, x: Made, axis: int, places: list[int]) -> Made:
    """These places of an axis: runs of it, put beside each other."""
    flag(not places, "nothing of an axis")
    step = places[1] - places[0] if len(places) > 1 else 1
    even = step > 0 and places == [*range(places[0], places[-1] + 1, step)]
    runs = [[places[0], places[-1] + 1, step]] if even else []
    for at in [] if even else places:
        if runs and at == runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([at, at + 1, 1])
    flag(len(runs) > RUNS, f"places of an axis in no order, over {RUNS} runs")
    parts = [
        x if run == [0, x.shape[axis], 1] else t.emit("slice", x, axis, *run, overload="Tensor")
        for run in runs
    ]
    made: Made = parts[0] if len(parts) == 1 else t.emit("cat", parts, axis)
    return made


@operator("Expand")
def _expand(t: Translator, node: Node, x: Values, shape: Values) -> Any:
    return t.emit("expand", data(x), list(np.broadcast_shapes(data(x).shape, tuple(ints(shape)))))


@operator("Tile")
def _tile(t: Translator, node: Node, x: Values, times: Values) -> Any:
    return t.emit("repeat", data(x), ints(times))


@operator("Pad")
def _pad(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    mode = node.attributes.get("mode", "constant")
    pads = ints(given[0]) if given else list(node.attributes["pads"])
    fill = number(given[1]) if len(given) > 1 and given[1] else node.attributes.get("value", 0.0)
    axes = ints(given[2]) if len(given) > 2 and given[2] else [*range(len(pads) // 2)]
    rank, half = len(data(x).shape), len(pads) // 2
    ends = {axis % rank: (pads[at], pads[at + half]) for at, axis in enumerate(axes)}
    sides = [one for at in reversed(range(1, rank)) for one in ends.get(at, (0, 0))]
    flag(any(ends.get(0, (0, 0))), "more examples than there are")
    if mode == "constant":
        return t.emit("constant_pad_nd", data(x), sides, fill)
    flag(mode != "reflect" or any(sides[4:]), f"a padding of `{mode}`")
    return t.emit("pad", data(x), sides[:4], mode)


@operator("Resize", "Upsample")
def _resize(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    found, size = node.attributes, data(x).shape
    old = node.op == "Upsample" or t.model.opset < 11
    scales = given[0] if old and given else given[1] if len(given) > 1 else None
    sizes = given[2] if len(given) > 2 else None
    mode = found.get("mode", "nearest")
    where = found.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    flag(bool(found.get("antialias", 0)), "averages while it shrinks")
    flag(found.get("keep_aspect_ratio_policy", "stretch") != "stretch", "by an aspect ratio")
    flag(len(size) != 4, "of other than rows and columns")
    axes = [one % 4 for one in found.get("axes", range(4))]
    array = t.array(scales) if scales is not None else found.get("scales")
    factors: list[float] | None = None
    target: list[int] | None = None
    if array is not None and len(array) == len(axes):
        rates = [1.0, 1.0, 1.0, 1.0]
        for axis, rate in zip(axes, array, strict=True):
            rates[axis] = float(rate)
        flag(rates[:2] != [1.0, 1.0], "of channels")
        factors = rates[2:]
    else:
        wanted = list(size)
        for axis, one in zip(axes, ints(sizes), strict=True):
            wanted[axis] = one
        flag(wanted[:2] != list(size[:2]), "of channels")
        target = wanted[2:]
    if mode == "nearest":
        how = "floor" if old else found.get("nearest_mode", "round_prefer_floor")
        flag(
            not _plainly(where, how, size[2:], factors, target), f"`nearest` by `{where}`, `{how}`"
        )
        made: Made = t.emit("upsample_nearest2d", data(x), target, factors, overload="vec")
        return made
    flag(mode != "linear", f"`{mode}` by `{where}`")
    flag(where not in ("half_pixel", "pytorch_half_pixel", "align_corners"), f"`{where}`")
    flag(factors is not None and any(abs(one * n - round(one * n)) > 1e-4 for one, n in
         zip(factors, size[2:], strict=True)), "a factor that gives no whole size")  # fmt: skip
    align = where == "align_corners"
    return t.emit("upsample_bilinear2d", data(x), target, align, factors, overload="vec")


def _plainly(
    where: str, how: str, sizes: Sequence[int], factors: list[float] | None,
    target: list[int] | None,
) -> bool:  # fmt: skip
    """Whether each place reads that at ⌊place · size / new size⌋: other ways to count do so, too,
    where every place is repeated as often, or the first of so many is kept."""
    if (where, how) == ("asymmetric", "floor"):
        return True
    for at, size in enumerate(sizes):
        rate = factors[at] if factors is not None else target[at] / size  # type: ignore[index]
        whole, part = rate == int(rate), rate < 1 and 1 / rate == int(1 / rate)
        if where in ("half_pixel", "pytorch_half_pixel"):
            fits = (whole and how.startswith("round")) or (1 / rate in (1, 2) and how in (
                "round_prefer_floor", "floor"))  # fmt: skip
        else:
            fits = part or rate == 1 or (rate == 2 and how == "round_prefer_floor")
            fits = fits and where == "asymmetric"
        if not fits:
            return False
    return True


@operator("DepthToSpace")
def _depth_to_space(t: Translator, node: Node, x: Values) -> Any:
    n, c, h, w = data(x).shape
    b = node.attributes["blocksize"]
    if node.attributes.get("mode", "DCR") == "CRD":
        return t.emit("pixel_shuffle", data(x), b)
    made = t.emit("reshape", data(x), [n, b, b, c // b**2, h, w])
    made = t.emit("permute", made, [0, 3, 4, 1, 5, 2])
    return t.emit("reshape", made, [n, c // b**2, h * b, w * b])


@operator("SpaceToDepth")
def _space_to_depth(t: Translator, node: Node, x: Values) -> Any:
    n, c, h, w = data(x).shape
    b = node.attributes["blocksize"]
    made = t.emit("reshape", data(x), [n, c, h // b, b, w // b, b])
    made = t.emit("permute", made, [0, 3, 5, 1, 2, 4])
    return t.emit("reshape", made, [n, c * b * b, h // b, w // b])
