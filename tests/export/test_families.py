"""Narrow forms of shipped networks, in every kind of file: loaded where resspec is not, at two sizes
and two batches, each gives what the live model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, sizes, weights
from resspec.parity import judge
from tests.commands import command
from tests.export.running import elsewhere, needs
from tests.export.test_files import COARSE, SLACK, coarse, distance

DEPTHS = [f"stages.{i}.depth=1" for i in range(4)]


def widths(*found: int) -> list[str]:
    return [f"stages.{i}.width={width}" for i, width in enumerate(found)]


NETWORKS = {
    "resnet18": ["num_classes=5", "input=[3,64,48]", *widths(8, 12, 16, 24)],
    "convnext_tiny": ["depths=[1,1,2,1]", "width=8", "num_classes=5", "input=[3,64,96]"],
    "efficientnet_b0": ["wider=0.25", "deeper=0.3", "num_classes=5", "input=[3,64,48]"],
    "resnet50_fpn": ["input=[3,64,96]", *DEPTHS, *widths(4, 4, 8, 8)],
    "deeplabv3_resnet50": ["depths=[1,1,1,1]", "input=[3,64,48]", *widths(4, 4, 8, 8)],
}
SCRIPTS = {
    "torch": """\
import numpy as np, onnxruntime, openvino, torch
folder, *inputs = sys.argv[1:]
program = torch.export.load(f"{folder}/model.pt2").module()
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
small = onnxruntime.InferenceSession(f"{folder}/model.int8.onnx")
exact = {"INFERENCE_PRECISION_HINT": "f32"}
core = openvino.Core()
stored = core.read_model(f"{folder}/model.xml")
served = core.compile_model(stored, "CPU", exact)
names = [one.name for one in session.get_outputs()]
assert names == [one.name for one in small.get_outputs()]
for i, path in enumerate(inputs):
    x = np.load(path)
    with torch.no_grad():
        y = program(torch.from_numpy(x))
    y = {names[0]: y} if isinstance(y, torch.Tensor) else y
    found = {"pt2": {name: one.numpy() for name, one in y.items()}}
    found["onnx"] = dict(zip(names, session.run(None, {"input": x})))
    found["onnx_int8"] = dict(zip(names, small.run(None, {"input": x})))
    y = served(x)
    # compiled, an output that another one is made of may lose its name
    ports = zip(stored.outputs, served.outputs, strict=True)
    found["openvino"] = {one.any_name: y[port] for one, port in ports}
    for kind, arrays in found.items():
        np.savez(f"{folder}/{kind}.{i}.npz", **arrays)
""",
    "executorch": """\
import numpy as np, torch
from executorch.runtime import Runtime
folder, *inputs = sys.argv[1:]
program = Runtime.get().load_program(f"{folder}/model.pte")
forward = program.load_method("forward")
names = program.load_method("output_names").execute(())
for i, path in enumerate(inputs):
    x = np.load(path)
    if forward.metadata.input_tensor_meta(0).sizes() == (1, *x.shape[1:]):
        given = ((torch.from_numpy(one[None]),) for one in x)
        found = zip(names, zip(*map(forward.execute, given)), strict=True)
        np.savez(f"{folder}/executorch.{i}.npz", **{k: np.concatenate(y) for k, y in found})
""",
    "tensorflow": """\
import keras, numpy as np, tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
folder, *inputs = sys.argv[1:]
model = keras.saving.load_model(f"{folder}/model.keras")
served = tf.saved_model.load(f"{folder}/saved_model")
light = {}
for kind, name in (("tflite", "model.tflite"), ("tflite_int8", "model.int8.tflite")):
    light[kind] = Interpreter(f"{folder}/{name}")
for i, path in enumerate(inputs):
    x = np.load(path).transpose(0, 2, 3, 1)
    found = {"keras": model(x, training=False), "saved_model": served.serve(x)}
    for kind, one in light.items():
        (given,) = one.get_input_details()
        if all(a in (-1, b) for a, b in zip(given["shape_signature"], x.shape)):
            runner = one.get_signature_runner("serving_default")
            (name,) = runner.get_input_details()
            found[kind] = runner(**{name: x})
    for kind, y in found.items():
        y = y if isinstance(y, dict) else {"out": y}
        arrays = {name: np.asarray(one) for name, one in y.items()}
        arrays = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for k, v in arrays.items()}
        np.savez(f"{folder}/{kind}.{i}.npz", **arrays)
