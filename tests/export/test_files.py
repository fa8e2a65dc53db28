"""What `build --out --export` writes loads in a fresh process without resspec, and infers as
the live model: in float32 not further from float64 than the live model is itself."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, weights
from resspec.running import Running
from resspec.weights.outputs import flat
from tests import specs
from tests.commands import command, python
from tests.export.running import SPECS, elsewhere, needs

COARSE = ("onnx_int8", "tflite_int8")
SLACK = 2e-7  # of a norm: half a float32 rounding, for what is exact on one side

# Of each a folder of files and the name of the class in it: one process has them all, since what a
# framework's import takes is most of its work.
EACH = "for folder, entry in zip(sys.argv[1::2], sys.argv[2::2]):\n"
TORCH = """\
import importlib.util, numpy as np, onnxruntime, safetensors.torch, torch
x = np.load(f"{folder}/x.npy")

def flat(found, one):
    return {one: found} if isinstance(found, torch.Tensor) else found

def keep(kind, found):
    np.savez(f"{folder}/{kind}.npz", **{name: np.asarray(value) for name, value in found.items()})

spec = importlib.util.spec_from_file_location("model", f"{folder}/model.py")
module = importlib.util.module_from_spec(spec)
sys.modules["model"] = module
spec.loader.exec_module(module)
model = getattr(module, entry)()
model.load_state_dict(safetensors.torch.load_file(f"{folder}/state_dict.safetensors"), strict=True)
model.eval()
images = torch.from_numpy(x)
with torch.no_grad():
    keep("state_dict", flat(model(images), "out"))
    program = torch.export.load(f"{folder}/model.pt2")
    keep("pt2", flat(program.module()(images), "out"))
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
names = [output.name for output in session.get_outputs()]
keep("onnx", dict(zip(names, session.run(None, {"input": x}))))
session = onnxruntime.InferenceSession(f"{folder}/model.int8.onnx")
keep("onnx_int8", dict(zip(names, session.run(None, {"input": x}))))
import openvino
exact = {"INFERENCE_PRECISION_HINT": "f32"}
served = openvino.Core().compile_model(f"{folder}/model.xml", "CPU", exact)
found = served(x)
keep("openvino", {port.any_name: found[port] for port in served.outputs})
"""

TENSORFLOW = """\
import keras, numpy as np, tensorflow as tf
x = np.load(f"{folder}/x.npy").transpose(0, 2, 3, 1)

def flat(found):
    found = found if isinstance(found, dict) else {"out": found}
    return {
        f"{name}.{level}" if isinstance(value, list | tuple) else name: part
        for name, value in found.items()
        for level, part in enumerate(value if isinstance(value, list | tuple) else [value])
    }

def keep(kind, found):
    arrays = {name: np.asarray(value) for name, value in found.items()}
    np.savez(
        f"{folder}/{kind}.npz",
        **{name: y.transpose(0, 3, 1, 2) if y.ndim == 4 else y for name, y in arrays.items()},
    )

model = keras.saving.load_model(f"{folder}/model.keras")
layers = list(model._flatten_layers())
assert all(type(layer).__module__.startswith("keras.src") for layer in layers)
keep("keras", flat(model(x, training=False)))
sys.path.insert(0, folder)
import model as written
network = getattr(written, entry)()
network.load_weights(f"{folder}/model.keras")
keep("source", flat(network(x, training=False)))
served = tf.saved_model.load(f"{folder}/saved_model")  # owns what it serves with
keep("saved_model", flat(served.serve(x)))
from ai_edge_litert.interpreter import Interpreter
lite = Interpreter(f"{folder}/model.tflite").get_signature_runner("serving_default")
(name,) = lite.get_input_details()
keep("tflite", lite(**{name: x}))
lite = Interpreter(f"{folder}/model.int8.tflite").get_signature_runner("serving_default")
keep("tflite_int8", lite(**{name: x}))
sys.path.remove(folder)
del sys.modules["model"]
"""

JAX = """\
import jax, jax.numpy as jnp, numpy as np, orbax.checkpoint, safetensors.flax
from flax import nnx
x = jnp.asarray(np.load(f"{folder}/x.npy").transpose(0, 2, 3, 1))

def keep(kind, found):
    found = found if isinstance(found, dict) else {"out": found}
    arrays = {name: np.asarray(value) for name, value in found.items()}
    np.savez(
        f"{folder}/{kind}.npz",
        **{name: y.transpose(0, 3, 1, 2) if y.ndim == 4 else y for name, y in arrays.items()},
    )

