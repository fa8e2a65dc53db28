"""Weights that fit another network in every name and shape, and mean nothing there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resspec
from resspec import weights
from resspec.ir import Graph
from tests.refused import refused

SPEC = """model: tiny
input: [3, 32, 32]
num_classes: 4
stem: {stem_3x3: {out_channels: 8}}
block: basic
stages:
  - {depth: 1, width: 8}
  - {depth: 1, width: 8, stride: 2}
head: [global_avg_pool, flatten, {linear: {out_features: num_classes}}]
"""
SAME = {
    "as it is": ("", ""),
    "another name": ("model: tiny", "model: other"),
    "another size": ("[3, 32, 32]", "[3, 40, 48]"),
    "a momentum": ("block: basic", "defaults: {norm: {batch_norm: {momentum: 0.2}}}\nblock: basic"),
    "its usual eps": ("block: basic", "defaults: {norm: {batch_norm: {eps: 1e-5}}}\nblock: basic"),
    "dropout": ("flatten, {", "flatten, {dropout: {rate: 0.1}}, {"),
    "a doc": ("block: basic", "doc: Another.\nblock: basic"),
}
OTHER = {
    "an activation": ("block: basic", "defaults: {act: silu}\nblock: basic", "stages.0.0.conv1"),
    "an eps": ("block: basic", "defaults: {norm: {batch_norm: {eps: 0.1}}}\nblock: basic", "stem."),
    "another stride": ("width: 8, stride: 2", "width: 8, stride: 4", "stages.1.0.conv1"),
    "a padding": ("block: basic", "defaults: {conv: {conv2d: {padding: same}}}\nblock: basic", ""),
    "its end": ("num_classes}}", "num_classes}}, softmax", "after the last layer"),
}


def graph(folder: Path, right: str = "", other: str = "") -> Graph:
    file = folder / "spec.yaml"
    assert right in SPEC
    file.write_text(SPEC.replace(right, other, 1) if right else SPEC)
    return resspec.load(file).graph


def taken(folder: Path, made_for: Graph, graph: Graph) -> str:
    file = folder / "w, and more.safetensors"
    weights.save(file, weights.draw(made_for, 0), made_for, force=True)
    return weights.read(file, graph).other


@pytest.mark.parametrize("change", SAME)
def test_nothing_is_told_of_one_that_computes_the_same(change: str, tmp_path: Path) -> None:
    assert taken(tmp_path, graph(tmp_path), graph(tmp_path, *SAME[change])) == ""


@pytest.mark.parametrize("name", ["tiny", "other"])
@pytest.mark.parametrize("change", OTHER)
def test_both_are_named_and_where_they_part(change: str, name: str, tmp_path: Path) -> None:
    right, other, place = OTHER[change]
    file = tmp_path / "other, and more.yaml"
    file.write_text(SPEC.replace(right, other, 1).replace("model: tiny", f"model: {name}"))
    said = taken(tmp_path, graph(tmp_path), resspec.load(file).graph)
    assert ("another tiny than this" if name == "tiny" else "for tiny, not for other") in said
    assert place in said
    assert said.startswith(f"`{tmp_path / 'w, and more.safetensors'}` was saved for ")


def test_a_head_of_other_classes_is_no_other_network(tmp_path: Path) -> None:
    file, made_for = tmp_path / "w.safetensors", graph(tmp_path)
    weights.save(file, weights.draw(made_for, 0), made_for)
    other = graph(tmp_path, "num_classes: 4", "num_classes: 7")
    found = weights.read(file, other, weights.draw(other, 0))
    assert len(found.left_out) == 2
    assert found.other == ""


def test_a_file_that_tells_no_more_than_a_name(tmp_path: Path) -> None:
    file, made_for = tmp_path / "w.safetensors", graph(tmp_path)
    weights.save(file, weights.draw(made_for, 0), "tiny")
    assert weights.read(file, made_for).other == ""
    other = graph(tmp_path, "model: tiny", "model: other")
    assert "for tiny, not for other" in weights.read(file, other).other


@pytest.mark.parametrize("network", ["", "2 abc", "1", "1 ", "1 abc out=", "1 =", "x" * 99])
def test_what_stands_there_may_be_anything(network: str, tmp_path: Path) -> None:
    file, made_for = tmp_path / "w.safetensors", graph(tmp_path)
    about = {"spec": "tiny", "network": network}
    file.write_bytes(weights.encode(weights.draw(made_for, 0), about))
    assert weights.read(file, made_for).other == ""


@pytest.mark.needs("torch")
def test_a_live_model_of_another_network(tmp_path: Path) -> None:
    graph(tmp_path)
    model = resspec.build(tmp_path / "spec.yaml")
    resspec.save_weights(model, tmp_path / "w.safetensors")
    graph(tmp_path, "block: basic", "defaults: {act: silu}\nblock: basic")
    for given in (model, tmp_path / "w.safetensors"):
        with pytest.warns(UserWarning, match=r"saved for another tiny than this: .*stages\.0\.0"):
            twin = resspec.build(tmp_path / "spec.yaml", weights=given)
    read = resspec.read_weights(twin)
    assert all(np.array_equal(a, read[name]) for name, a in resspec.read_weights(model).items())


def test_a_live_model_that_lost_a_tensor_is_told(tmp_path: Path) -> None:
    prune = pytest.importorskip("torch.nn.utils.prune")
    (tmp_path / "tiny.yaml").write_text(SPEC)
    model = resspec.build(tmp_path / "tiny.yaml")
    prune.l1_unstructured(model.head.linear1, "weight", 0.5)
    for work in (
        lambda: resspec.read_weights(model),
        lambda: resspec.save_weights(model, tmp_path / "w.safetensors"),
        lambda: resspec.build(tmp_path / "tiny.yaml", weights=model),
    ):
        found = refused(work)
        assert "has no head.linear1.weight: it was changed since it was built" in found.message
    prune.remove(model.head.linear1, "weight")
    resspec.save_weights(model, tmp_path / "w.safetensors")
