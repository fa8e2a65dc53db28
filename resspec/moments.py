"""How large activations are expected to be: mean squares followed through a graph, in expectation.

Only `weights.randomise` needs it, to choose running statistics that fit. Values count as
independent and symmetric, which they nearly are after a random layer; a number here may be off by
a factor and nothing breaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resspec.ir import Graph, Node
    from resspec.ops.base import Param

INPUT = 1.0  # inputs are standard normal
NORMALISED = 1.24  # after a scale in (½, 1½), a shift of 0.2 and a variance that is off by as much
BIAS = 0.04
RELU_LIKE = 0.5  # half of a symmetric value is lost
KEPT = {"dropout", "drop_path", "flatten", "identity", "leaky_relu", "prelu", "resize", "split"}
BOUNDED = {"sigmoid": 0.3, "hard_sigmoid": 0.3, "softmax": 0.1, "tanh": 0.4}
POOLED = {"avg_pool": 0.5, "global_avg_pool": 0.4, "max_pool": 2.0}


def expected_input(graph: Graph) -> dict[str, float]:
    """Expected mean square of what each node reads, by path; the average where a path is reused."""
    level = {graph.input.index: INPUT}
    seen: dict[str, list[float]] = {}
    for node in graph.nodes:
        levels = [level[value.index] for value in node.inputs]
        seen.setdefault(node.path, []).append(sum(levels) / len(levels))
        after = _after(node, levels)
        level.update((value.index, after) for value in node.outputs)
    return {path: sum(levels) / len(levels) for path, levels in seen.items()}


def _after(node: Node, levels: list[float]) -> float:
    name, mean = node.op.NAME, sum(levels) / len(levels)
    if name == "add":
        return sum(levels)
    if name == "mul":
        product = 1.0
        for one in levels:
            product *= one
        return product
    if name == "concat":
        sizes = [value.type.size for value in node.inputs]
        return sum(one * size for one, size in zip(levels, sizes, strict=True)) / sum(sizes)
    params = node.params
    weight = params.get("weight")
    if node.macs and weight is not None:
        reach = weight.size // weight.shape[0]
        return mean * reach * _variance(weight) * _inside(node) + _bias(params)
    if weight is not None and "norm" in name:
        return NORMALISED * mean / (mean + getattr(node.op, "eps", 0.0))
    if name in BOUNDED:
        return BOUNDED[name]
    if name in POOLED:
        return mean * POOLED[name]
    one_to_one = node.outputs[0].type == node.inputs[0].type
    return mean * RELU_LIKE if one_to_one and not params and name not in KEPT else mean


def _variance(weight: Param) -> float:
    init = weight.init
    match init.kind:
        case "kaiming_normal":
            return 2.0 / init.fan
        case "kaiming_uniform":
            return 1.0 / (3.0 * init.fan)
        case "normal":
            return init.value**2
    return 2.0 * weight.shape[1] / weight.size  # drawn like any other by `randomise`


def _bias(params: dict[str, Param]) -> float:
    if "bias" not in params:
        return 0.0
    init = params["bias"].init
    return BIAS if init.kind in ("zeros", "ones", "constant") else _variance(params["bias"])


def _inside(node: Node) -> float:
    """Share of a window's taps that read the image and not its padding, averaged over windows."""
    op, image = node.op, node.inputs[0].type
    padding = getattr(op, "padding", None)
    if not image.is_map or not isinstance(padding, tuple):
        return 1.0
    share = 1.0
    for axis, extent in enumerate(image.spatial):
        kernel, stride, dilation = (
            getattr(op, name, (1, 1))[axis] for name in ("kernel_size", "stride", "dilation")
        )
        before = padding[2 * axis]
        windows = node.outputs[0].type.spatial[axis]
        hits = sum(
            0 <= window * stride + tap * dilation - before < extent
            for window in range(windows)
            for tap in range(kernel)
        )
        share *= hits / (windows * kernel)
    return share