""",
    "jax": """\
import jax, numpy as np
folder, *inputs = sys.argv[1:]
with open(f"{folder}/model.stablehlo", "rb") as file:
    program = jax.export.deserialize(bytearray(file.read()))
for i, path in enumerate(inputs):
    x = np.load(path).transpose(0, 2, 3, 1)
    (wanted,) = program.in_avals
    if any(isinstance(a, int) and a != b for a, b in zip(wanted.shape, x.shape)):
        continue
    y = program.call(x)
    y = y if isinstance(y, dict) else {"out": y}
    arrays = {name: np.asarray(one) for name, one in y.items()}
    arrays = {k: v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for k, v in arrays.items()}
    np.savez(f"{folder}/stablehlo.{i}.npz", **arrays)
""",
}
KINDS = {
    "torch": ("pt2", "onnx", "onnx_int8", "openvino"),
    "executorch": ("executorch",),
    "tensorflow": ("keras", "saved_model", "tflite", "tflite_int8"),
    "jax": ("stablehlo",),
}
NEEDS = {
    "torch": ("onnxscript", "onnxruntime", "openvino"),
    "executorch": ("executorch",),
    "tensorflow": ("ai_edge_litert",),
    "jax": (),
}
# What LiteRT and JAX have no op for of any size; a file says so itself.
ONE_SIZE = {
    ("deeplabv3_resnet50", "tflite"),
    ("deeplabv3_resnet50", "tflite_int8"),
    ("deeplabv3_resnet50", "stablehlo"),
    ("resnet50_fpn", "stablehlo"),
    *((spec, "executorch") for spec in NETWORKS),  # which plans its memory for one
}
# XNNPACK adds up one product after the other, in one sum.
TIMES = {"executorch": judge.APART}


@pytest.mark.slow
@pytest.mark.turns(15)
@pytest.mark.parametrize("spec", NETWORKS)
@pytest.mark.parametrize("writer", KINDS)
def test_each_file_gives_what_the_live_model_gives(writer: str, spec: str, tmp_path: Path) -> None:
    name = "torch" if writer == "executorch" else writer  # the backend
    needs(name, *NEEDS[writer])
    graph = api.load(spec, overrides=NETWORKS[spec]).graph
    drawn = weights.randomise(graph, 3)
    weights.save(tmp_path / "w.safetensors", drawn, spec)
    out, stored = tmp_path / "out", str(tmp_path / "w.safetensors")
    changes = [word for one in NETWORKS[spec] for word in ("--set", one)]
    words = ["build", spec, *changes, "-b", name, "--weights", stored, "--out", str(out)]
    assert command(*words, "--export", ",".join(KINDS[writer])) == 0
    other = sizes.second(graph)
    assert other is not None
    inputs = []
    for size in (graph.input.type.spatial, other):
        for batch in (1, 3):
            x = weights.example((batch, graph.input.type.channels, *size), batch)
            np.save(tmp_path / f"x{len(inputs)}.npy", x)
            inputs.append(x)
    elsewhere(SCRIPTS[writer], out, *(tmp_path / f"x{i}.npy" for i in range(4)))
    live = {dtype: running(graph, name, dtype, drawn) for dtype in ("float64", "float32")}
    given = [[live[dtype](x.astype(dtype)) for dtype in live] for x in inputs]
    # what float32 costs is told by all inputs together: one example's few outputs may be lucky
    floor = {
        key: max(distance(own[key], truth[key]) for truth, own in given) for key in given[0][0]
    }
    for i, (x, (truth, _)) in enumerate(zip(inputs, given, strict=True)):
        for kind in KINDS[writer]:
            if i > 1 and (spec, kind) in ONE_SIZE:
                assert not (out / f"{kind}.{i}.npz").exists()
                continue
            found = np.load(out / f"{kind}.{i}.npz")
            assert set(found) == set(truth), kind
            explained = coarse(name, kind, out, x) if kind in COARSE else None
            for key, exact in truth.items():
                own = floor[key] if explained is None else distance(explained[key], exact)
                bound = TIMES.get(kind, 2) * own + SLACK
                assert distance(found[key], exact) <= bound, (kind, key, x.shape)


def running(graph: Any, name: str, dtype: str, drawn: Any) -> Any:
    from resspec.weights.outputs import flat

    model = api.build(graph, name, dtype=dtype, weights=drawn)
    return lambda x: flat(backend.get(name).runtime().forward(model, x)[0])
