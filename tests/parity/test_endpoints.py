"""Places where a network runs: how they are written, judged, and how one that fails is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from resspec.backend import imported
from resspec.diagnostics import SpecError
from resspec.parity import judge
from resspec.parity.endpoints import Endpoint, endpoint
from resspec.running import SCARCE
from tests import specs
from tests.commands import command
from tests.export.running import TINY
from tests.refused import refused

Err = pytest.CaptureFixture[str]


@pytest.mark.needs("torch", "tensorflow")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("torch", Endpoint("torch", "torch")),
        ("torch@cuda:1", Endpoint("torch@cuda:1", "torch", "cuda:1")),
        ("torch:bfloat16", Endpoint("torch:bfloat16", "torch", None, "bfloat16")),
        ("torch@cpu:float32", Endpoint("torch@cpu:float32", "torch", "cpu", "float32")),
        ("tensorflow@GPU:0:float16", Endpoint("tensorflow@GPU:0:float16", "tensorflow", "GPU:0", "float16")),
        ("onnx", Endpoint("onnx", "torch", None, None, "onnx")),
        ("executorch", Endpoint("executorch", "torch", None, None, "executorch")),
        ("onnx:int8", Endpoint("onnx:int8", "torch", None, None, "onnx_int8")),
        ("keras:jax", Endpoint("keras:jax", "tensorflow", None, None, "keras:jax")),
        ("keras:torch:float32", Endpoint("keras:torch:float32", "tensorflow", None, "float32", "keras:torch")),
        ("torch@cuda:tf32", Endpoint("torch@cuda:tf32", "torch", "cuda", "tf32")),
        ("keras_file", Endpoint("keras_file", "tensorflow", None, None, "keras")),
        ("saved_model:float64", Endpoint("saved_model:float64", "tensorflow", None, "float64", "saved_model")),
    ],
)  # fmt: skip
def test_what_a_word_says(text: str, found: Endpoint) -> None:
    assert endpoint(text) == found


@pytest.mark.parametrize("text", ["troch", "torch:int4", "torch:int8", "keras:numpy", "keras:jax:float64", "keras:torch:float64", "keras:mxnet", "keras", "keras:jax@cuda", "keras:jax:bfloat16", "onnx:tf32", "onnx:bfloat16", "executorch:float64", "tflite@cuda", "tflite:int8@cuda", "tflite:int8:float32", "torch@", "torch@cuda:", "@cuda", "torch:cuda", "torch@cuda@cpu", "torch ", "TORCH", "onnx:float64", "onnx@cuda", "state_dict", "../onnx", ""])  # fmt: skip
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(SpecError):
        endpoint(text)


def test_a_file_is_compared_in_what_it_can_hold() -> None:
    assert endpoint("onnx").dtypes(("float64",)) == ("float32",)
    assert endpoint("pt2").dtypes(("float64", "float32")) == ("float64", "float32")
    assert endpoint("torch:bfloat16").dtypes(("float64",)) == ("bfloat16",)
    assert endpoint("keras:jax").dtypes(("float64",)) == ("float32",)
    assert endpoint("keras:tensorflow").dtypes(("float64",)) == ("float64",)


def test_half_precision_is_held_to_what_rounding_explains() -> None:
    source = np.random.default_rng(0)
    truth = source.normal(size=4000)
    rounded, other = (truth * (1 + 4e-3 * source.uniform(-1, 1, truth.shape)) for _ in range(2))
    names = ("a", "b")

    def judged(given: np.ndarray) -> judge.Check:
        found = ({"y": rounded}, {"y": given}, {"y": truth})
        return judge.judge16("eval", "outputs", "bfloat16", names, found)

    assert judged(other).ok
    assert not judged(truth * 1.01).ok  # a scale that is wrong by 1 %
    assert not judged(np.roll(other, 1)).ok
    assert not judged(other * np.nan).ok


def test_products_of_tf32_have_ten_bits(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from resspec_torch import rounding

    from resspec import api, backend, weights

    given = torch.tensor([1.0, 1 + 2**-11, 1 + 3 * 2**-11, -(1 + 2**-10), 1 + 2**-11 + 2**-20, 0.0])
    wanted = [1.0, 1.0, 1 + 2 * 2**-10, -(1 + 2**-10), 1 + 2**-10, 0.0]
    assert rounding.ten_bits(given.double()).tolist() == wanted
    graph = specs.load(tmp_path, TINY).graph
    model = api.build(graph, dtype="float64", weights=weights.randomise(graph))
    x = weights.example((2, *graph.input.type.shape)).astype("float64")
    (truth,) = backend.get("torch").runtime().forward(model, x)[0]["out"]
    found = {kind: rounding.rounded(model, x, kind)["out"][0] for kind in ("tf32", "float16")}
    explained = {kind: judge.rel(one, truth) for kind, one in found.items()}
    # as many bits as float16 has, but sums and what is between products keep theirs
    assert 1e-5 < explained["tf32"] < explained["float16"] < 1e-2


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return specs.write(tmp_path, TINY, "tiny.yaml")


@pytest.mark.slow
@pytest.mark.needs(
    "torch", "tensorflow", "jax", "onnxruntime", "onnxscript", "openvino", "ai_edge_litert"
)
def test_every_endpoint_of_this_machine(tiny: str, capsys: Err) -> None:
    places = ["torch", "tensorflow", "torch@cpu", "torch:bfloat16", "torch:float16", "tensorflow:bfloat16", "pt2", "onnx", "saved_model", "keras_file", "jax", "jax:bfloat16", "stablehlo", "openvino", "tflite", "keras:jax", "keras:torch", "keras:tensorflow:float32"]  # fmt: skip
    assert command("parity", tiny, "--between", ",".join(places), "--format", "json") == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["backends"] == places
    assert report["failures"] == {}
    checks = {(one["backends"][1], one["quantity"]): one for one in report["checks"]}
    for place in places[1:]:
        assert checks[place, "outputs"]["ok"]
        assert checks[place, "outputs at a second size"]["ok"]
    assert checks["pt2", "outputs"]["dtype"] == "float64"
    assert checks["onnx", "outputs"]["dtype"] == "float32"
    assert ("torch@cpu", "gradients") in checks
    assert ("onnx", "gradients") not in checks
    for place in ("torch:bfloat16", "torch:float16", "tensorflow:bfloat16"):
        # rounding every result explains it: it is neither nothing nor everything
        explained, error = checks[place, "outputs"]["detail"].values()
        assert error > explained / 4


@pytest.mark.needs("torch", "onnxscript")
def test_an_endpoint_that_breaks_leaves_the_rest(tiny: str, tmp_path: Path, capsys: Err) -> None:
    aborting = tmp_path / "python"
    aborting.write_text("#!/bin/sh\nkill -ABRT $$\n")
    aborting.chmod(0o755)
    words = ["parity", tiny, "--between", "torch,onnx,torch@cpu", "--python", f"onnx={aborting}"]
    assert command(*words) == 1
    out, err = capsys.readouterr()
    assert "onnx gave nothing: `onnx` cannot run with" in out
    assert "ended by signal 6" in out
    assert "torch torch@cpu" in out
    assert "NOT the same" in out
    assert "Traceback" not in out + err


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("word", "help"),
    [
        ("torch:bf16", "did you mean `torch:bfloat16`?"),
        ("torch@cuda:half", "did you mean `torch@cuda:float16`?"),
        ("torch bfloat16", "did you mean `torch:bfloat16`?"),
        ("torch:", "did you mean `torch`?"),
        ("pytorch", "did you mean `torch`?"),
        ("Torch@cuda", "did you mean `torch@cuda`?"),
        ("torch@", "write `torch@cpu`, or the framework's word"),
        ("torch@0", "write `torch@cpu`, or the framework's word"),
        ("torch@cuda:-1", "write `torch@cpu`, or the framework's word"),
        ("torch:int8", "files of eight bits: "),
        ("onnx:int4", "did you mean `onnx:int8`?"),
        ("onnx@cuda", "write `onnx`"),
        ("onnx:half", "did you mean `onnx`?"),
        ("", None),
        ("@cpu", None),
        ("./model.onnx", None),
        ("\x1b[31m", None),
    ],
)
def test_a_word_that_is_no_endpoint_is_told_with_the_one_that_is_meant(
    word: str, help: str | None
) -> None:
    from resspec.diagnostics import SpecError
    from resspec.parity.endpoints import endpoint

    with pytest.raises(SpecError) as raised:
        endpoint(word)
    (found,) = raised.value.diagnostics
    assert (help or "") in (found.help or "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--between", ""), "'' names nothing"),
        (("--backends", ""), "'' names nothing"),
        (("--mode", ""), "'' names nothing"),
        (("--between", "torch,torch"), "'torch' is named 2 times"),
        (("--between", "torch"), "Two different ones are compared"),
    ],
)
def test_nothing_to_compare_is_a_usage_error(
    tiny: str, arguments: tuple[str, str], says: str, capsys: Err
) -> None:
    assert command("parity", tiny, *arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("torch@meta", "the device `meta` computes nothing"),
        ("torch@meta:0", "the device `meta:0` computes nothing"),
        ("torch@cuda:77", "no device `cuda:77`"),
        ("torch@tpu", "`tpu` is not a device"),
        ("torch:float8", "no backend computes in `float8`"),
        ("torch@cpu:complex64", "no backend computes in `complex64`"),
        ("onnx:int4", "is no place where networks run"),
        ("pt2:bfloat16", "runs in float64 or float32"),
        ("pt2@cuda", "files are run on the CPU"),
        ("troch", "is no place where networks run"),
    ],
)
def test_an_endpoint_that_there_is_not_is_a_line_and_the_rest_stands(
    tiny: str, place: str, why: str, capsys: Err
) -> None:
    words = ("--between", f"torch, {place} ,torch@cpu, torch@cpu", "--mode", "eval")
    assert command("parity", tiny, *words) == 1
    out, err = capsys.readouterr()
    (line,) = [one for one in out.splitlines() if one.startswith(f"{place} gave nothing: ")]
    assert why in line
    assert out.count(" torch torch@cpu ") == 2  # outputs, at two sizes
    assert err == ""
    # alone it is a row as well
    words = ("--between", f"torch,{place}", "--mode", "eval", "--format", "json")
    assert command("parity", tiny, *words) == 1
    out, err = capsys.readouterr()
    (report,) = json.loads(out)
    assert (report["ok"], report["checks"], err) == (False, [], "")
    assert why in report["failures"][place]


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "it cannot be started: No such file or directory"),
        ("exit 0", "is it a Python?"),
        ("echo 'Unknown option: -P' >&2; echo 'Try `python -h`' >&2; exit 2", "older than Python 3.11"),
        ("echo \"No module named 'resspec'\" >&2; exit 1", "resspec is not installed there"),
        ("echo 'error[no-exporter]: x runs it' >&2; echo 'help: pip install x' >&2; exit 1", "x runs it (pip install x)"),
        ("printf '\\033[31mno\\377' >&2; exit 1", "it ended with 1: \\x1b[31mno"),
        ("printf 'x\\377\\n'; exit 3", "it ended with 3 (try"),
        ("echo \"ls: invalid option -- 'P'\" >&2; echo Try >&2; exit 2", "invalid option"),
    ],
)  # fmt: skip
def test_a_python_that_is_none_is_a_line(
    tiny: str, script: str | None, why: str, tmp_path: Path, capsys: Err
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    line, out = without(tiny, python, capsys)
    assert why in line
    assert " torch torch@cpu " in out


def without(tiny: str, python: object, capsys: Err) -> tuple[str, str]:
    """The line of an endpoint that such a Python cannot run, and the whole report."""
    words = ("--between", "torch,torch:float32,torch@cpu", "--mode", "eval")
    assert command("parity", tiny, *words, "--python", f"torch:float32={python}") == 1
    out = capsys.readouterr().out
    (line,) = [one for one in out.splitlines() if one.startswith("torch:float32 gave nothing: ")]
    return line, out


@pytest.mark.needs("torch")
def test_a_python_may_be_below_the_home_and_a_folder_is_none(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Err
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "env").mkdir()
    line, _ = without(tiny, "~/env", capsys)
    assert f"cannot run with {tmp_path}/env: it cannot be started: it is a folder" in line


def test_what_a_library_lacks_is_told_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_runtime.py").write_text("raise ImportError('libfoo.so.1: no such file')")
    found = refused(imported, "broken_runtime", "files are run by it", "pip install it")
    assert (
        found.message == "files are run by it, which cannot be imported: libfoo.so.1: no such file"
    )
    assert (found.code, found.help) == ("no-exporter", "pip install it")


@pytest.mark.parametrize(
    ("text", "scarce"),
    [
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1644167168 bytes.", True),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", True),
        ("ResourceExhaustedError: OOM when allocating tensor with shape[256,64,112,112]", True),
        ("XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.", True),
        ("Fail: [ONNXRuntimeError] : 1 : FAIL : std::bad_alloc", True),
        ("RuntimeError: Failed to allocate memory for requested buffer of size 1644167168", True),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied; allocated 3 times", False),
        ("ValueError: the room of memory formats is channels_last", False),
    ],
)  # fmt: skip
def test_memory_that_runs_out_is_known_by_what_frameworks_say(text: str, scarce: bool) -> None:
    assert bool(SCARCE.search(text)) == scarce


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("between", "code", "message"),
    [
        ("torch,troch", 1, "did you mean `torch`"),
        ("troch,torch", 2, "Did you mean torch"),
        ("torch", 2, "Two different ones are compared"),
        ("torch,torch:int3", 1, "no backend computes in `int3`"),
        ("onnx,torch", 1, "has no float64"),
        ("torch,torch@cuda:77", 1, "no device"),
        ("torch,torch:tf32", 1, "the device `cpu` has no TF32"),
        ("torch:tf32,torch", 1, "has no float64"),
        ("torch,onnx:float64", 1, "runs in float32"),
        ("torch,onnx:bfloat16", 1, "runs in float32"),
        ("torch,torch@tpu", 1, "`tpu` is not a device"),
        ("torch,tflite@cuda", 1, "files are run on the CPU"),
        ("torch,keras:mxnet", 1, "is no place where networks run"),
        ("torch,keras:torch:float64", 1, "runs in float32"),
        ("torch,torch", 2, "is named 2 times"),
        (",", 2, "names nothing"),
    ],
)
def test_a_wrong_endpoint_is_one_answer(
    tiny: str, between: str, code: int, message: str, capsys: Err
) -> None:
    assert command("parity", tiny, "--between", between) == code
    assert message in "".join(capsys.readouterr())


@pytest.mark.needs("torch", "onnxscript")
def test_files_do_not_train(tiny: str, capsys: Err) -> None:
    for between in ("torch,onnx", "torch,onnx,torch@cpu"):
        assert command("parity", tiny, "--between", between, "--mode", "train") == 1
        out, err = capsys.readouterr()
        assert "onnx gave nothing: `onnx` gives outputs, and neither gradients nor training" in out
        assert ("torch torch@cpu" in out) == ("torch@cpu" in between)
        assert err == ""
