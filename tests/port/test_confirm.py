"""Tensors without code: by name where names are known, by order only where something confirms it.

Twelve equal blocks, since names sorted as text put block 10 before block 2, which once gave a wrong
network without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from resspec import api, weights
from resspec.backend import get
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.port import bare, confirm, transfer
from resspec.running import Running
from resspec.weights import example, randomise, stored
from tests import specs
from tests.commands import command
from tests.refused import refused

torch = pytest.importorskip("torch")

DEEP = """\
model: deep
input: [3, 8, 8]
num_classes: 5
stem: {stem_3x3: {out_channels: 4}}
block: basic
stages: [{depth: 12, width: 4}]
head: classifier
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return specs.write(tmp_path_factory.mktemp("spec"), DEEP, "deep.yaml")


@pytest.fixture(scope="module")
def graph(spec: str) -> Graph:
    found: Graph = api.load(spec).graph
    return found


@pytest.fixture(scope="module")
def right(graph: Graph) -> dict[str, Any]:
    return dict(randomise(graph))


@pytest.fixture(scope="module")
def foreign(right: dict[str, Any]) -> dict[str, Any]:
    """The same tensors as a torch user would have named them, in the order of registration."""
    words = {"stages.0": "layer1", "head.linear1": "fc", "stem.": "", "norm": "bn"}
    found = {}
    for name, array in right.items():
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)
        found[name] = array
    assert "layer1.10.bn2.running_var" in found
    return found


@pytest.fixture(scope="module")
def io(spec: str, graph: Graph, right: dict[str, Any], tmp_path_factory: Any) -> Path:
    """An input, and what the network gives for it."""
    path: Path = tmp_path_factory.mktemp("io") / "io.npz"
    x = example((2, 3, 8, 8))
    np.savez(path, x=x, y=outputs(graph, right, x))
    return path


def outputs(graph: Graph, arrays: dict[str, Any], x: Any) -> Any:
    live = Running.start(graph, get("torch")).load(arrays)
    (found,) = live.forward(x.astype("float32"))["out"]
    return found


@pytest.fixture
def run(spec: str, tmp_path: Path, run: Run) -> Run:
    """`run(FILE, …)` → exit code, stdout, stderr of `port --from torch`."""
    told = ("--from", "torch", "--spec", spec, "--out", tmp_path / "out.safetensors")
    return lambda path, *words: run("port", path, *told, *words)


def tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(array.astype("float32")) for name, array in arrays.items()}


def saved(how: str, arrays: dict[str, Any], folder: Path) -> Path:
    path = folder / f"given.{how.split()[-1]}"
    match how:
        case "registered pth":
            torch.save(tensors(arrays), path)
        case "sorted pth":
            torch.save(tensors({name: arrays[name] for name in sorted(arrays)}), path)
        case "sorted npz":
            np.savez(path, **{name: arrays[name] for name in sorted(arrays)})
        case "safetensors":
            safetensors.numpy.save_file(
                {name: array.astype("float32") for name, array in arrays.items()}, path
            )
    return path


def same(path: Path, graph: Graph, right: dict[str, Any]) -> bool:
    found = stored.load(path, graph)
    return all(np.array_equal(found[name], right[name].astype("float32")) for name in right)


@pytest.mark.parametrize("how", ["registered pth", "sorted pth", "sorted npz", "safetensors"])
def test_block_10_comes_after_block_2(
    how: str, run: Run, graph: Graph, foreign: Any, right: Any, io: Path, tmp_path: Path
) -> None:
    path, out = saved(how, foreign, tmp_path), tmp_path / "out.safetensors"
    code, text, err = run(path)
    assert (code, text, out.exists()) == (1, "", False)
    assert "error[weights-ambiguous]" in err
    assert "stages.0.0.conv1.weight, stages.0.0.conv2.weight" in err
    assert "--verify FILE.npz" in err
    assert "--trust-order" in err
    code, text, err = run(path, "--verify", io)
    assert (code, err) == (0, "")
    assert "rounding explains" in text
    assert same(out, graph, right)
    out.unlink()
    code, _, err = run(path, "--trust-order")
    assert (code, "told apart by their order alone" in err) == (0, True)
    assert same(out, graph, right)


def test_names_with_numbers_order_as_numbers() -> None:
    names = ["b10.w", "b2.w", "a.10.x", "a.9.x", "a.x"]
    assert bare.in_order(sorted(names)) == ["a.9.x", "a.10.x", "a.x", "b2.w", "b10.w"]
    assert bare.in_order(names) == names  # some other order, which is kept


