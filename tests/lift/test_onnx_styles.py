"""`resspec import` of ONNX files as other people and programs write them: each comes in, and
computes what its own numbers compute in onnxruntime, or is refused in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring

onnx: Any = pytest.importorskip("onnx")
runtime: Any = pytest.importorskip("onnxruntime")
torch: Any = pytest.importorskip("torch")
from tests.lift.test_onnx import FLOAT, Builder  # noqa: E402  (it needs onnx)

helper: Any = onnx.helper
F32 = np.float32
Style = Callable[[Builder], Any]


def conv(b: Builder, width: int = 4) -> str:
    return b.add("Conv", b.last, b.weight(width, 3, 3, 3), pads=[1] * 4)


def head(b: Builder) -> str:
    conv(b)
    b.add("GlobalAveragePool")
    return b.add("Flatten", axis=-3)


def constant(b: Builder, name: str, array: Any) -> str:
    value = onnx.numpy_helper.from_array(array)
    b.nodes.append(helper.make_node("Constant", [], [name], value=value))
    return name


def gemm(b: Builder) -> None:
    x = b.add("Transpose", head(b), perm=[1, 0])
    b.add("Gemm", x, b.weight(4, 5), b.weight(5), transA=1, alpha=0.5, beta=2.0)
    b.add("Gemm", b.last, b.weight(5, 6), b.numbers(0.25, F32))
    b.add("Gemm", b.last, b.weight(7, 6), b.weight(1, 7), transB=1)


def constants(b: Builder) -> None:
    """Weights in constants, behind other names, and in eight bits."""
    constant(b, "k", np.arange(108, dtype=F32).reshape(4, 3, 3, 3) / 50)
    b.add("Identity", b.add("Identity", "k"))
    b.add("Conv", "x", b.last)
    whole = b.numbers(np.arange(16).reshape(4, 4, 1, 1) - 7, np.int8)
    scale, zero = b.numbers([0.1, 0.2, 0.3, 0.4], F32), b.numbers([0, 1, 2, 3], np.int8)
    weight = b.add("DequantizeLinear", whole, scale, zero, axis=0)
    b.add("Conv", "v3_0", weight)
    b.add("Mul", b.last, constant(b, "four", np.array([1, 2, 3, 4], F32).reshape(1, 4, 1, 1)))


def numbers(b: Builder) -> None:
    """What is computed of constants alone."""
    table = b.numbers([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0], [3.5, 4.0]], F32)
    picked = b.add("Expand", b.numbers(0.5, F32), b.numbers([4]))
    wave = b.add("Add", b.add("Sin", picked), b.add("Cos", b.add("CumSum", picked, b.numbers(0))))
    b.add("GatherND", table, b.numbers([[0, 0], [1, 1], [2, 0], [3, 1]]))
    scale = b.add("Reshape", wave, b.numbers([1, 4, 1, 1]))
    b.last = "x"
    b.add("Mul", conv(b), scale)


def activations(b: Builder) -> None:
    conv(b)
    b.add("HardSigmoid")
    b.add("Selu", alpha=2.0, gamma=3.0)
    b.add("PRelu", b.last, b.weight(1))
    b.add("Softsign")
    b.add("Pow", b.add("Abs"), b.numbers(1.0, F32))
    b.add("Clip", b.add("Clip"), b.numbers(0.1, F32))
    b.add("Max", b.numbers(0.2, F32), b.last)
    x = b.add("Min", b.last, b.numbers(0.7, F32))
    b.add("Mean", x, b.add("Min", x, b.add("Tanh", x)), b.add("Sum", x, x))


def slopes_of_channels_last(b: Builder) -> None:
    b.add("Transpose", conv(b), perm=[0, 2, 3, 1])
    b.add("Transpose", b.add("PRelu", b.last, b.weight(1, 1, 4)), perm=[0, 3, 1, 2])


def places(b: Builder) -> None:
    x = conv(b, 6)
    b.add("Gather", x, b.numbers([5, 0, 1, 2, -1, 3]), axis=1)
    b.add("Slice", b.last, b.numbers([-1]), b.numbers([-100]), b.numbers([1]), b.numbers([-2]))


def reductions(b: Builder) -> None:
    x = conv(b)
    shares = b.add("Softmax", b.add("ReduceMin", x, axes=[2, 3]), axis=1)
    b.add("Concat", shares, b.add("ReduceL1", x, axes=[2, 3]), axis=1)


def resized(b: Builder) -> None:
    conv(b)
    for factor, how in ((2, {}), (3, {"nearest_mode": "round_prefer_ceil"}), (0.5, {})):
        b.add("Resize", b.last, "", b.numbers([1, 1, factor, factor], F32), **how)
    where = {"coordinate_transformation_mode": "asymmetric"}
    b.add("Resize", b.last, "", b.numbers([2, 2], F32), axes=[-2, -1], **where)


def transposed(b: Builder) -> None:
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        channels = 3 if auto.endswith("UPPER") else 4
        b.add("ConvTranspose", b.last, b.weight(channels, 4, 3, 3), strides=[2, 2], auto_pad=auto)
    b.add("ConvTranspose", b.last, b.weight(4, 4, 3, 3), pads=[0, 0, 1, 1], strides=[2, 2])


def normed(b: Builder) -> None:
    conv(b)
    b.add("LayerNormalization", b.last, b.weight(4, 8, 8), b.weight(4, 8, 8), axis=1)
    b.add("Einsum", b.last, b.weight(4, 5), equation="bchw,cd->bdhw")


def single(b: Builder) -> None:
    """Layers of one channel: each of their parameters is one number, and trained."""
    b.add("Conv", "x", b.weight(1, 3, 1, 1), b.weight(1))
    b.add("BatchNormalization", b.last, *(b.numbers([one], F32) for one in (0.5, 0.25, 0.1, 2.0)))
    kernel = constant(b, "k", np.full((1, 1, 1, 1), 2, F32))
    b.add("Conv", b.last, kernel, constant(b, "shift", np.array([0.5], F32)))
    b.add("InstanceNormalization", b.last, b.numbers([3], F32), b.numbers([0.5], F32))
    b.add("ConvTranspose", b.last, b.weight(1, 1, 1, 1), b.weight(1))
    flat = b.add("Flatten", b.add("GlobalMaxPool"))
    b.add("Gemm", flat, b.weight(1, 1), b.weight(1), transB=1)
    b.add("MatMul", b.last, b.weight(1, 1))
    b.add("LayerNormalization", b.add("Concat", b.last, flat, axis=1), b.weight(2), b.weight(2))
    b.add("Gemm", b.last, b.weight(2, 1), b.weight(1))


COME_IN: dict[str, tuple[Style, int, tuple[Any, ...]]] = {
    "gemm": (gemm, 17, (2, 3, 8, 8)), "constants": (constants, 13, ("n", 3, "h", "w")),
    "numbers": (numbers, 17, ("n", 3, "h", "w")), "places": (places, 13, ("n", 3, "h", "w")),
    "activations": (activations, 13, ("n", 3, "h", "w")),
    "slopes_of_channels_last": (slopes_of_channels_last, 9, ("n", 3, "h", "w")),
    "reductions": (reductions, 11, ("n", 3, 8, 8)), "resized": (resized, 18, ("n", 3, "h", "w")),
    "transposed": (transposed, 21, ("n", 3, "h", "w")), "normed": (normed, 17, (1, 3, 8, 8)),
    "single": (single, 17, ("n", 3, "h", "w")),
}  # fmt: skip


@pytest.mark.parametrize("style", COME_IN)
def test_it_comes_in_and_computes_the_same(style: str, tmp_path: Path) -> None:
    write, opset, shape = COME_IN[style]
    b = Builder(shape, opset=opset)
    write(b)
    path = b.saved(tmp_path)
    made = bring.bring(bring.opened(str(path)), (3, 8, 8), "mine")
    assert all(check.ok for check in made.checks)
    made.save(tmp_path / "spec")
    weights = tmp_path / "spec" / "weights.safetensors"
    built = resspec.build(str(tmp_path / "spec" / "mine.yaml"), weights=weights).eval()
    count = shape[0] if isinstance(shape[0], int) else 2
    x = np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(F32)
    (wanted,) = runtime.InferenceSession(path).run(None, {"x": x})
    found = built(torch.from_numpy(x)).detach().numpy()
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_single_numbers_of_layers_are_their_parameters(tmp_path: Path) -> None:
    b = Builder(("n", 3, "h", "w"), opset=17)
    single(b)
    made = bring.bring(bring.opened(str(b.saved(tmp_path))), (3, 8, 8), "mine")
    assert made.summary.params == 4 + 2 + 2 + 2 + 2 + 2 + 1 + 4 + 3


def test_what_whole_numbers_stand_for_is_told(tmp_path: Path) -> None:
    b = Builder()
    constants(b)
    assert any("whole numbers" in one for one in bring.opened(str(b.saved(tmp_path))).notes)


def test_outputs_have_names_that_a_spec_may_give(tmp_path: Path) -> None:
    b = Builder()
    x = conv(b)
    names = ["a.b", "a_b", "class", "1\x1b[31m"]
    for op, name in zip(("Relu", "Tanh", "Sigmoid", "Neg"), names, strict=True):
        b.nodes.append(helper.make_node(op, [x], [name]))
    made = bring.bring(bring.opened(str(b.saved(tmp_path, names))), (3, 8, 8), "mine")
    assert len({name for name, _ in made.graph.outputs}) == 4


# -- refused ---------------------------------------------------------------------------------------


def training(b: Builder) -> None:
    conv(b)
    b.add("BatchNormalization", b.last, *(b.weight(4) for _ in range(4)), training_mode=1,
          outputs=3)  # fmt: skip


def eight_bits(b: Builder) -> None:
    scale, zero = b.numbers(0.02, F32), b.numbers(0, np.int8)
    b.add("DequantizeLinear", b.add("QuantizeLinear", "x", scale, zero), scale, zero)


def dropping(b: Builder) -> None:
    b.add("Dropout", conv(b), b.numbers(0.5, F32), b.numbers(True, np.bool_))


def out_of_order(b: Builder) -> None:
    conv(b)
    b.add("Relu")
    b.nodes.reverse()


def round_and_round(b: Builder) -> None:
    b.nodes.append(helper.make_node("Add", [conv(b), "q"], ["p"]))
    b.nodes.append(helper.make_node("Relu", ["p"], ["q"]))
    b.last = "q"


def made_twice(b: Builder) -> None:
    x = conv(b)
    b.nodes += [helper.make_node(op, [x], ["d"]) for op in ("Relu", "Tanh")]
    b.last = "d"


def two_of_a_name(b: Builder) -> None:
    b.add("Conv", "x", b.weight(4, 3, 3, 3, name="w"))
    b.weight(4, 3, 3, 3, name="w")


def less_than_nothing(b: Builder) -> None:
    conv(b)
    b.tensors[0].dims[:] = [-4, 3, 3, 3]


def no_numbers(b: Builder) -> None:
    b.add("Conv", "x", b.numbers(np.full((4, 3, 3, 3), np.nan), F32))


def branches(b: Builder) -> None:
    x = conv(b)
    ways = [helper.make_graph([helper.make_node(op, [x], ["y"])], "way", [],
                              [helper.make_tensor_value_info("y", FLOAT, None)])
            for op in ("Relu", "Tanh")]  # fmt: skip
    b.add("If", b.numbers(True, np.bool_), then_branch=ways[0], else_branch=ways[1])


def enormous(b: Builder) -> None:
    b.add("Expand", b.add("GlobalAveragePool", b.add("Conv", "x", b.weight(1, 3, 1, 1))),
          b.numbers([1, 1 << 20, 1 << 20, 1]))  # fmt: skip


def far_away(b: Builder) -> None:
    steps = b.add("Range", b.numbers(0), b.numbers(1 << 62), b.numbers(1))
    b.add("Add", "x", b.add("Cast", steps, to=FLOAT))


REFUSED: dict[str, tuple[Style, int, str]] = {
    "training": (training, 15, "normalises by each batch"),
    "eight bits": (eight_bits, 13, "values of eight bits; give the model as it was before"),
    "dropping": (dropping, 13, "drops elements whenever it runs"),
    "whole": (lambda b: b.add("Cast", conv(b), to=6), 13, "are made whole"),
    "antialias": (lambda b: b.add("Resize", conv(b), "", b.numbers([1, 1, 0.5, 0.5], F32),
                                  mode="linear", antialias=1), 18, "averages while it shrinks"),
    "nearest": (lambda b: b.add("Resize", conv(b), "", b.numbers([1, 1, 1.5, 1.5], F32)), 13,
                "`nearest` by `half_pixel`"),
    "ends": (lambda b: b.add("Clip", conv(b), b.numbers(1.0, F32), b.numbers(-1.0, F32)), 13,
             "lower end is above"),
    "infinite": (lambda b: b.add("Pad", conv(b), b.numbers([0, 0, 1, 1] * 2),
                                 b.numbers(-np.inf, F32)), 13, "`out` holds nan or infinity"),
    "slopes": (lambda b: b.add("PRelu", conv(b), b.weight(8)), 13, "a slope for each place"),
    "a mask": (lambda b: b.add("Dropout", conv(b), outputs=2) and setattr(b, "last", "v1_1"), 13, "only the first"),
    "order": (out_of_order, 17, "its operators stand in no order"),
    "a cycle": (round_and_round, 17, "go round"),
    "twice": (made_twice, 17, "`d` in it is made twice"),
    "names": (two_of_a_name, 17, "2 tensors called `w`"),
    "from nowhere": (lambda b: b.add("Conv", "x", "nowhere"), 17, "nothing makes it"),
    "no output": (lambda b: conv(b) and setattr(b, "last", "n"), 17, "nothing in it makes its"),
    "attribute": (lambda b: b.add("Add", conv(b), b.weight(4), axis=1, broadcast=1), 9,
                  "not as the standard has it: Unrecognized attribute"),
    "strides": (lambda b: b.add("Conv", "x", b.weight(4, 3, 3, 3), strides="two"), 17,
                "not as the standard has it"),
    "zero strides": (lambda b: b.add("Conv", "x", b.weight(4, 3, 3, 3), strides=[0, 1]), 17,
                     "takes no input of|not as the standard"),
    "opset": (conv, 999, "of opset 999; the newest that is known"),
    "dims": (less_than_nothing, 17, "`w0` in it is damaged"),
    "nan": (no_numbers, 17, "of it holds nan"),
    "branches": (branches, 13, "If: no op says this"),
    "channels": (enormous, 13, "repeated more often than 128 times"),
    "range": (far_away, 13, "a constant of more than"),
}  # fmt: skip


@pytest.mark.parametrize("style", REFUSED)
def test_it_is_refused_in_a_line(style: str, tmp_path: Path) -> None:
    write, opset, why = REFUSED[style]
    b = Builder(opset=opset)
    write(b)
    with pytest.raises(SpecError, match=why) as caught:
        bring.bring(bring.opened(str(b.saved(tmp_path))), (3, 8, 8), "mine")
    for one in caught.value.diagnostics:
        assert "fault of resspec" not in (one.help or "")
        assert "\n" not in one.message
        assert len(one.message) < 600


@pytest.mark.parametrize("kind", ["UINT8", "INT64"])
def test_an_input_of_whole_numbers_is_refused(kind: str, tmp_path: Path) -> None:
    b = Builder()
    b.add("Cast", "x", to=FLOAT)
    conv(b)
    model = b.model()
    model.graph.input[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, kind)
    onnx.save(model, tmp_path / "mine.onnx")
    with pytest.raises(SpecError, match=f"in floating point; this one {kind.lower()}"):
        bring.opened(str(tmp_path / "mine.onnx"))
