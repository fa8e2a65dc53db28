"""An ONNX file as plain data: its nodes, and its tensors, bounded and from its own folder alone."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from resspec.diagnostics import error
from resspec.lift.proof import widened
from resspec.lift.record import KIND
from resspec.weights.files.source import Opened, Unreadable, shown

Array = NDArray[Any]
LARGEST = 2 << 30  # bytes of the file, which its format cannot exceed
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
NORMS = ("BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization")
WITH_VECTORS = ("Conv", "Gemm", "Add", "Mul")  # biases and scales


@dataclass(eq=False)
class Node:
    """One operator. stack: the modules that it was in, as `torch.export` notes them, where it
    says so; `label`: what it is called."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    label: str
    stack: dict[str, tuple[str, str]]


@dataclass(eq=False)
class Model:
    """shape: of the one input, None where it is free. `named`: whether nodes tell their modules."""

    nodes: list[Node]
    input: str
    shape: tuple[int | None, ...]
    outputs: list[str]
    tensors: dict[str, Array]
    opset: int
    proto: Any
    named: bool
    notes: list[str] = field(default_factory=list)


def read(path: Path) -> Model:
    """Errors: Unreadable, SpecError(io-error, not-liftable)."""
    with Opened(path) as file:
        if file.size > LARGEST:
            raise Unreadable(f"it takes {file.size:,} bytes, more than the format has")
        data = file.read(0, file.size)
    try:
        proto = onnx.ModelProto.FromString(data)
    except Exception as problem:  # protobuf's DecodeError, wherever that is from
        raise Unreadable("it is damaged, or no ONNX file") from problem
    graph = proto.graph
    if not graph.node:
        raise Unreadable("it is damaged, or no ONNX file: it holds no operators")
    halves = _plain(proto, path.parent)
    tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in tensors]
    if len(inputs) != 1:
        said = ", ".join(shown(one.name) for one in inputs) or "none"
        raise error("not-liftable", f"a model reads one tensor; this one reads {said}")
    (given,) = inputs
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in given.type.tensor_type.shape.dim
    )
    if len(shape) != 4:
        raise error("not-liftable", f"a model reads images, 4 dimensions; this one {len(shape)}")
    _unshared(graph, tensors)
    stacks = [_stack(node) for node in graph.node]
    nodes = [_node(node, stack) for node, stack in zip(graph.node, stacks, strict=True)]
    opset = max(
        (one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), default=1
    )
    return Model(
        nodes, given.name, shape, [one.name for one in graph.output], tensors, opset, proto,
        any(stacks), halves,
    )  # fmt: skip


def _plain(proto: Any, folder: Path) -> list[str]:
    """Tensors taken from beside the file, and half precision made single. Errors: Unreadable."""
    graph, found = proto.graph, set()
    halves = {onnx.TensorProto.FLOAT16: "float16", onnx.TensorProto.BFLOAT16: "bfloat16"}
    held = [attribute.t for node in graph.node for attribute in node.attribute
            if attribute.HasField("t")]  # fmt: skip
    for tensor in [*graph.initializer, *held]:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _beside(tensor, folder)
        if tensor.data_type in halves:
            found.add(halves[tensor.data_type])
            try:
                array = numpy_helper.to_array(tensor).astype(np.float32)
            except (ValueError, TypeError) as problem:
                raise Unreadable(f"`{shown(tensor.name)}` in it is damaged") from problem
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for one in [*graph.input, *graph.output]:
        if one.type.tensor_type.elem_type in halves:
            one.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in halves:
                attribute.i = onnx.TensorProto.FLOAT
    for tensor in graph.initializer:
        try:
            numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as problem:
            raise Unreadable(f"`{shown(tensor.name)}` in it is damaged") from problem
    del graph.value_info[:]
    return widened(found)