@pytest.mark.parametrize("kind", ["bn1.weight", "conv1.weight", "bn2.running_mean", "bn2.bias"])
def test_two_tensors_exchanged_are_refused(
    kind: str, run: Run, foreign: dict[str, Any], io: Path, tmp_path: Path
) -> None:
    one, two = f"layer1.3.{kind}", f"layer1.4.{kind}"
    wrong = {**foreign, one: foreign[two], two: foreign[one]}
    code, text, err = run(saved("registered pth", wrong, tmp_path), "--verify", io)
    assert (code, text) == (1, "")
    assert "error[weights-mismatch]" in err
    assert "rounding explains" in err
    assert not (tmp_path / "out.safetensors").exists()


def test_the_structure_of_names_finds_an_order_that_is_not_the_files(
    run: Run, graph: Graph, foreign: Any, right: Any, io: Path, tmp_path: Path
) -> None:
    """A stem that comes last, as in the order of text."""
    late = {f"stem.{name}": foreign[name] for name in foreign if name.startswith(("conv", "bn"))}
    rest = {name: array for name, array in foreign.items() if not name.startswith(("conv", "bn"))}
    path = saved("safetensors", {**rest, **late}, tmp_path)
    assert run(path, "--verify", io)[0] == 0
    assert same(tmp_path / "out.safetensors", graph, right)


def changed(kind: str, io: Path, folder: Path) -> Path:
    """An example that is none, or says something else."""
    path = folder / "other.npz"
    x, y = (np.load(io)[name] for name in "xy")
    match kind:
        case "nhwc":
            np.savez(path, x=x.transpose(0, 2, 3, 1), y=y)
        case "one":
            np.savez(path, x=x[0], y=y[:1])
        case "named":
            np.savez(path, x=x, out=y)
        case "softmax":
            y = np.exp(y - y.max(1, keepdims=True))
            np.savez(path, x=x, y=y / y.sum(1, keepdims=True))
        case "noise":
            np.savez(path, x=x, y=y * 1.0001)
        case "no y":
            np.savez(path, x=x)
        case "shape":
            np.savez(path, x=x, y=y[:, :3])
        case "channels":
            np.savez(path, x=x[:, :2], y=y)
        case "name":
            np.savez(path, x=x, logits=y)
        case "nan":
            np.savez(path, x=x, y=y * np.nan)
        case "objects":
            np.savez(path, x=x, y=np.array([object()]))
        case "text":
            path.write_text("no example")
    return path


@pytest.mark.parametrize("kind", ["nhwc", "one", "named"])
def test_examples_that_confirm(
    kind: str, run: Run, foreign: dict[str, Any], io: Path, tmp_path: Path
) -> None:
    path = saved("registered pth", foreign, tmp_path)
    assert run(path, "--verify", changed(kind, io, tmp_path))[0] == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("softmax", "equal after a softmax"),
        ("noise", "rounding explains"),
        ("no y", "not `x` and `y`"),
        ("shape", "`y` is 2×3, and the network gives 2×5"),
        ("channels", "`x` is 2×2×8×8, and deep reads N×3×8×8"),
        ("name", "no output is called `logits`"),
        ("nan", "no finite numbers"),
        ("objects", "error[weights-format]"),
        ("text", "error[weights-format]"),
        ("missing", "error[io-error]"),
    ],
)
def test_examples_that_do_not(
    kind: str, expected: str, run: Run, foreign: Any, io: Path, tmp_path: Path
) -> None:
    path = saved("registered pth", foreign, tmp_path)
    code, text, err = run(path, "--verify", changed(kind, io, tmp_path))
    assert (code, text, err.count("error[")) == (1, "", 1)
    assert expected in err
    assert not (tmp_path / "out.safetensors").exists()


def test_an_example_that_depends_on_nothing_confirms_nothing(
    run: Run, graph: Graph, foreign: Any, right: Any, tmp_path: Path
) -> None:
    """A last layer of zeros gives the same whatever stands before it."""
    blank = {**foreign, "fc.weight": foreign["fc.weight"] * 0}
    x = example((1, 3, 8, 8))
    blind = {**right, "head.linear1.weight": right["head.linear1.weight"] * 0}
    np.savez(tmp_path / "io.npz", x=x, y=outputs(graph, blind, x))
    zeros = np.zeros((1, 3, 8, 8))
    np.savez(tmp_path / "zeros.npz", x=zeros, y=outputs(graph, right, zeros))
    code, _, err = run(saved("registered pth", foreign, tmp_path), "--verify",
                       tmp_path / "zeros.npz")  # fmt: skip
    # zeros still tell the layers after the first apart here: each shifts by its own bias
    assert code == 0, err
    # exchanged, they never show in this network: nothing to tell apart
    assert run(saved("registered pth", blank, tmp_path), "--verify", tmp_path / "io.npz",
               "--force")[0] == 0  # fmt: skip


