"""Whole models of the PyTorch backend: what a live module must withstand."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import io
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from resspec_torch import BACKEND

from resspec import api
from resspec import live as live_module
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.ops.activation import Relu
from resspec.ops.conv import Conv2d
from resspec.ops.merge import Add
from resspec.ops.norm import BatchNorm
from resspec.running import Running
from resspec.weights import example, randomise
from tests.commands import python
from tests.graphs import GraphBuilder
from tests.ops import running
from tests.ops.running import error, gradients, run, tensors
from tests.specs import TINY, load

ROOT = Path(__file__).parents[1]
WIRING = ROOT / "golden" / "torch" / "wiring.yaml"


def threads() -> Graph:
    """A loop that carries two values past a third, and an output of each."""
    build = GraphBuilder((4, 8, 8), name="threads")
    a, b = (
        build.op(name, Conv2d(out_channels=4, kernel_size=1), build.input)
        for name in ("conv1", "conv2")
    )
    for turn in range(3):
        with build.region(f"repeat1.{turn}", "threads", a, b, build.input, turn=True):
            c = build.op("conv1", Conv2d(out_channels=4, kernel_size=3), b)
            c = build.op("norm1", BatchNorm(), c)
            a, b = build.op("add1", Add(), c, a, build.input), c
            build.give(a, b)
    return build.graph(low=a, high=[b, build.op("act1", Relu(), b)])


CASES = ("tiny", "wiring", "threads")


@pytest.fixture(params=CASES)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Graph:
    if request.param == "threads":
        return threads()
    text = TINY if request.param == "tiny" else WIRING.read_text()
    found: Graph = load(tmp_path, text).graph
    return found


def live(graph: Graph, dtype: str = "float64") -> Running:
    return running.live(BACKEND, graph, randomise(graph), dtype)


def module(graph: Graph, dtype: str = "float64") -> Any:
    return live(graph, dtype).model.eval()


def batch(graph: Graph, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(example((2, *graph.input.type.shape))).to(dtype)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.allclose(a, b, rtol=1e-12, atol=1e-12)
    return list(a) == list(b) and all(same(a[name], b[name]) for name in a)


@pytest.mark.parametrize("training", [False, True])
def test_computes_the_graph(graph: Graph, training: bool) -> None:
    model, weights, x = live(graph), tensors(graph, randomise(graph)), batch(graph)
    expected = run(graph, weights, x, training)
    found = model.forward(x.numpy(), training)
    assert list(found) == list(expected)
    for name, values in expected.items():
        for mine, theirs in zip(found[name], values, strict=True):
            assert error(mine, theirs.detach()) < 1e-12
    after = model.read()
    assert list(after) == list(graph.parameters())
    assert max(error(after[name], weights[name].detach()) for name in after) < 1e-12


def test_gradients(graph: Graph) -> None:
    x = batch(graph)
    expected = gradients(graph, tensors(graph, randomise(graph)), x, training=True)
    found = live(graph).gradients(x.numpy(), training=True)
    assert list(found) == list(expected)
    assert max(error(found[name], expected[name]) for name in found) < 1e-11


def test_counts(graph: Graph) -> None:
    params = graph.parameters().values()
    trainable = sum(p.size for p in params if p.trainable)
    buffers = sum(p.size for p in params if not p.trainable)
    assert live(graph).counts() == (trainable, buffers)


def test_copies_and_pickles(graph: Graph) -> None:
    model = module(graph)
    x = batch(graph)
    expected = model(x)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(buffer, weights_only=False),
    ):
        assert type(other) is type(model)
        assert same(other(x), expected)


UNPICKLE = """\
import pickle, sys, torch
model = pickle.loads(sys.stdin.buffer.read())
x = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
print(repr(model.eval()(x).double().sum().item()))
"""


def test_pickles_into_another_process(tmp_path: Path) -> None:
    model = module(load(tmp_path).graph, "float32")
    x = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    done = subprocess.run(
        [sys.executable, "-c", UNPICKLE],
        input=pickle.dumps(model),
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert float(done.stdout) == pytest.approx(model(x).double().sum().item(), rel=1e-5)


def test_written_file_is_an_ordinary_module(tmp_path: Path, graph: Graph) -> None:
    """`model.py` needs no resspec: imported by its path, it pickles as any module does."""
    one = live(graph)
    source, model = one.source, one.model.eval()
    path = tmp_path / "written_model.py"
    path.write_text(source.text, "utf-8")
    spec = importlib.util.spec_from_file_location("written_model", path)
    assert spec is not None
    assert spec.loader is not None
    written = importlib.util.module_from_spec(spec)
    sys.modules["written_model"] = written
    try:
        spec.loader.exec_module(written)
        other = getattr(written, source.entry)().double()
        other.load_state_dict(model.state_dict())
        again = pickle.loads(pickle.dumps(other.eval()))
        assert same(again(batch(graph)), model(batch(graph)))
    finally:
        del sys.modules["written_model"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scripts(graph: Graph) -> None:
    model = module(graph)
    x = batch(graph)
    scripted = torch.jit.script(model)
    assert same(scripted(x), model(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_exports(graph: Graph) -> None:
    model = module(graph)
    x = batch(graph)
    exported = torch.export.export(model, (x,))
    assert same(exported.module()(x), model(x))
    assert set(exported.state_dict) == set(model.state_dict())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_compiles_without_a_break(graph: Graph) -> None:
    model = module(graph)
    x = batch(graph)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert same(compiled(x), model(x))


def test_tracebacks_show_the_source(tmp_path: Path) -> None:
    model = module(load(tmp_path).graph)
    with pytest.raises(RuntimeError) as caught:
        model(torch.zeros(1, 5, 8, 8, dtype=torch.float64))
    text = "".join(traceback.format_exception(caught.value))
    assert "self.act1(self.norm1(self.conv1(x)))" in text
    assert inspect.getsource(type(model)).startswith(f"class {type(model).__name__}(nn.Module)")


def test_a_loop_is_a_loop() -> None:
    """Turns that carry two values are one list and one `for`, which scripting unrolls."""
    text = BACKEND.emit(threads()).text
    assert "self.repeat1 = nn.ModuleList([ThreadsTurn() for _ in range(3)])" in text
    assert "for step in self.repeat1:\n            h, y = step(h, y, x)" in text


def test_the_same_source_is_the_same_class() -> None:
    graph = threads()
    assert type(module(graph)) is type(module(graph))


def test_the_callers_random_numbers_stay(tmp_path: Path) -> None:
    graph = load(tmp_path).graph
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    live(graph)
    assert torch.equal(torch.rand(3), expected)


def test_forward_keeps_the_mode(tmp_path: Path) -> None:
    graph = load(tmp_path).graph
    one = live(graph)
    one.model.eval()
    one.forward(batch(graph).numpy(), training=True)
    assert not one.model.training


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    graph = load(tmp_path).graph
    one = live(graph, dtype)
    assert {p.dtype for p in one.model.parameters()} == {getattr(torch, dtype)}
    (y,) = one.forward(batch(graph).numpy())["out"]
    assert y.shape == (2, 5)
    assert np.isfinite(y).all()
    assert all(array.dtype.kind == "f" for array in one.read().values())


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "nonsense", "cuda:x"])
def test_an_absent_device_is_told(tmp_path: Path, device: str) -> None:
    graph = load(tmp_path).graph
    with pytest.raises(SpecError, match=r"no-device.*" + device.partition(":")[0]):
        BACKEND.runtime().instantiate(graph, BACKEND.emit(graph), device, "float32")


def test_an_unknown_dtype_is_told(tmp_path: Path) -> None:
    graph = load(tmp_path).graph
    with pytest.raises(SpecError, match=r"bad-value.*int8"):
        BACKEND.runtime().instantiate(graph, BACKEND.emit(graph), "cpu", "int8")


ABSENT = """\
import sys
sys.modules["torch"] = None
from resspec import api
from resspec.diagnostics import SpecError
from resspec_torch import BACKEND
graph = api.load(sys.argv[1]).graph
source = BACKEND.emit(graph)
assert not BACKEND.check(graph) and "class ResNet18" in source.text
try:
    BACKEND.runtime().instantiate(graph, source, "cpu", "float32")
