"""A Keras model as atoms: its graph of layers is walked in execution order, nested models too.

Stock layers say themselves what their variables do. The variables of any other layer are followed
through the TensorFlow graph of its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resspec.port.dataflow import (
    ACTIVATIONS,
    INPUT,
    Flow,
    Part,
    Tensor,
    Trace,
    combined,
    flow_of,
    joined,
    matrix,
    multiplied,
    plain,
    subtracted,
)

from .frameworks import keras, tf
from .variables import names

LINEAR = ("linear", "identity")
# Layers and ops after which channel c still only depends on channel c.
CHANNELWISE = (
    "Add", "Maximum", "Minimum", "Average", "ZeroPadding2D", "Cropping2D",
    "Dropout", "SpatialDropout2D", "StochasticDepth", "Identity", "UpSampling2D", "InputLayer",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Pad",
    "TrueDivide", "Rescaling",
)  # fmt: skip
POOLS = {"MaxPooling2D": "maxpool", "AveragePooling2D": "avgpool"}


def trace(model: Any, name: str = "") -> Trace:
    """The atoms of a Keras model. Errors: ValueError for a model without a graph of layers."""
    found = Trace(name or model.name)
    walker = Walker(found, names(model))
    functional = graph_of_layers(model)
    inputs = [flow_of(INPUT, value.shape[-1]) for value in functional.inputs]
    found.outputs = walker.model(functional, inputs)
    read = {atom.part.tensor.name for atom in found.atoms}
    known = walker.names.values()
    found.unread = [variable for variable in known if variable not in read]
    return found


def graph_of_layers(model: Any) -> Any:
    """The graph of layers of a functional or sequential model."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError("a Sequential without an Input has no layers' shapes; `build` it")
        model = model._functional
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(
            "a subclassed Keras model says nothing of its layers' order; rebuild it as a "
            "functional one"
        )
    return model


def results(model: Any, x: Any) -> dict[int, tuple[Any, Any]]:
    """What each stock layer of the outermost model reads and gives for x, by the number that
    `trace` gives its operation; None for what it gives where an activation follows inside it."""
    functional = graph_of_layers(model)
    walker = Walker(Trace(""), names(model))
    walker.model(functional, [flow_of(INPUT, value.shape[-1]) for value in functional.inputs])
    wanted = [
        tensor
        for node in walker.nodes.values()
        for tensor in (node.input_tensors[0], node.output_tensors[0])
    ]
    inputs = functional.inputs
    watched = keras.Model(inputs[0] if len(inputs) == 1 else inputs, wanted)
    values = watched(x, training=False)
    pairs = zip(values[::2], values[1::2], strict=True)
    return {
        at: (read, None if _activation(node.operation) else gave)
        for (at, node), (read, gave) in zip(walker.nodes.items(), pairs, strict=True)
    }