def test_an_example_of_zeros_before_layers_without_shifts(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "model: two\ninput: [2, 4, 4]\nhead: [{conv: {out_channels: 2, kernel_size: 1}}, act, "
        "{conv: {out_channels: 2, kernel_size: 1}}]\n"
    )
    rng = np.random.default_rng(0)
    given = {f"{i}.weight": rng.normal(size=(2, 2, 1, 1)).astype("f4") for i in (0, 2)}
    np.savez(tmp_path / "given.npz", **given)
    np.savez(tmp_path / "io.npz", x=np.zeros((1, 2, 4, 4)), y=np.zeros((1, 2, 4, 4)))
    words = [tmp_path / "given.npz", "--from", "torch", "--spec", tmp_path / "two.yaml"]
    out = ("--out", tmp_path / "o", "--verify", tmp_path / "io.npz")
    assert command("port", *words, *out) == 1
    assert not (tmp_path / "o").exists()


def test_an_example_of_another_size(
    run: Run, spec: str, foreign: Any, right: Any, tmp_path: Path
) -> None:
    other = api.load(spec, overrides=["input=[3, 11, 9]"]).graph
    x = example((2, 3, 11, 9))
    np.savez(tmp_path / "io.npz", x=x, y=outputs(other, right, x))
    path = saved("registered pth", foreign, tmp_path)
    assert run(path, "--verify", tmp_path / "io.npz")[0] == 0


# Names that are known here.


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod.module.", "net."])
def test_canonical_names_are_taken_by_name_in_any_order(
    prefix: str, run: Run, graph: Graph, right: Any, tmp_path: Path
) -> None:
    names = sorted(right, key=lambda name: name[::-1])
    path = saved("registered pth", {f"{prefix}{name}": right[name] for name in names}, tmp_path)
    code, text, err = run(path)
    assert (code, err) == (0, "")
    assert "by canonical names" in text
    assert same(tmp_path / "out.safetensors", graph, right)


def test_a_builds_own_state_dict(run: Run, spec: str, graph: Graph, tmp_path: Path) -> None:
    model = api.build(spec, seed=7)
    torch.save(model.state_dict(), tmp_path / "s.pth")
    assert run(tmp_path / "s.pth")[0] == 0
    assert same(tmp_path / "out.safetensors", graph, api.read_weights(model))
    for given in (model.state_dict(), tmp_path / "s.pth"):  # `build` takes it as it is
        built = api.build(spec, weights=given).state_dict()
        assert all(torch.equal(built[name], one) for name, one in model.state_dict().items())


def test_resnet101s_own_state_dict_is_exact() -> None:
    """Tensor by tensor: the names of the torch backend, sorted as safetensors sorts them."""
    graph = api.load("resnet101").graph
    variables = get("torch").emit(graph).variables
    arrays = {
        one.name: np.full(graph.parameters()[name].shape, at, "float32")
        for at, (name, one) in enumerate(sorted(variables.items(), key=lambda pair: pair[1].name))
    }
    given = weights.given.Given("it", {name: arrays[name] for name in sorted(arrays)})
    found, report = next(transfer.without_code(given, graph))
    assert report.names
    for name, array in found.weights.items():
        assert array.flat[0] == arrays[variables[name].name].flat[0], name


def test_a_file_that_is_named_in_part_is_told_so(
    run: Run, right: dict[str, Any], tmp_path: Path
) -> None:
    some = {f"module.{name}": array for name, array in right.items()}
    some["module.extra.weight"] = some.pop("module.stages.0.3.norm1.bias")
    code, text, err = run(saved("registered pth", some, tmp_path), "--trust-order")
    assert (code, text) == (1, "")
    assert "stages.0.3.norm1.bias: the network has 4, the file has none" in err
    assert "module.extra.weight: the network has none, the file has 4" in err


def test_two_networks_in_one_file_are_not_mixed(
    run: Run, graph: Graph, right: dict[str, Any], tmp_path: Path
) -> None:
    both = {f"student.{name}": array for name, array in right.items()}
    both |= {f"teacher.{name}": array * 2 for name, array in right.items()}
    path = saved("registered pth", both, tmp_path)
    code, _, err = run(path)
    assert (code, "`student.`" in err, "`teacher.`" in err) == (1, True, True)
    assert "--key student (" in err
    assert run(path, "--key", "student")[0] == 0
    assert same(tmp_path / "out.safetensors", graph, right)
    torch.save({"epoch": 1, "state_dict": tensors(both)}, path)  # as Lightning has it
    code, _, err = run(path, "--force")
    assert (code, "--key state_dict.student (" in err) == (1, True)
    assert run(path, "--key", "state_dict.student", "--force")[0] == 0
    assert same(tmp_path / "out.safetensors", graph, right)


