"""How specs/ is laid out: one folder a family, its blocks in `blocks/`, names without clashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api, zoo
from resspec.paths import specs_dir

CLASSIC = {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"}
LIBRARIES = {"extra", "keras", "timm", "torchvision"}


def test_models_stand_in_the_folder_of_their_family_and_blocks_below_it() -> None:
    root = specs_dir()
    for entry in zoo.models():
        place = entry.path.relative_to(root).parent.as_posix()
        assert place == ("." if entry.name in CLASSIC else entry.family)
    for entry in zoo.blocks():
        place = entry.path.relative_to(root).parent.as_posix()
        assert place == f"{entry.family}/blocks".lstrip("/")
        assert entry.path.stem == entry.name


def test_a_family_is_no_library_and_has_a_model() -> None:
    families = {entry.family for entry in zoo.models()}
    assert not families & LIBRARIES
    assert {entry.family for entry in zoo.blocks()} <= families | {""}
    folders = {path.name for path in specs_dir().iterdir() if path.is_dir()}
    assert folders == families | {"blocks"}


def test_the_classic_resnets_are_the_first_of_their_family() -> None:
    found = [entry.name for entry in zoo.models() if entry.family == "resnet"]
    assert set(found[:5]) == CLASSIC
    assert {"resnet50d", "resnext50_32x4d", "cifar_resnet20", "keras_resnet50"} < set(found)


def test_no_name_ends_with_an_underscore() -> None:
    for path in specs_dir().rglob("*.yaml"):
        assert "_:" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("name", ["res2net50_26w_4s", "resnet50d"])
def test_a_file_of_others_changes_no_shipped_family(tmp_path: Path, name: str) -> None:
    """They extend `resnet`, by name and by path."""
    text = "model: resnet\ninput: [3, 8, 8]\nstem: relu\n"
    (tmp_path / "resnet.yaml").write_text(text)
    assert len(api.load(name, search=[str(tmp_path)]).graph.nodes) > 100
