"""Normalisations."""

from __future__ import annotations

from typing import Any

from resspec_torch.lift.onnx.model import Node
from resspec_torch.lift.onnx.operators.shared import Values, data
from resspec_torch.lift.onnx.translate import Translator, flag, operator


@operator("BatchNormalization")
def _batch_norm(t: Translator, node: Node, x: Values, *given: Values) -> Any:
    scale, shift = (data(one) for one in given[:2])
    mean, var = (t.tensor(name, "buffers") if name in t.model.tensors else data(one)
                 for name, one in zip(node.inputs[3:5], given[2:4], strict=True))  # fmt: skip
    found = node.attributes
    momentum = float(f"{1 - found.get('momentum', 0.9):.6g}")
    return t.emit(
        "batch_norm", data(x), scale, shift, mean, var, False, momentum,
        float(f"{found.get('epsilon', 1e-5):.7g}"), False,
    )  # fmt: skip


@operator("LayerNormalization")
def _layer_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values = None) -> Any:
    rank, axis = len(data(x).shape), node.attributes.get("axis", -1)
    flag(axis % rank != rank - 1, "over several axes")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    size = [data(x).shape[-1]]
    return [t.emit("layer_norm", data(x), size, scale and data(scale), shift and data(shift), eps)]


@operator("resspec.GroupNorm")
def _group_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    scale, shift = (t.emit("view", data(one), [-1]) for one in (scale, shift))
    found = node.attributes
    return t.emit(
        "group_norm", data(x), found["groups"], scale, shift,
        float(f"{found['epsilon']:.7g}"), False,
    )  # fmt: skip


@operator("GroupNormalization")
def _group_normalization(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(t.model.opset < 21, "a scale for each group")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    groups = node.attributes["num_groups"]
    return t.emit("group_norm", data(x), groups, data(scale), data(shift), eps, False)


@operator("InstanceNormalization")
def _instance_norm(t: Translator, node: Node, x: Values, scale: Values, shift: Values) -> Any:
    flag(len(data(x).shape) != 4, "over other than rows and columns")
    eps = float(f"{node.attributes.get('epsilon', 1e-5):.7g}")
    return t.emit(
        "instance_norm", data(x), data(scale), data(shift), None, None, True, 0.0, eps, False
    )
