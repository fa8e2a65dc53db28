"""`resspec import` of files that hold a network: exported programs. Nothing of them runs."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring, same

torch = pytest.importorskip("torch")
modules: Any = pytest.importorskip("tests.lift.modules")


def saved(model: Any, path: Path, *, dynamic: bool = False, core: bool = False) -> Path:
    """A model as an exported program."""
    sizes = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(2 if dynamic else 1, 3, 32, 32)
        shapes = (sizes,) if dynamic else None
        program = torch.export.export(model.eval(), (x,), dynamic_shapes=shapes)
        torch.export.save(program.run_decompositions() if core else program, path)
    return path


def brought(path: Path, shape: tuple[int, int, int] | None = None) -> bring.Imported:
    network = bring.opened(str(path))
    made = bring.bring(network, shape or network.shape or (3, 32, 32), "mine")
    assert {check.quantity for check in made.checks} >= {"outputs", "gradients"}
    assert all(check.ok for check in made.checks)
    return made


@pytest.mark.parametrize(("dynamic", "core"), [(False, False), (True, False), (True, True)])
def test_exported_programs_are_lifted_and_the_same(
    tmp_path: Path, dynamic: bool, core: bool
) -> None:
    model = modules.Residual()
    made = brought(saved(model, tmp_path / "mine.pt2", dynamic=dynamic, core=core))
    assert made.summary.params == sum(value.numel() for value in model.parameters())
    assert [stage["depth"] for stage in made.spec.model["stages"]] == [2, 2]
    assert made.second is not None
    weight = made.weights["stem.conv1.weight"]
    assert (weight == next(iter(model.parameters())).detach().numpy()).all()


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["resnet18", "seresnet50", "convnextv2_atto", "mobilenet_v2"])
def test_what_resspec_exported_comes_back_as_the_same_graph(tmp_path: Path, name: str) -> None:
    spec = resspec.load(name, overrides=["input=[3,32,32]"])
    path = saved(resspec.build(spec), tmp_path / "mine.pt2")
    made = bring.bring(bring.opened(str(path)), (3, 32, 32), name, check=False)
    assert same.alike(made.graph, spec.graph)


def test_half_precision_comes_in_as_float32_and_that_is_said(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16)
        torch.export.save(torch.export.export(model, (x,)), tmp_path / "half.pt2")
    made = brought(tmp_path / "half.pt2")
    assert made.notes == ["its tensors are bfloat16; they come in as float32"]
    assert {array.dtype.name for array in made.weights.values()} == {"float32"}


# -- hostile ---------------------------------------------------------------------------------------


class Run:
    """Code that a pickle would run."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/resspec-was-here"),)


def changed(path: Path, ending: str, change: Callable[[Any], Any]) -> Path:
    """The archive with one of its JSON files changed, all else stored as it was."""
    with zipfile.ZipFile(path) as held:
        parts = {name: held.read(name) for name in held.namelist()}
    name = next(name for name in parts if name.endswith(ending))
    data = json.loads(parts[name])
    change(data)
    parts[name] = json.dumps(data).encode()
    made = path.with_name("changed.pt2")
    with zipfile.ZipFile(made, "w") as out:
        for key, value in parts.items():
            out.writestr(key, value)
    return made


def refused(path: Path, message: str, code: str = "weights-format") -> SpecError:
    marker = Path("/tmp/resspec-was-here")
    with pytest.raises(SpecError, match=message) as caught:
        bring.bring(bring.opened(str(path)), (3, 32, 32), "mine")
    assert not marker.exists()
    assert {one.code for one in caught.value.diagnostics} == {code}
    return caught.value


def test_hostile_programs_are_refused_and_nothing_of_them_runs(tmp_path: Path) -> None:
    path = saved(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), tmp_path / "a.pt2")
    pickled = tmp_path / "pickled.pt2"
    with zipfile.ZipFile(path) as held, zipfile.ZipFile(pickled, "w") as made:
        for name in held.namelist():
            odd = name.endswith("weight_0")
            made.writestr(name, pickle.dumps(Run()) if odd else held.read(name))

    def by_pickle(config: Any) -> None:
        config["config"]["0.weight"]["use_pickle"] = True

    refused(changed(pickled, "weights_config.json", by_pickle), "pickles can run code")
    refused(pickled, "damaged: it reaches to byte")

    def huge(config: Any) -> None:
        config["config"]["0.weight"]["tensor_meta"]["sizes"] = [{"as_int": 1 << 40}]
        config["config"]["0.weight"]["tensor_meta"]["strides"] = [{"as_int": 0}]

    refused(changed(path, "weights_config.json", huge), "its tensors claim")

    for target in ("torch.ops.aten.from_file.default", "os.system", "torch.load", "torch.hub.load"):

        def calls(program: Any, target: str = target) -> None:
            program["graph_module"]["graph"]["nodes"][1]["target"] = target

        wrong = refused(changed(path, "model.json", calls), "no op says this", "not-liftable")
        assert "`1` (ReLU)" in wrong.diagnostics[0].message

    def sized(program: Any) -> None:  # what PyTorch's own loader evaluates
        text = "__import__('pathlib').Path('/tmp/resspec-was-here').touch()"
        sizes = next(iter(program["graph_module"]["graph"]["tensor_values"].values()))["sizes"]
        sizes[0] = {"as_expr": {"expr_str": text, "hint": {"as_int": 1}}}

    bring.opened(str(changed(path, "model.json", sized)))
    assert not Path("/tmp/resspec-was-here").exists()

    def damaged(program: Any) -> None:
        program["graph_module"] = {"graph": 7}

    refused(changed(path, "model.json", damaged), "its program is damaged")
    (tmp_path / "none.pt2").write_bytes(b"PK\x05\x06" + bytes(18))
    refused(tmp_path / "none.pt2", "no exported program")


def test_an_archive_that_inflates_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/models/model.json", b" " * (65 << 20))
    refused(path, r"takes 68,157,440 bytes")
