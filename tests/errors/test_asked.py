"""What Python code gives wrongly is told in one line: no traceback of what lies inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resspec
from resspec import optim
from resspec.diagnostics import SpecError
from tests.commands import command

SPEC = """model: tiny
input: [3, 16, 16]
num_classes: 4
stem: {stem_3x3: {out_channels: 8}}
block: basic
stages: [{depth: 1, width: 8}]
head: classifier
"""
READS: list[Callable[[Any], object]] = [
    resspec.load,
    resspec.summarize,
    resspec.source,
    resspec.build,
    lambda spec: resspec.diff("resnet18", spec),
]
NO_SPECS = [None, 3, b"tiny.yaml", ["tiny.yaml"], {"model": "m"}, True, frozenset(), resspec, SPEC]
LOADS = [
    {"overrides": [3]},
    {"overrides": 3},
    {"overrides": {"num_classes": 3}},
    {"overrides": b"num_classes=3"},
    {"search": None},
    {"search": [None]},
    {"search": 3},
    {"search": ""},
    {"limits": 3},
]
BUILDS = [
    {"backend": None},
    {"backend": 3},
    {"backend": np},
    {"device": None},
    {"device": b"cpu"},
    {"device": int},
    {"dtype": 3},
    {"dtype": int},
    {"dtype": "fp16"},
    {"seed": None},
    {"seed": "1"},
    {"seed": 1.5},
    {"outputs": 3},
    {"outputs": [3]},
    {"outputs": {"out": 1}},
    {"optimize": True},
    {"optimize": "fast"},
    {"partial": True},
    {"key": "x"},
    {"adapt_input": "sum"},
    {"weights": 3},
    {"weights": b"w.safetensors"},
    {"weights": ""},
    {"weights": "a\0b"},
    {"weights": [1]},
    {"weights": True},
    {"weights": {}, "key": 3},
    {"weights": frozenset()},
]
NO_FILES = [None, 3, "", "a\0b", b"w.safetensors", ["w"], frozenset()]
NO_DTYPES = ["bf16", "int8", 3, np.int32, frozenset()]
OPTIMISERS = [
    (3, {}),
    (None, {}),
    ("sgd", {"lr": "fast"}),
    ("sgd", {"lr": None}),
    ("adam", {"betas": 0.9}),
    ("adam", {"betas": (0.9,)}),
    ("adam", {"betas": ("a", "b")}),
]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path / "tiny.yaml"


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(SpecError) as raised:
        call()
    (found,) = raised.value.diagnostics
    assert "\n" not in found.message
    assert len(found.message) < 200


@pytest.mark.parametrize("given", NO_SPECS, ids=repr)
@pytest.mark.parametrize("read", READS)
def test_no_spec(read: Callable[[Any], object], given: object) -> None:
    refused(lambda: read(given))


@pytest.mark.parametrize("given", LOADS, ids=repr)
def test_no_way_to_load(given: dict[str, Any], spec: Path) -> None:
    refused(lambda: resspec.load(spec, **given))


@pytest.mark.parametrize("given", BUILDS, ids=repr)
@pytest.mark.needs("torch")
def test_no_way_to_build(given: dict[str, Any], spec: Path) -> None:
    refused(lambda: resspec.build(spec, **given))


@pytest.mark.needs("torch")
def test_one_where_a_list_is_usual_and_a_frameworks_own_words(spec: Path) -> None:
    import torch

    loaded = resspec.load(spec, overrides="num_classes=7", search=spec.parent)
    for dtype in (torch.float64, np.float64, np.dtype("float64"), "float64"):
        model = resspec.build(loaded, device=torch.device("cpu"), dtype=dtype, outputs="out")  # type: ignore[arg-type]
        assert model(torch.zeros(2, 3, 16, 16, dtype=torch.float64)).shape == (2, 7)


@pytest.mark.needs("torch")
def test_no_file_and_no_dtype_to_save_as(spec: Path) -> None:
    model = resspec.build(spec, weights=False)
    for file in NO_FILES:
        refused(lambda file=file: resspec.save_weights(model, file))  # type: ignore[misc]
    target = spec.parent / "w.safetensors"
    for dtype in NO_DTYPES:
        refused(lambda dtype=dtype: resspec.save_weights(model, target, dtype=dtype))  # type: ignore[misc]
    assert [one.name for one in spec.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("given", [None, 3, "x", {}, [], int, frozenset(), np.zeros(3)], ids=repr)
def test_no_model(given: object) -> None:
    refused(lambda: resspec.read_weights(given))
    refused(lambda: resspec.import_model(given))


@pytest.mark.needs("torch")
@pytest.mark.parametrize("example", [3, (3, 32, 32), "3x32x32", np.zeros(3)], ids=repr)
def test_no_example_input(example: object) -> None:
    from torch import nn

    refused(lambda: resspec.import_model(nn.Conv2d(3, 4, 3), example))


@pytest.mark.parametrize(("name", "settings"), OPTIMISERS, ids=repr)
def test_no_optimiser(name: Any, settings: dict[str, Any]) -> None:
    refused(lambda: optim.make(name, **settings))


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("tinny.yaml", "did you mean `tiny.yaml`?"),
        ("Tiny.yaml", "did you mean `tiny.yaml`?"),
        ("tiny", "did you mean the file `tiny.yaml`?"),
        ("https://example.com/tiny.yaml", "download it first"),
        ("loop.yaml", "it is a link that leads nowhere"),
        ("~/tiny.yaml", "`~` is not expanded here"),
    ],
)
def test_a_name_of_nothing_says_what_may_be_meant(
    name: str, help: str, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    Path("loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(SpecError, match=help.replace("?", r"\?")):
        resspec.load(name)


def test_items_are_set_by_their_number(spec: Path) -> None:
    with pytest.raises(SpecError, match=r"write `stages\.0`"):
        resspec.load(spec, overrides="stages[0].depth=2")


@pytest.mark.parametrize(
    "words",
    [
        ("summarize", "resnet18", "--path", ""),
        ("source", "resnet18", "-o", ""),
        ("build", "resnet18", "--weights", ""),
        ("port", "", "--from", "torch", "--spec", "resnet18", "--out", "x"),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_not_here(words: tuple[str, ...], capsys: Any) -> None:
    assert command(*words) == 2
    assert "'' is no path" in capsys.readouterr().err


def test_a_model_that_extends_its_own_name_extends_itself(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("model: own\nextends: own\n")
    with pytest.raises(SpecError, match=r"extends-cycle.*extends itself"):
        resspec.load(tmp_path / "own.yaml")
