"""Specs that once went wrong, one row a test: the command as a user runs it, and what is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import resspec
from tests import specs
from tests.cases.conftest import INPUTS, Run

BACKENDS = ("torch", "tensorflow")


@pytest.fixture(autouse=True)
def in_the_folder_of_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INPUTS)


def outputs(spec: Path, backend: str, x: np.ndarray[Any, Any], **options: Any) -> Any:
    """What the built model gives for x (N, C, H, W)."""
    from resspec.backend import get

    model = resspec.build(resspec.load(spec, **options), backend, dtype="float64")
    ((value,),) = get(backend).runtime().forward(model, x)[0].values()
    return value


@pytest.mark.parametrize("backend", BACKENDS)
def test_same_sizes_a_model_built_for_one_size_is_right_at_another(backend: str) -> None:
    pytest.importorskip(backend)
    x = np.random.default_rng(0).standard_normal((2, 3, 33, 29))
    spec = INPUTS / "same_sizes.yaml"
    found = outputs(spec, backend, x)
    expected = outputs(spec, backend, x, overrides=["input=[3, 33, 29]"])
    assert np.abs(found - expected).max() < 1e-12


@pytest.mark.parametrize("arguments", [("batch1.yaml",), ("resnet18", "--input", "3x32x32")])
def test_batch1_a_norm_that_sees_one_number_a_channel_is_named(
    run: Run, arguments: tuple[str, ...]
) -> None:
    code, said = run("parity", *arguments, "--batch", "1", "--mode", "grad")
    assert code == 1
    assert re.search(r"\.yaml:\d+", said)
    assert "one" in said


@pytest.mark.needs("torch", "tensorflow")
@pytest.mark.parametrize("name", ["like_only", "like_only2", "no_parameters", "grouped_transpose"])
def test_what_validates_builds_and_compares(run: Run, name: str) -> None:
    assert run("validate", f"{name}.yaml", "--strict")[0] == 0
    for backend in BACKENDS:
        assert run("build", f"{name}.yaml", "--backend", backend)[0] == 0
    code, said = run("parity", f"{name}.yaml", "--mode", "eval,grad,train", "--dtype", "float64")
    assert code == 0, said


LABELS = ("_modules", "_apply", "_buffers", "_parameters", "_call_impl", "training", "forward")


@pytest.mark.needs("torch", "tensorflow")
@pytest.mark.parametrize("label", LABELS)
def test_underscore_label_no_name_hits_one_of_a_framework(
    run: Run, label: str, tmp_path: Path
) -> None:
    text = (INPUTS / "underscore_label.yaml").read_text().replace("_modules", label)
    spec = specs.write(tmp_path, text, "m.yaml")
    for backend in BACKENDS:
        assert run("build", spec, "--backend", backend)[0] == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_u_turn_a_block_is_a_class_whatever_it_is_called(run: Run, backend: str) -> None:
    code, said = run("source", "u_turn_model.yaml", "--backend", backend)
    assert code == 0
    assert re.search(r"class UTurn\b|def u_turn\b", said)


def test_variants_extend_each_other_and_all_are_checked(run: Run) -> None:
    code, said = run("validate", "variants.yaml")
    assert code == 1
    for number in range(1, 5):
        assert f"wrong{number}" in said
    assert "deep5" not in said
    code, said = run("summarize", "variants.yaml#deep5", "--format", "json")
    assert code == 0
    (row,) = yaml.safe_load(said)
    assert row["output_shape"] == [5]
    assert sum(layer["op"] == "conv2d" for layer in row["layers"]) == 1 + 3 * 2


def test_beside_a_base_is_found_in_the_folder(run: Run) -> None:
    assert run("validate", "beside/derived.yaml")[0] == 0


def test_fam_a_base_has_its_own_name(run: Run) -> None:
    assert run("summarize", "fam.yaml#fam")[0] == 0


@pytest.mark.parametrize("name", ["os8", "os8_null"])
def test_inherited_defaults_that_no_block_takes_are_no_error(run: Run, name: str) -> None:
    code, said = run("validate", f"inherited/{name}.yaml")
    assert code == 0, said


def test_vanishing_entry_of_depth_0(run: Run) -> None:
    assert run("validate", "vanishing_entry.yaml")[0] == 0
    shallow = resspec.summarize(INPUTS / "vanishing_entry.yaml")
    deep = resspec.summarize(resspec.load(f"{INPUTS / 'vanishing_entry.yaml'}#deep"))
    assert deep.params > shallow.params


@pytest.mark.needs("torch", "tensorflow")
def test_non_square_stride_in_stock_blocks(run: Run) -> None:
    assert run("validate", "non_square_stride.yaml")[0] == 0
    for backend in BACKENDS:
        assert run("build", "non_square_stride.yaml", "--backend", backend)[0] == 0


def test_group_width_that_does_not_divide_is_told_with_its_place(run: Run) -> None:
    code, said = run("summarize", "group_width.yaml")
    assert code == 1
    assert "not-divisible" in said or "not-an-integer" in said
    assert "48" in said
    assert "group_width.yaml:" in said


def test_ambient_stride_after_resize_and_pool_is_1(run: Run) -> None:
    code, said = run("validate", "ambient_stride.yaml")
    assert code == 0 or "ambient_stride.yaml" in said.partition("-->")[2].splitlines()[0], said


def test_reuse_across_turns_works_or_tells_its_limit(run: Run) -> None:
    code, said = run("validate", "reuse_across_turns.yaml")
    assert code == 0 or "name it with" not in said, said


def test_string_param_a_word_is_a_choice(run: Run) -> None:
    code, said = run("validate", "string_param.yaml")
    assert code == 0 or "type: choice" in said, said


def test_scientific_floats_are_floats_for_every_yaml_reader(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert run("build", "scientific.yaml", "--out", tmp_path / "o")[0] == 0
    data = yaml.safe_load((tmp_path / "o" / "spec.yaml").read_text())
    assert data["defaults"]["norm"]["batch_norm"] == {"eps": 1e-5, "momentum": 1e-4}


@pytest.mark.parametrize(("name", "odd", "line"), [("nbsp", "\u00a0", 0), ("fullwidth", "：", 5)])
def test_an_odd_character_is_named_where_it_stands(
    run: Run, name: str, odd: str, line: int
) -> None:
    lines = (INPUTS / f"{name}.yaml").read_text("utf-8").splitlines()
    at = next(number for number, text in enumerate(lines, 1) if odd in text)
    assert line in (0, at)
    code, said = run("validate", f"{name}.yaml")
    assert code == 1
    assert f"{name}.yaml:{at}:" in said
    assert f"U+{ord(odd):04X}" in said
    assert odd not in said.partition("help:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--outputs", ",,"),
        ("--batch", "99999999999"),
        ("--batch", "0"),
        ("--input", "224x224x3"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(run: Run, arguments: tuple[str, ...]) -> None:
    code, said = run("build", "two_sets.yaml", *arguments)
    assert code == 2
    if arguments[0] == "--input":
        assert "Did you mean 3x224x224?" in said
