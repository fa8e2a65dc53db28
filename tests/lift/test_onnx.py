"""`resspec import` of ONNX files: operators become ops, onnxruntime gives the same, and nothing
outside of the file's folder is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring
from tests.refused import problems, refused

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
torch: Any = pytest.importorskip("torch")
helper: Any = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


class Builder:
    """An ONNX graph, node by node."""

    def __init__(self, shape: Sequence[Any] = ("n", 3, "h", "w"), opset: int = 17) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.shape, self.opset, self.last = shape, opset, "x"
        self.rng = np.random.default_rng(0)

    def weight(self, *shape: int, name: str = "") -> str:
        name = name or f"w{len(self.tensors)}"
        array = self.rng.uniform(0.5, 1.5, shape).astype(np.float32) / max(shape[1:], default=1)
        self.tensors.append(onnx.numpy_helper.from_array(array, name))
        return name

    def numbers(self, values: Any, kind: Any = np.int64) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(onnx.numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(
        self, op: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any
    ) -> str:
        given = inputs or (self.last,)
        made = [f"v{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(op, given, made, name=name, **attributes))
        self.last = made[0]
        return self.last

    def model(self, outputs: Sequence[str] = ()) -> Any:
        given = helper.make_tensor_value_info("x", FLOAT, self.shape)
        ends = [helper.make_tensor_value_info(one, FLOAT, None) for one in outputs or [self.last]]
        graph = helper.make_graph(self.nodes, "g", [given], ends, self.tensors)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("mine", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def saved(self, folder: Path, outputs: Sequence[str] = ()) -> Path:
        path = folder / "mine.onnx"
        onnx.save(self.model(outputs), path)
        return path


def brought(path: Path, shape: tuple[int, int, int] = (3, 32, 32)) -> bring.Imported:
    made = bring.bring(bring.opened(str(path)), shape, "mine")
    assert made.checks[0].quantity == "outputs"
    assert all(check.ok for check in made.checks)
    return made


def norm(b: Builder, width: int, name: str) -> str:
    names = [b.weight(width, name=f"{name}.{one}") for one in ("weight", "bias", "mean", "var")]
    return b.add("BatchNormalization", b.last, *names, epsilon=1e-3)


def test_blocks_are_found_where_nodes_say_nothing(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(8, 3, 3, 3), pads=[1, 1, 1, 1])
    b.add("Relu")
    for at in range(3):
        start = b.last
        b.add("Conv", start, b.weight(8, 8, 3, 3, name=f"layers.{at}.conv1.weight"), pads=[1] * 4)
        norm(b, 8, f"layers.{at}.norm1")
        b.add("Clip", b.last, b.numbers(0, np.float32), b.numbers(6, np.float32))
        b.add("Conv", b.last, b.weight(8, 8, 3, 3, name=f"layers.{at}.conv2.weight"), pads=[1] * 4)
        b.add("Relu", b.add("Add", norm(b, 8, f"layers.{at}.norm2"), start))
    b.add("GlobalAveragePool")
    b.add("Flatten")
    b.add("Gemm", b.last, b.weight(5, 8), b.weight(5), transB=1)
    made = brought(b.saved(tmp_path))
    assert list(made.spec.blocks) == ["block"]
    assert made.spec.model["stages"][0]["depth"] == 3
    assert "relu6" in made.files["blocks/block.yaml"]
    assert any("no gradients" in note for note in made.notes)


def test_what_exporters_write_with_several_operators_is_one_op(tmp_path: Path) -> None:
    b = Builder()
    start = b.add("Conv", "x", b.weight(8, 3, 1, 1))
    half = b.add("Mul", start, b.numbers(0.5, np.float32))
    b.add("Erf", b.add("Div", start, b.numbers(2**0.5, np.float32)))
    b.add("Mul", half, b.add("Add", b.last, b.numbers(1, np.float32)))  # GELU
    moved = b.add("Transpose", b.last, perm=[0, 2, 3, 1])
    centred = b.add("Sub", moved, b.add("ReduceMean", moved, axes=[-1]))
    b.add("ReduceMean", b.add("Pow", centred, b.numbers(2, np.float32)), axes=[-1])
    b.add("Sqrt", b.add("Add", b.last, b.numbers(1e-6, np.float32)))
    b.add("Mul", b.add("Div", centred, b.last), b.weight(8))
    b.add("Add", b.last, b.weight(8))  # layer norm
    b.add("Add", b.add("MatMul", b.last, b.weight(8, 16)), b.weight(16))  # linear
    x = b.add("Transpose", b.last, perm=[0, 3, 1, 2])
    flat = b.add("Reshape", x, b.numbers([0, 4, -1]))
    b.add("InstanceNormalization", flat, b.numbers(np.ones(4), np.float32),
          b.numbers(np.zeros(4), np.float32), epsilon=1e-4)  # fmt: skip
    back = b.add("Reshape", b.last, b.add("Shape", x))
    b.add("Add", b.add("Mul", back, b.weight(16, 1, 1)), b.weight(16, 1, 1))  # group norm
    x = b.last
    b.add("Clip", b.add("Add", x, b.numbers(3, np.float32)), b.numbers(0, np.float32),
          b.numbers(6, np.float32))  # fmt: skip
    b.add("Div", b.add("Mul", x, b.last), b.numbers(6, np.float32))  # hard swish
    b.add("Mul", b.last, b.add("Sigmoid"))  # SiLU
    made = brought(b.saved(tmp_path))
    text = made.files["mine.yaml"]
    for word in ("gelu", "norm: layer_norm", "group_norm: {groups: 4", "hard_swish", "silu"):
        assert word in text, text
    assert made.steps == 7, text


def test_operators_of_every_kind(tmp_path: Path) -> None:
    b = Builder(("n", 3, "h", "w"), opset=18)
    b.add("Sub", "x", b.weight(1, 3, 1, 1))
    b.add("Pow", b.add("Div", b.last, b.weight(3, 1, 1)), b.numbers(3.0, np.float32))
    image = b.last
    sides = b.add("Transpose", b.numbers([[0, 0], [0, 0], [1, 1], [1, 1]]), perm=[1, 0])
    b.add("Pad", image, b.add("Reshape", sides, b.numbers([-1])), mode="reflect")
    still = b.numbers([1, 1, 1], np.float32), b.numbers([0, 0, 0], np.float32)
    b.add("InstanceNormalization", b.last, *still)
    x = b.add("Conv", b.last, b.weight(8, 3, 3, 3), b.weight(8), strides=[2, 2],
              auto_pad="SAME_UPPER")  # fmt: skip
    b.add("PRelu", x, b.weight(8, 1, 1))
    b.add("MaxPool", b.last, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    small = b.add("AveragePool", b.last, kernel_shape=[2, 2], strides=[1, 1],
                  auto_pad="SAME_UPPER")  # fmt: skip
    sizes = b.add("Slice", b.add("Shape", x), b.numbers([2]), b.numbers([4]), b.numbers([0]))
    batch = b.add("Slice", b.add("Shape", x), b.numbers([0]), b.numbers([2]), b.numbers([0]))
    target = b.add("Concat", batch, sizes, axis=0)
    big = b.add("Resize", small, "", "", target, mode="linear",
                coordinate_transformation_mode="pytorch_half_pixel")  # fmt: skip
    joined = b.add("Concat", x, big, axis=1)
    b.add("Split", joined, b.numbers([4, 12]), outputs=2, axis=1)
    first, second = b.nodes[-1].output
    gate = b.add("HardSigmoid", b.add("ReduceMean", second, b.numbers([2, 3])), alpha=1 / 6)
    b.add("Mul", b.add("LeakyRelu", second, alpha=0.3), gate)
    b.add("DepthToSpace", b.last, blocksize=2, mode="CRD")
    b.add("Resize", b.last, "", b.numbers([1, 1, 0.5, 0.5], np.float32), mode="nearest",
          coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    b.add("ConvTranspose", b.last, b.weight(3, 4, 2, 2), b.weight(4), strides=[2, 2])
    b.add("MaxPool", b.last, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    made = brought(b.saved(tmp_path, [first, b.last]), (3, 64, 64))
    assert "padding: same" in made.files["mine.yaml"]
    assert "like:" in made.files["mine.yaml"]
    assert made.second is not None


def test_a_file_that_does_not_run_is_told_in_one_line(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(8, 3, 3, 3), auto_pad="SAME_UPPER", dilations=[2, 2])
    with pytest.raises(SpecError, match="does not run at 32×32, to be"):
        brought(b.saved(tmp_path))


def test_channels_last_as_tensorflow_writes_them(tmp_path: Path) -> None:
    b = Builder(("n", 32, 32, 3), opset=13)
    b.add("Transpose", "x", perm=[0, 3, 1, 2])
    b.add("Conv", b.last, b.weight(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    b.add("Relu")
    end = b.add("Transpose", b.last, perm=[0, 2, 3, 1])
    network = bring.opened(str(b.saved(tmp_path, [end])))
    assert network.shape == (3, 32, 32)
    made = brought(tmp_path / "mine.onnx")
    assert made.graph.outputs[0][1][0].type.shape == (4, 16, 16)


def test_what_no_op_says_is_told_all_at_once(tmp_path: Path) -> None:
    b = Builder()
    b.add("LRN", "x", name="first", size=3)
    b.add("Run", b.last, name="second", domain="mine")
    first, second = problems(brought, b.saved(tmp_path))
    assert first.code == second.code == "not-liftable"
    assert "LRN: no op says this" in first.message
    assert "mine.Run: no op says this" in second.message
    two = Builder()
    two.add("Relu", "x")
    model = two.model()
    model.graph.input.append(helper.make_tensor_value_info("y", FLOAT, (1,)))
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(SpecError, match="a model reads one tensor; this one reads x, y"):
        bring.opened(str(tmp_path / "two.onnx"))


def test_half_precision_comes_in_as_float32(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(4, 3, 1, 1))
    model = b.model()
    (tensor,) = model.graph.initializer
    array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "mine.onnx")
    made = brought(tmp_path / "mine.onnx")
    assert made.notes[0] == "its tensors are float16; they come in as float32"


# -- hostile ---------------------------------------------------------------------------------------


def beside(folder: Path, location: str, **told: str) -> Path:
    """A file whose weight stands in another one."""
    b = Builder()
    b.add("Conv", "x", b.weight(4, 3, 1, 1))
    model = b.model()
    (tensor,) = model.graph.initializer
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **told}.items():
        tensor.external_data.add(key=key, value=value)
    inner = folder / "model"
    inner.mkdir(exist_ok=True)
    for place in (folder / "secret.bin", inner / "data.bin"):
        place.write_bytes(data)
    (inner / "mine.onnx").write_bytes(model.SerializeToString())
    return inner / "mine.onnx"


def test_windows_along_one_axis(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(8, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    b.add("Reshape", b.last, b.numbers([0, 8, -1]))
    b.add("MaxPool", kernel_shape=[3], strides=[2], pads=[1, 1])
    b.add("Conv", b.last, b.weight(8, 4, 3), b.weight(8), pads=[0, 1], group=2)
    b.add("AveragePool", kernel_shape=[2], strides=[2])
    b.add("GlobalAveragePool")
    b.add("Flatten")
    made = brought(b.saved(tmp_path))
    assert made.summary.params == 8 * 27 + 8 * 4 * 3 + 8
    b.add("AveragePool", "v3_0", kernel_shape=[2], pads=[0, 1])
    with pytest.raises(SpecError, match="padded on one end"):
        brought(b.saved(tmp_path))


def test_values_that_are_spread_repeated_and_picked(tmp_path: Path) -> None:
    b = Builder(opset=18)
    x = b.add("Conv", "x", b.weight(6, 3, 3, 3))
    b.add("ReduceL2", x, b.numbers([1]), keepdims=1)
    b.add("Clip", b.last, b.numbers(1e-12, np.float32))
    b.add("Expand", b.last, b.add("Shape", x))
    unit = b.add("Div", x, b.last)
    b.add("Concat", b.add("Gather", unit, b.numbers([2, 3, 4]), axis=1), unit, axis=1)
    b.add("Tile", b.last, b.numbers([1, 2, 1, 1]))
    made = brought(b.saved(tmp_path))
    assert "l2_normalize" in str(made.files)
    b.add("Gather", unit, b.numbers([0, 2, 4]), axis=1)
    assert "channel_shuffle" in str(brought(b.saved(tmp_path)).files)
    b.add("Gather", unit, b.numbers([3, 1] * 70), axis=1)
    with pytest.raises(SpecError, match="in no order"):
        brought(b.saved(tmp_path))
    b.add("Tile", unit, b.numbers([1, 1 << 40, 1, 1]))
    with pytest.raises(SpecError, match="more often than"):
        brought(b.saved(tmp_path))


def test_vectors_stored_once_are_each_layer_s_own(tmp_path: Path) -> None:
    """As exporters store all biases of zeros, layer scales and norms of untrained networks."""
    b = Builder()
    bias, scale = b.weight(4), b.weight(4, 1, 1)
    b.add("Mul", b.add("Conv", "x", b.weight(4, 3, 1, 1), bias), scale)
    b.add("Mul", b.add("Conv", b.last, b.weight(4, 4, 1, 1), bias), scale)
    b.add("Transpose", perm=[0, 2, 3, 1])
    for _ in range(2):
        b.add("Add", b.add("MatMul", b.last, b.weight(4, 4)), bias)
    made = brought(b.saved(tmp_path))
    assert made.summary.params == 12 + 3 * 16 + 4 * 4 + 2 * 4
    both = Builder()  # a layer that is called twice stays one
    weight, bias = both.weight(4, 4), both.weight(4)
    both.add("Transpose", both.add("Conv", "x", both.weight(4, 3, 1, 1)), perm=[0, 2, 3, 1])
    for _ in range(2):
        both.add("Add", both.add("MatMul", both.last, weight), bias)
    assert brought(both.saved(tmp_path)).summary.params == 12 + 16 + 4


def test_data_beside_the_file_is_read_from_its_folder_alone(tmp_path: Path) -> None:
    assert brought(beside(tmp_path, "data.bin")).summary.params == 12
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "secret.bin")
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", "a/../../secret.bin",
                     "..\\secret.bin", "/etc/passwd", ""):  # fmt: skip
        with pytest.raises(SpecError, match="not in its folder") as caught:
            bring.opened(str(beside(tmp_path, location)))
        assert caught.value.diagnostics[0].code == "weights-format"
    for told in ({"offset": "8"}, {"length": "4096"}, {"offset": "-4"}, {"length": "x"}):
        found = refused(bring.opened, str(beside(tmp_path, "data.bin", **told)))
        assert found.code == "weights-format"


def test_what_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(4, 3, 1, 1))
    model = b.model()
    model.graph.initializer[0].dims[:] = [1 << 40, 3, 1, 1]
    onnx.save(model, tmp_path / "claims.onnx")
    with pytest.raises(SpecError, match="damaged"):
        bring.opened(str(tmp_path / "claims.onnx"))
    bomb = Builder()
    bomb.add("ConstantOfShape", bomb.numbers([1 << 20, 1 << 20]))
    bomb.add("Add", "x", bomb.last)
    with pytest.raises(SpecError, match="a constant of more than"):
        brought(bomb.saved(tmp_path))
    (tmp_path / "text.onnx").write_text("no protobuf at all")
    with pytest.raises(SpecError, match="no ONNX file"):
        bring.opened(str(tmp_path / "text.onnx"))


def test_it_is_built_on_another_framework_with_its_weights(tmp_path: Path) -> None:
    b = Builder()
    b.add("Conv", "x", b.weight(4, 3, 3, 3))
    b.add("Softmax", norm(b, 4, "n"), axis=1)
    made = brought(b.saved(tmp_path))
    path = made.save(tmp_path / "spec")
    built = resspec.build(str(path), weights=tmp_path / "spec" / "weights.safetensors").eval()
    x = np.random.default_rng(0).normal(size=(2, 3, 40, 24)).astype(np.float32)
    runtime: Any = pytest.importorskip("onnxruntime")
    (wanted,) = runtime.InferenceSession(tmp_path / "mine.onnx").run(None, {"x": x})
    assert np.allclose(built(torch.from_numpy(x)).detach().numpy(), wanted, atol=1e-6)