except SpecError as problem:
    print(problem)
"""


def test_without_torch_it_emits_and_says_what_to_install() -> None:
    said = python("-c", ABSENT, "resnet18").out
    assert "error[no-backend]" in said
    assert "pip install 'resspec[torch]'" in said


DDP = """\
import os, sys, torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from resspec import api


def work(rank, model, port):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    parallel = DistributedDataParallel(model)
    torch.manual_seed(rank)
    parallel(torch.randn(2, 3, 8, 8)).square().mean().backward()
    total = sum(p.grad.double().abs().sum() for p in model.parameters())
    found = [torch.zeros_like(total) for _ in range(2)]
    dist.all_gather(found, total)
    assert total > 0 and torch.equal(*found), found
    dist.destroy_process_group()


if __name__ == "__main__":
    model = api.build(sys.argv[1], "torch")
    mp.spawn(work, (model, sys.argv[2]), nprocs=2)
    print("agreed")
"""


@pytest.mark.slow
def test_trains_in_two_processes(tmp_path: Path) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "ddp.py").write_text(DDP)
    done = python("ddp.py", "tiny.yaml", port, cwd=tmp_path, timeout=180)
    assert done.out.split() == ["agreed"]


@pytest.mark.parametrize("spec", ["resnet50", "densenet121", "cspresnet50", "hrnet_w18", "dla34"])
def test_every_variable_is_there(spec: str) -> None:
    """Names of the source's variables are those of the state_dict, shapes included."""
    graph = api.load(spec).graph
    source = BACKEND.emit(graph)
    with torch.device("meta"):
        model = getattr(live_module.load(source.text), source.entry)()
    found = {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    params = graph.parameters()
    assert {v.name: params[name].shape for name, v in source.variables.items()} == found


def test_built_by_name() -> None:
    model = api.build("resnet18", "torch")
    assert isinstance(model, torch.nn.Module)
    assert sum(p.numel() for p in model.parameters()) == 11_689_512  # torchvision's resnet18
