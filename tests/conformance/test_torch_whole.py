"""PyTorch models from specs: compiled for training and to machine code, written out, very deep."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from resspec import api, weights
from resspec.weights import example, randomise
from tests import specs
from tests.commands import command
from tests.export.running import SPECS, elsewhere


@pytest.fixture(scope="module", params=SPECS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return specs.write(tmp_path_factory.mktemp("spec"), SPECS[request.param])


def made(path: str, *, training: bool = False) -> tuple[Any, Any]:
    graph = api.load(path).graph
    model = api.build(graph, weights=randomise(graph, 1)).train(training)
    return model, torch.from_numpy(example((4, *graph.input.type.shape)))


def flat(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else [found]


def gradients(model: Any, x: Any) -> list[Any]:
    torch.manual_seed(0)  # of dropout
    loss = sum((value * value).mean() for value in flat(model(x)))
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_compiles_for_training_without_a_graph_break(case: str) -> None:
    model, x = made(case, training=True)
    twin = copy.deepcopy(model)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for found, exact in zip(gradients(compiled, x), gradients(twin, x), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)
    start = made(case)[0].state_dict()
    for (name, moved), other in zip(
        model.state_dict().items(), twin.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(moved, other)
        assert ("running" in name) == (not torch.equal(moved, start[name])) or "num_b" in name


@pytest.mark.slow
def test_runs_as_machine_code(tmp_path: Path) -> None:
    """By inductor, torch.compile's own backend, which needs a C++ compiler."""
    model, x = made(specs.write(tmp_path, SPECS["tiny"]))
    torch._dynamo.reset()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(model, fullgraph=True)(x)
        expected = model(x)
    for a, b in zip(flat(found), flat(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


ALONE = """\
import runpy, torch
from safetensors.torch import load_file
folder, entry, x, y = sys.argv[1:]
runpy.run_path(f"{folder}/model.py", run_name="__main__")
sys.path.insert(0, folder)
import model
network = getattr(model, entry)()
network.load_state_dict(load_file(f"{folder}/state_dict.safetensors"), strict=True)
with torch.no_grad():
    torch.save(network.eval()(torch.load(x)), y)
"""


def test_the_written_file_runs_where_resspec_is_not(case: str, tmp_path: Path) -> None:
    model, x = made(case)
    stored, out = tmp_path / "w.safetensors", tmp_path / "out"
    weights.save(stored, randomise(api.load(case).graph, 1), Path(case).stem)
    assert command("build", str(case), "--weights", str(stored), "--out", str(out)) == 0
    torch.save(x, tmp_path / "x.pt")
    elsewhere(ALONE, out, type(model).__name__, tmp_path / "x.pt", tmp_path / "y.pt")
    with torch.no_grad():
        expected = model(x)
    for a, b in zip(flat(torch.load(tmp_path / "y.pt")), flat(expected), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_a_thousand_layers() -> None:
    model = api.build("cifar_resnet1202").eval()
    assert sum(p.numel() for p in model.parameters()) == api.summarize("cifar_resnet1202").params
    with torch.no_grad():
        assert model(torch.from_numpy(example((1, 3, 32, 32)))).shape == (1, 10)
