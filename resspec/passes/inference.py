"""What a trained network computes, in fewer steps: the pipeline of `--optimize inference`."""

from __future__ import annotations

from dataclasses import replace

from resspec.ir import Graph, Node
from resspec.ops.base import attributes
from resspec.ops.conv import Conv2d, Convolution, ScaledStdConv2d, StdConv2d
from resspec.passes.base import Pass, State, Weights, structural
from resspec.passes.dead import remove_dead
from resspec.passes.fold import fold_channels
from resspec.passes.noops import remove_noise

NOTE = "For inference only, folded: train the network that it was made from."
STANDARDISED = (StdConv2d, ScaledStdConv2d)


def for_inference(graph: Graph) -> Graph:
    """The graph at inference: no dropout, no drop path; a norm goes by its running statistics."""
    if graph.inference:
        return graph
    graph = remove_noise(graph)
    doc = f"{graph.doc} {NOTE}".strip()
    return replace(graph, doc=doc, root=replace(graph.root, doc=doc), inference=True)


def bake_kernels(graph: Graph, weights: Weights | None) -> State:
    """Convolutions that standardise their weight as plain ones, the weight standardised once."""
    baked: dict[str, Node] = {}

    def plain(node: Node) -> Node:
        op = node.op
        if not isinstance(op, STANDARDISED):
            return node
        baked[node.path] = node
        settings = {name: getattr(op, name) for name in attributes(Conv2d)}
        return replace(node, op=Conv2d(**{**settings, "init": "default"}))

    graph = replace(graph, root=graph.root.map(plain))
    if weights is None:
        return graph, None
    found = dict(weights)
    for path, node in baked.items():
        own = {name: weights[f"{path}.{name}"].astype("float64") for name in node.params}
        assert isinstance(node.op, Convolution)
        found[f"{path}.weight"] = node.op.kernel(own)
    return graph, {name: found[name] for name in graph.parameters()}


def infers(graph: Graph) -> str | None:
    """Condition: the graph is that of inference."""
    noisy = [node.path for node in graph.nodes if node.op.ONLY_TRAINING]
    if noisy:
        return f"{noisy[0]} is for training only"
    return None if graph.inference else f"{graph.name} is a graph to train"


def without_standardised(graph: Graph) -> str | None:
    """Condition: no convolution computes its weight."""
    left = (node.path for node in graph.nodes if isinstance(node.op, STANDARDISED))
    return next((f"{path} computes its weight" for path in left), None)


INFERENCE: tuple[Pass, ...] = (
    structural(for_inference, ensures=(infers,)),
    Pass("bake_kernels", bake_kernels, requires=(infers,), ensures=(without_standardised,)),
    Pass("fold_channels", fold_channels, requires=(infers,)),
    structural(remove_dead),
)