# A head of other classes, or none.


def test_another_number_of_classes(run: Run, foreign: dict[str, Any], tmp_path: Path) -> None:
    more = {**foreign, "fc.weight": np.ones((7, 4), "f4"), "fc.bias": np.ones(7, "f4")}
    path = saved("registered pth", more, tmp_path)
    code, _, err = run(path, "--trust-order")
    assert (code, "--set num_classes=7, or --partial" in err) == (1, True)
    assert run(path, "--trust-order", "--set", "num_classes=7")[0] == 0
    code, text, _ = run(path, "--trust-order", "--partial", "--force")
    assert (code, "head.linear1" in text) == (0, False)


def test_a_backbone_without_its_head(
    run: Run, spec: str, foreign: dict[str, Any], right: Any, tmp_path: Path
) -> None:
    trunk = {name: array for name, array in foreign.items() if not name.startswith("fc")}
    path = saved("registered pth", trunk, tmp_path)
    code, _, err = run(path, "--trust-order")
    assert (code, "it has no head" in err, "--partial" in err) == (1, True, True)
    assert run(path, "--trust-order", "--partial")[0] == 0
    with pytest.warns(UserWarning, match="weights left out: 2"):
        model = api.build(spec, weights=tmp_path / "out.safetensors", partial=True)
    found = api.read_weights(model)
    assert all(
        np.array_equal(found[name], right[name].astype("float32"))
        for name in found
        if not name.startswith("head")
    )


def test_other_channels(run: Run, foreign: dict[str, Any], tmp_path: Path) -> None:
    grey = {**foreign, "conv1.weight": foreign["conv1.weight"][:, :1]}
    code, _, err = run(saved("registered pth", grey, tmp_path), "--trust-order")
    assert (code, "--adapt-input" in err) == (1, True)


# What is no network of this kind at all.


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": np.zeros((2, 2), "f4")},
        {f"x{at}.weight": np.zeros(4, "f4") for at in range(3000)},
        {"empty": np.zeros((0, 4), "f4"), "scalar": np.zeros((), "f4")},
    ],
)
def test_another_network_is_one_message(arrays: Any, graph: Graph) -> None:
    problem = refused(next, transfer.without_code(weights.given.Given("it", arrays), graph))
    assert problem.code == "weights-mismatch"
    assert 0 < len(problem.notes) <= 21


def test_known_names_are_verified_too(
    run: Run, right: dict[str, Any], io: Path, tmp_path: Path
) -> None:
    path = saved("registered pth", right, tmp_path)
    assert run(path, "--verify", io)[0] == 0
    off = {
        name: one * 1.01 if name == "head.linear1.weight" else one for name, one in right.items()
    }
    code, text, err = run(saved("registered pth", off, tmp_path), "--verify", io, "--force")
    assert (code, text, "rounding explains" in err) == (1, "", True)


def test_an_order_of_execution_is_confirmed_by_running_the_code() -> None:
    """Code that is not run confirms nothing."""
    report = transfer.Ported("theirs", 2, 8, ("float32",), (), (("a", "b"),), ())
    confirm.must_be_certain(report, "it", compared=True)
    with pytest.raises(SpecError, match="only the order"):
        confirm.must_be_certain(report, "it", compared=False)


def test_the_way_back_names_the_ways_out_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "model: net\ninput: [3, 8, 8]\nstem:\n"
        "  - conv: {out_channels: 3, kernel_size: 3}\n  - conv: {out_channels: 3, kernel_size: 3}\n"
    )
    graph = api.load(spec).graph
    drawn = weights.draw(graph)
    weights.save(tmp_path / "w.safetensors", drawn, graph)
    theirs = {f"layer{i}.weight": array for i, array in enumerate(drawn.values())}
    np.savez(tmp_path / "theirs.npz", **theirs)  # type: ignore[arg-type]
    words = ("port", str(tmp_path / "w.safetensors"), "--to", "torch", "--like",
             str(tmp_path / "theirs.npz"), "--spec", str(spec), "--out",
             str(tmp_path / "out.npz"))  # fmt: skip
    assert command(*words) == 1
    said = capsys.readouterr().err
    assert "with --from torch --verify" in said
    assert "confirm the order with" not in said
    assert command(*words, "--trust-order") == 0
    assert "--verify" not in capsys.readouterr().err
    assert sorted(np.load(tmp_path / "out.npz")) == ["layer0.weight", "layer1.weight"]