class Walker:
    """Follows values through a model; `names` maps a variable's identity to its name."""

    def __init__(self, found: Trace, names: Mapping[int, str]) -> None:
        self.found, self.names = found, names
        self.nodes: dict[int, Any] = {}  # of the outermost model, by the operation's number

    def model(self, functional: Any, inputs: Sequence[Flow], prefix: str = "") -> list[Flow]:
        """Flows of a model's outputs."""
        flows = {id(value): flow for value, flow in zip(functional.inputs, inputs, strict=True)}
        for depth in sorted(functional._nodes_by_depth, reverse=True):
            for node in functional._nodes_by_depth[depth]:
                if node.is_input or any(id(value) not in flows for value in node.input_tensors):
                    continue
                reads = [flows[id(value)] for value in node.input_tensors]
                results = self.node(node, reads, prefix)
                for value, flow in zip(node.output_tensors, results, strict=True):
                    flows[id(value)] = flow
        return [flows[id(value)] for value in functional.outputs]

    def node(self, node: Any, reads: list[Flow], prefix: str) -> list[Flow]:
        layer, outputs = node.operation, node.output_tensors
        path = prefix + layer.name
        if isinstance(layer, keras.Model):
            return self.model(graph_of_layers(layer), reads, f"{path}.")
        channels = outputs[0].shape[-1] or 1
        variables = list(getattr(layer, "variables", ()))
        variables = [one for one in variables if "seed_generator" not in one.path]
        if variables:
            parts, known = stock(layer, self.part)
            flow = combined(reads)
            if type(layer) is keras.layers.SeparableConv2D:
                flow = self.separable(layer, flow, channels, path)
            elif parts is None:
                flow = Unknown(self, layer, path).flow(node, reads)
            else:
                kind = known.pop("kind")
                if not prefix:
                    self.nodes[self.found.operations] = node
                flow = self.found.operation(
                    Flow(flow.segments), parts, channels, path, kind, **known
                )
            return [_activated(flow, layer)] * len(outputs)
        return self.stateless(node, reads, channels)

    def separable(self, layer: Any, flow: Flow, channels: int, path: str) -> Flow:
        """A layer that is two convolutions."""
        height, width, read, times = layer.depthwise_kernel.shape
        extents = (read * times, 1, height, width)
        known = {"stride": tuple(layer.strides), "dilation": tuple(layer.dilation_rate)}
        weight = self.part("conv", layer.depthwise_kernel, (2, 3, 0, 1), extents)
        flow = self.found.operation(
            Flow(flow.segments), [weight], read * times, path, "conv2d", groups=read, **known
        )
        parts = [self.part("conv", layer.pointwise_kernel, (3, 2, 0, 1))]
        if layer.bias is not None:
            parts.append(self.part("shift", layer.bias))
        plain = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
        return self.found.operation(flow, parts, channels, path, "conv2d", **plain)

    def part(self, role: str, variable: Any, axes: tuple[int, ...] = (),
             extents: tuple[int, ...] | None = None) -> Part:  # fmt: skip
        """A variable in a role; axes lead to canonical order."""
        shape = tuple(variable.shape)
        moved = tuple(shape[axis] for axis in axes) if axes else shape
        if extents is None:
            extents = matrix(moved) if role.startswith("conv") else (_size(shape),)
        return Part(role, Tensor(self.names[id(variable)], shape, axes), extents)

    def stateless(self, node: Any, reads: list[Flow], channels: int) -> list[Flow]:
        layer, outputs = node.operation, node.output_tensors
        kind = type(layer).__name__
        if kind in ("Concatenate",):
            axis = getattr(layer, "axis", -1)
            if axis in (-1, len(outputs[0].shape) - 1):
                return [joined(reads)]
        if kind == "Split" and getattr(layer, "axis", -1) in (-1, len(outputs[0].shape) - 1):
            start, parts = 0, []
            for value in outputs:
                parts.append(reads[0].cut(start, start + value.shape[-1]))
                start += value.shape[-1]
            return parts
        if kind == "Activation":
            return [_activated(reads[0], layer)]
        if (act := plain(kind)) in ACTIVATIONS:
            return [reads[0].activated(act)]
        if kind in POOLS:
            return [reads[0].activated(POOLS[kind])]
        if kind == "Multiply":
            return [multiplied(reads)]
        if kind == "Subtract":
            return [subtracted(reads)]
        if kind in CHANNELWISE:
            return [combined(reads)] * len(outputs)
        return [combined([flow.mixed(channels) for flow in reads])] * len(outputs)


def _activated(flow: Flow, layer: Any) -> Flow:
    """After the activation that a layer carries."""
    name = _activation(layer)
    return flow.activated(name) if name else flow


def _activation(layer: Any) -> str:
    """The activation that a layer carries, "" where it has none."""
    activation = getattr(layer, "activation", None)
    name = plain(getattr(activation, "__name__", "linear"))
    return "" if activation is None or name in LINEAR else name


def _size(shape: Sequence[int]) -> int:
    total = 1
    for extent in shape:
        total *= extent
    return total


Maker = Callable[..., Part]