def _beside(tensor: Any, folder: Path) -> None:
    """Numbers that stand in another file, of the same folder. Errors: Unreadable."""
    told = {one.key: one.value for one in tensor.external_data}
    place = told.get("location", "")
    parts = PurePosixPath(place.replace("\\", "/")).parts
    name = shown(tensor.name)
    path = folder.joinpath(*parts) if parts else folder
    within = path.resolve().is_relative_to(folder.resolve())
    if not parts or ".." in parts or PurePosixPath(place).is_absolute() or not within:
        raise Unreadable(f"`{name}` in it is said to stand in `{shown(place)}`, which is not in "
                         "its folder", "keep the files of a model in one folder")  # fmt: skip
    try:
        start, length = int(told.get("offset", "0")), int(told.get("length", "-1"))
    except ValueError as problem:
        raise Unreadable(f"`{name}` in it has no place in a file") from problem
    with Opened(path) as file:
        tensor.raw_data = file.read(start, length if length >= 0 else file.size - start)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _unshared(graph: Any, tensors: dict[str, Array]) -> None:
    """Vectors that the exporter stored once because their numbers are equal, one for each layer
    again."""
    copies = [
        node for node in graph.node if node.op_type == "Identity" and node.input[0] in tensors
    ]
    for node in copies:
        name = node.output[0]
        tensors[name] = tensors[node.input[0]]
        graph.initializer.append(numpy_helper.from_array(tensors[name], name))
        graph.node.remove(node)
    uses = Counter(name for node in graph.node for name in node.input if name in tensors)
    wide = {name for name, array in tensors.items() if array.size > max(array.shape, default=1)}
    maker = {name: node for node in graph.node for name in node.output}
    seen: Counter[str] = Counter()
    for node in graph.node:
        made = [maker[name] for name in node.input if node.op_type == "Add" and name in maker]
        read = [name for one in (node, *(made if len(made) == 1 else ())) for name in one.input]
        shared = any(name in wide and uses[name] > 1 for name in read)
        if node.op_type not in NORMS and (node.op_type not in WITH_VECTORS or shared):
            continue
        for place, name in enumerate(list(node.input)):
            if name not in tensors or tensors[name].size == 1 or name in wide or uses[name] < 2:
                continue
            seen[name] += 1
            if seen[name] > 1:
                own = f"{name}#{seen[name]}"
                tensors[own] = tensors[name]
                graph.initializer.append(numpy_helper.from_array(tensors[name], own))
                node.input[place] = own


def _node(node: Any, stack: dict[str, tuple[str, str]]) -> Node:
    attributes: dict[str, Any] = {}
    for one in node.attribute:
        value = onnx.helper.get_attribute_value(one)
        attributes[one.name] = (
            value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        )
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    weight = next((name for name in node.input[1:] if name.endswith((".weight", "/kernel"))), "")
    label = weight.rpartition("." if "." in weight else "/")[0] or node.name
    return Node(
        f"{domain}{node.op_type}", list(node.input), list(node.output), attributes, label, stack
    )


def _stack(node: Any) -> dict[str, tuple[str, str]]:
    """The modules that a node was in: as the newer exporter of PyTorch says them, or the older, by
    the node's name (`/layer1/layer1.0/conv1/Conv`)."""
    said = {one.key: one.value for one in node.metadata_props}
    paths, kinds = _texts(said.get(SCOPES, "")), _texts(said.get(CLASSES, ""))
    if paths and len(paths) == len(kinds):
        pairs = [*zip(paths, kinds, strict=True)][:-1]  # the last is the operation's
        return {f"{path}@": (path, kind) for path, kind in pairs}
    words = node.name.split("/")[1:-1] if node.name.startswith("/") else []
    found: dict[str, tuple[str, str]] = {}
    path = before = ""
    for depth, word in enumerate(words):
        # a module of a list says its place in it: `layer1.0` within `layer1`
        inside = before and word.startswith(f"{before}.")
        path = f"{path}.{word.removeprefix(f'{before}.') if inside else word}".lstrip(".")
        found[f"{path}@"], before = (path, f"{depth}.{KIND}"), word
    return found


def _texts(text: str) -> list[str]:
    """A list of texts as Python writes it."""
    if len(text) > 1 << 14:
        return []
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(one) for one in found] if isinstance(found, list) else []
