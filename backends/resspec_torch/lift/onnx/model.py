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
from resspec_torch.lift.onnx.folding import folded
from resspec_torch.lift.program import Unfit
from resspec_torch.lift.values import WRITTEN

Array = NDArray[Any]
LARGEST = 2 << 30  # bytes of the file, which its format cannot exceed
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
NORMS = ("BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization")
WITH_VECTORS = ("Conv", "Gemm", "Add", "Mul")  # biases and scales
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "PRelu")
PLAIN = tuple(
    getattr(onnx.TensorProto, word)
    for word in "FLOAT DOUBLE INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 BOOL".split()
)


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
    notes = _plain(proto, path.parent)
    opset = max(
        (one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), default=1
    )
    _sound(graph, opset)
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
    kind = given.type.tensor_type.elem_type
    if kind not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        word = onnx.TensorProto.DataType.Name(kind).lower()
        raise error("not-liftable", f"a model reads numbers in floating point; this one {word}")
    notes += _held(graph, tensors, opset)
    _unshared(graph, tensors)
    stacks = [_stack(node) for node in graph.node]
    nodes = [_node(node, stack) for node, stack in zip(graph.node, stacks, strict=True)]
    return Model(
        nodes, given.name, shape, [one.name for one in graph.output], tensors, opset, proto,
        any(stacks), notes,
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
                found.add(halves[attribute.i])
                attribute.i = onnx.TensorProto.FLOAT
    for tensor in [*graph.initializer, *held]:
        name = shown(tensor.name) or "a constant"
        if tensor.data_type not in PLAIN:
            kinds = onnx.TensorProto.DataType
            kind = kinds.Name(tensor.data_type) if tensor.data_type in kinds.values() else "unknown"
            raise Unreadable(f"`{name}` in it is of type {kind}, which is not read")
        try:
            if min(tensor.dims, default=0) < 0:
                raise ValueError
            numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as problem:
            raise Unreadable(f"`{name}` in it is damaged") from problem
    del graph.value_info[:]
    return widened(found)


def _beside(tensor: Any, folder: Path) -> None:
    """Numbers that stand in another file, of the same folder. Errors: Unreadable."""
    told = {one.key: one.value for one in tensor.external_data}
    place = told.get("location", "")
    parts = PurePosixPath(place.replace("\\", "/")).parts
    name = shown(tensor.name) or "a constant"
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


def _sound(graph: Any, opset: int) -> None:
    """Whether every value is made once, before it is read, by an operator as the standard has it.
    Errors: Unreadable."""
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise Unreadable(f"it is of opset {opset}; the newest that is known is {newest}")
    for word, ones in (("tensor", graph.initializer), ("input", graph.input),
                       ("output", graph.output)):  # fmt: skip
        name, count = Counter(one.name for one in ones).most_common(1)[0] if ones else ("", 1)
        if count > 1:
            raise Unreadable(f"it has {count} {word}s called `{shown(name)}`")
    known = {one.name for one in [*graph.input, *graph.initializer]}
    made = {name for node in graph.node for name in node.output}
    context = onnx.checker.C.CheckerContext()
    context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": opset}
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                raise Unreadable(
                    f"`{shown(name)}` in it is read before it is made: its operators stand in no "
                    "order, or go round" if name in made else
                    f"`{shown(name)}` in it is read, and nothing makes it"
                )  # fmt: skip
        for name in filter(None, node.output):
            if name in known:
                raise Unreadable(f"`{shown(name)}` in it is made twice")
            known.add(name)
        if node.domain in ("", "ai.onnx") and not any(one.HasField("g") for one in node.attribute):
            try:
                onnx.checker.check_node(node, context)
            except onnx.checker.ValidationError as problem:
                line = shown(str(problem).strip().splitlines()[0])
                raise Unreadable(f"{node.op_type} in it is not as the standard has it: {line}"
                                 ) from problem  # fmt: skip
    for one in graph.output:
        if one.name not in known:
            raise Unreadable(f"nothing in it makes its output `{shown(one.name)}`")
    if not graph.output:
        raise Unreadable("it gives nothing: no output is named")


def _held(graph: Any, tensors: dict[str, Array], opset: int) -> list[str]:
    """Tensors that stand in the place of others, by another name or in eight bits, and weights that
    are written as constants, as tensors of the file; what is to be told of them."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def weighs(name: str) -> bool:
        return any(
            (node.op_type in (*LAYERS, *NORMS) and node.input[0] != name)
            or (node.op_type == "Identity" and weighs(node.output[0]))
            for node in readers.get(name, ())
        )

    kept, notes = [], set()
    for node in graph.node:
        array, name = None, node.output[0] if node.output else ""
        inside = node.input and all(one in tensors for one in node.input)
        if node.op_type == "Constant" and [one.name for one in node.attribute] == ["value"]:
            found = numpy_helper.to_array(node.attribute[0].t)
            wide = found.size > WRITTEN or (found.ndim > 0 and weighs(name))
            array = found if found.dtype.kind == "f" and wide else None
        elif node.op_type == "Identity" and inside:
            array = tensors[node.input[0]]
        elif node.op_type == "DequantizeLinear" and inside:
            given = [tensors[one] for one in node.input]
            try:
                (array,) = folded(
                    node.op_type, given, 1, _attributes(node), max(opset, 19), given[0].size
                )
            except Unfit as problem:
                raise Unreadable(f"`{shown(name)}` in it: {problem}") from problem
            notes.add("its weights are whole numbers with a scale; they come in as the numbers "
                      "that these stand for")  # fmt: skip
        if array is None:
            kept.append(node)
            continue
        tensors[name] = array
        graph.initializer.append(numpy_helper.from_array(array, name))
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)
    return sorted(notes)


def _unshared(graph: Any, tensors: dict[str, Array]) -> None:
    """Vectors that the exporter stored once because their numbers are equal, one for each layer
    again."""
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
            if name not in tensors or name in wide or uses[name] < 2:
                continue
            if tensors[name].size == 1 and node.op_type not in (*LAYERS, *NORMS):
                continue  # a number
            seen[name] += 1
            if seen[name] > 1:
                own = f"{name}#{seen[name]}"
                tensors[own] = tensors[name]
                graph.initializer.append(numpy_helper.from_array(tensors[name], own))
                node.input[place] = own


def _node(node: Any, stack: dict[str, tuple[str, str]]) -> Node:
    domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    weight = next((name for name in node.input[1:] if name.endswith((".weight", "/kernel"))), "")
    label = weight.rpartition("." if "." in weight else "/")[0] or node.name
    return Node(
        f"{domain}{node.op_type}",
        list(node.input),
        list(node.output),
        _attributes(node),
        label,
        stack,
    )


def _attributes(node: Any) -> dict[str, Any]:
    found = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return {name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for name, value in found.items()}  # fmt: skip


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