def stock(layer: Any, part: Maker) -> tuple[list[Part] | None, dict[str, Any]]:
    """Roles of a stock layer's variables and what it was told; None where it is no stock layer."""
    layers = keras.layers
    bias = [part("shift", layer.bias)] if getattr(layer, "bias", None) is not None else []
    # a class of somebody else's may do anything with what it inherits
    match type(layer):
        case layers.Conv2D:
            known = {"kind": "conv2d", "stride": tuple(layer.strides),
                     "dilation": tuple(layer.dilation_rate), "groups": layer.groups}  # fmt: skip
            return [part("conv", layer.kernel, (3, 2, 0, 1)), *bias], known
        case layers.DepthwiseConv2D:
            height, width, channels, times = layer.kernel.shape
            weight = part("conv", layer.kernel, (2, 3, 0, 1), (channels * times, 1, height, width))
            known = {"kind": "conv2d", "stride": tuple(layer.strides),
                     "dilation": tuple(layer.dilation_rate), "groups": channels}  # fmt: skip
            return [weight, *bias], known
        case layers.Conv2DTranspose:
            known = {"kind": "conv_transpose2d", "stride": tuple(layer.strides),
                     "dilation": tuple(layer.dilation_rate), "groups": 1}  # fmt: skip
            return [part("conv_transpose", layer.kernel, (3, 2, 0, 1)), *bias], known
        case layers.Conv1D:
            return [part("conv", layer.kernel, (2, 1, 0)), *bias], {"kind": "conv1d"}
        case layers.Dense:
            return [part("conv", layer.kernel, (1, 0)), *bias], {"kind": "linear"}
        case layers.BatchNormalization:
            found = [part("mean", layer.moving_mean), part("var", layer.moving_variance)]
            known = {"kind": "batch_norm", "eps": layer.epsilon, "momentum": 1 - layer.momentum}
            return [*found, *_affine(layer, part)], known
        case layers.Normalization:
            names = {"mean": "adapt_mean", "var": "adapt_variance", "count": "count"}
            found = [part(role, getattr(layer, name)) for role, name in names.items()]
            return found, {"kind": "standardize"}
        case layers.LayerNormalization:
            return _affine(layer, part), {"kind": "layer_norm", "eps": layer.epsilon}
        case layers.GroupNormalization:
            return _affine(layer, part), {"kind": "group_norm", "eps": layer.epsilon}
        case layers.PReLU:
            return [part("slope", layer.alpha)], {"kind": "prelu"}
    return None, {}


def _affine(layer: Any, part: Maker) -> list[Part]:
    roles = (("scale", getattr(layer, "gamma", None)), ("shift", getattr(layer, "beta", None)))
    return [part(role, variable) for role, variable in roles if variable is not None]


TF_ROLES = {
    "Conv2D": "conv", "DepthwiseConv2dNative": "depthwise", "MatMul": "matrix",
    "BatchMatMulV2": "matrix", "Mul": "scale", "RealDiv": "divisor", "AddV2": "shift",
    "Add": "shift", "BiasAdd": "shift", "Sub": "shift", "Maximum": "maximum",
}  # fmt: skip
AXES = {"conv": (3, 2, 0, 1), "depthwise": (2, 3, 0, 1), "matrix": (1, 0)}


class Unknown:
    """A layer whose code is followed operation by operation."""

    def __init__(self, walker: Walker, layer: Any, path: str) -> None:
        self.walker, self.layer, self.path = walker, layer, path

    def flow(self, node: Any, reads: Sequence[Flow]) -> Flow:
        """What the layer gives."""
        layer = self.layer
        specs = [
            tf.TensorSpec([1, *(extent or 32 for extent in value.shape[1:])], value.dtype)
            for value in node.input_tensors
        ]
        single = len(specs) == 1

        def call(*values: Any) -> Any:
            return layer(values[0] if single else list(values))

        graph = tf.function(call).get_concrete_function(*specs).graph
        handles = {id(one.value.handle): one for one in layer.variables}
        data: dict[str, Flow] = {}
        derived: dict[str, Any] = {}
        for outside, inside in graph.captures:
            if id(outside) in handles:
                derived[inside.name] = handles[id(outside)]
        fed = [one for one in graph.inputs if one.name not in derived]
        for placeholder, flow in zip(fed, reads, strict=False):
            data[placeholder.name] = flow
        for op in graph.get_operations():
            flows = [data[one.name] for one in op.inputs if one.name in data]
            used = [derived[one.name] for one in op.inputs if one.name in derived]
            if flows and used:
                result = self.operation(op, combined(flows), used)
                data |= {one.name: result for one in op.outputs}
            elif flows:
                shapes = [one.shape for one in op.outputs if one.shape.rank]
                channels = (shapes[0][-1] if shapes else None) or 1
                mixed = combined([one.mixed(channels) for one in flows])
                data |= {one.name: mixed for one in op.outputs}
            elif used:
                derived |= {one.name: used[0] for one in op.outputs}
        return data[graph.outputs[0].name]

    def operation(self, op: Any, flow: Flow, used: Sequence[Any]) -> Flow:
        role = TF_ROLES.get(op.type, op.type.lower())
        axes = AXES.get(role, ())
        parts = []
        for variable in used:
            shape = tuple(variable.shape)
            extents = None
            if role == "depthwise":
                extents = (shape[2] * shape[3], 1, *shape[:2])
            wide = role in AXES
            parts.append(
                self.walker.part("conv" if wide else role, variable, axes if wide else (), extents)
            )
        channels = op.outputs[0].shape[-1] or 1
        return self.walker.found.operation(
            Flow(flow.segments), parts, channels, self.path, op.type.lower()
        )