sys.path.insert(0, folder)
import model as written
network = getattr(written, entry)(rngs=nnx.Rngs(0))
network.eval()
state = nnx.state(network, nnx.Not(nnx.RngState))
stored = safetensors.flax.load_file(f"{folder}/nnx_state.safetensors")
flat = [(path, stored[".".join(map(str, path))]) for path, _ in nnx.to_flat_state(state)]
nnx.update(network, nnx.from_flat_state(flat))
keep("nnx_state", nnx.jit(lambda model, x: model(x))(network, x))
network = getattr(written, entry)(rngs=nnx.Rngs(1))
network.eval()
state = nnx.state(network, nnx.Not(nnx.RngState))
with orbax.checkpoint.StandardCheckpointer() as checkpointer:
    nnx.update(network, checkpointer.restore(f"{folder}/orbax", state))
keep("orbax", nnx.jit(lambda model, x: model(x))(network, x))
with open(f"{folder}/model.stablehlo", "rb") as file:
    keep("stablehlo", jax.export.deserialize(bytearray(file.read())).call(x))
sys.path.remove(folder)
del sys.modules["model"]
"""

FORMATS = {
    "torch": ("state_dict", "pt2", "onnx", "onnx_int8", "openvino"),
    "tensorflow": ("keras", "source", "saved_model", "tflite", "tflite_int8"),
    "jax": ("nnx_state", "orbax", "stablehlo"),
}


def outputs(name: str, graph: Any, arrays: Any, dtype: str, x: Any) -> dict[str, Any]:
    live = Running.start(graph, backend.get(name), dtype=dtype).load(arrays)
    return flat(live.forward(x.astype(dtype)))


def coarse(name: str, kind: str, folder: Path, x: Any) -> Any:
    """The file's operations in float64, each result rounded as it rounds it."""
    target = backend.get(name)
    assert target.coarsening is not None
    files = (folder / target.formats[word].file for word in (kind, target.formats[kind].rounds))
    return target.coarsening().coarse(*files).run(x, True)


def distance(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a.astype("float64") - b) / np.linalg.norm(b))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_each_file_infers_as_the_live_model(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    if name not in backend.names():
        pytest.skip(f"the backend {name} is not installed")
    if name == "torch":
        needs("onnxscript", "onnxruntime", "openvino")
    if name == "tensorflow":
        needs("ai_edge_litert")
    made = {case: written(name, case, tmp_path / case) for case in SPECS}
    script = {"torch": TORCH, "tensorflow": TENSORFLOW, "jax": JAX}[name]
    words = [word for out, graph, *_ in made.values() for word in (out, backend.get(name).emit(graph).entry)]  # fmt: skip
    elsewhere(EACH + indent(script, "    "), *words)
    for case, (out, graph, arrays, x) in made.items():
        truth = outputs(name, graph, arrays, "float64", x)
        live = outputs(name, graph, arrays, "float32", x)
        for kind in FORMATS[name]:
            found = np.load(out / f"{kind}.npz")
            assert set(found) == set(truth), (case, kind)
            for key, exact in truth.items():
                bound = 2 * distance(live[key], exact) + SLACK
                if kind in COARSE:  # what its own grid explains
                    bound = 2 * distance(coarse(name, kind, out, x)[key], exact)
                assert distance(found[key], exact) <= bound, (case, kind, key)


def written(name: str, case: str, folder: Path) -> tuple[Path, Any, Any, Any]:
    """The folder of what a build writes, with an input beside it; graph, weights, input."""
    folder.mkdir()
    (folder / "spec.yaml").write_text(SPECS[case])
    graph = api.load(folder / "spec.yaml").graph
    arrays = weights.randomise(graph, 3)
    weights.save(folder / "w.safetensors", arrays, case)
    out, known = folder / "out", backend.get(name).formats
    kinds = ",".join(kind for kind in FORMATS[name] if kind in known)  # source is written anyway
    words = ("--weights", folder / "w.safetensors", "--out", out, "--export", kinds)
    assert command("build", folder / "spec.yaml", "-b", name, *words) == 0
    x = weights.example((3, *graph.input.type.shape))  # another batch than was traced
    np.save(out / "x.npy", x)
    return out, graph, arrays, x


def test_the_odd_spec_has_outputs_of_each_kind(tmp_path: Path) -> None:
    graph = specs.load(tmp_path, SPECS["odd"]).graph
    assert [(name, len(values)) for name, values in graph.outputs] == [("out", 1), ("levels", 2)]


def test_a_file_without_resspec_really_had_none() -> None:
    assert "resspec is not installed here" in elsewhere("import resspec", ok=False)


def test_openvino_tells_its_makers_nothing() -> None:
    """Its import sends an event from a fork: neither happens, and the teller can be had after."""
    needs("torch", "openvino")
    text = (
        "import os, sys\n"
        "os.register_at_fork(before=lambda: print('forked'))\n"
        "from resspec_torch.files import openvino\n"
        "openvino()\n"
        "print([one for one in sys.modules if one.startswith('openvino_telemetry')])\n"
    )
    assert python("-c", text, timeout=120).out == "[]\n"
