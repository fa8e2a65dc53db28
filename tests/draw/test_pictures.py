"""`resspec draw`: what is shown at each level, and how it is written."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from resspec import api
from resspec.draw import Box, Frame, Picture, drawn, mermaid, sketch
from resspec.summary import summarize
from tests.refused import refused


def graph(name: str):
    return api.load(name).graph


def frames(items) -> list[Frame]:
    found = []
    for item in items:
        if isinstance(item, Frame):
            found += [item, *frames(item.items)]
    return found


def boxes(picture: Picture) -> list[Box]:
    return list(Frame("", "", picture.items).boxes())


def test_a_model_is_stem_stages_and_head():
    titles = [box.lines[0] for box in boxes(sketch(graph("resnet34"), "model"))]
    assert titles == [
        "input 3×224×224",
        "stem_7x7",
        "basic × 3",
        "basic × 4",
        "basic × 6",
        "basic × 3",
        "classifier",
        "out 1000",
    ]


def test_blocks_alike_in_a_row_are_one_box_and_a_shortcut_of_another_form_is_not_alike():
    picture = sketch(graph("resnet34"), "stage")
    inside = {
        frame.title: [box.lines[0] for box in frame.boxes()] for frame in frames(picture.items)
    }
    assert inside == {
        "stages.0": ["basic × 3"],
        "stages.1": ["basic", "basic × 3"],
        "stages.2": ["basic", "basic × 5"],
        "stages.3": ["basic", "basic × 2"],
    }


def test_one_block_of_each_kind_is_opened_and_its_shortcut_marked():
    picture = sketch(graph("resnet34"), "block")
    assert [frame.title for frame in picture.details] == [
        "stem_7x7",
        "basic",
        "basic",
        "classifier",
    ]
    plain, projected = picture.details[1:3]
    assert [frame.title for frame in frames(plain.items)] == []
    assert [frame.title for frame in frames(projected.items)] == ["projection"]
    titles = {box.key: box.title for detail in picture.details for box in detail.boxes()}
    shortcuts = [(titles[a.source], titles[a.target]) for a in picture.arrows if a.shortcut]
    assert shortcuts == [("in", "add"), ("batch_norm", "add")]


def test_what_a_dense_layer_keeps_is_a_shortcut_and_branches_and_gates_are_none():
    def shortcuts(name: str) -> set[tuple[str, str]]:
        picture = sketch(graph(name), "block")
        titles = {box.key: box.title for detail in picture.details for box in detail.boxes()}
        return {(titles[a.source], titles[a.target]) for a in picture.arrows if a.shortcut}

    assert shortcuts("densenet121") == {("in", "concat")}
    assert shortcuts("inception_v3") == set()
    assert not {target for _, target in shortcuts("seresnet50")} - {"add"}


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "hrnet_w18", "resnet50_fpn"])
@pytest.mark.parametrize("level", ["model", "stage", "block", "layer"])
def test_costs_add_up_and_arrows_join_boxes_that_are_there(name, level):
    picture = sketch(graph(name), level)
    total = summarize(graph(name))
    assert sum(box.params for box in boxes(picture)) == total.params == picture.params
    assert sum(box.macs for box in boxes(picture)) == total.macs == picture.macs
    keys = {box.key for box in Frame("", "", (*picture.items, *picture.details)).boxes()}
    assert {key for arrow in picture.arrows for key in (arrow.source, arrow.target)} <= keys
    shown = [box for box in boxes(picture) if box.kind not in ("input", "output")]
    fed = {arrow.target for arrow in picture.arrows}
    assert all(box.key in fed for box in shown)


def test_a_picture_that_nobody_could_look_at_is_refused():
    assert refused(sketch, graph("cifar_resnet1202"), "layer").code == "picture-limit"
    assert len(boxes(sketch(graph("cifar_resnet1202"), "block"))) < 20


def test_names_from_a_spec_are_text_in_mermaid():
    text = mermaid(Picture("x", 0, 0, (Box("n1", '"]<b>#;\n', "block"),), ()))
    assert 'n1["#34;#93;#60;b#62;#35;#59;#10;"]' in text


def test_nothing_in_a_picture_overlaps_and_names_are_text():
    pytest.importorskip("py_mini_racer")
    from resspec.draw.layout import layout

    for name in ("resnet18", "densenet121"):
        picture = sketch(graph(name), "block")
        laid = layout(picture)
        every = Frame("", "", (*picture.items, *picture.details))
        places = [laid.places[box.key] for box in every.boxes()]
        places += [route.place for route in laid.routes if route.place]
        for one, other in combinations(places, 2):
            apart = (
                one.x + one.width <= other.x
                or other.x + other.width <= one.x
                or one.y + one.height <= other.y
                or other.y + other.height <= one.y
            )
            assert apart, (one, other)


def test_svg_holds_no_markup_of_a_spec_and_png_is_one():
    pytest.importorskip("py_mini_racer")
    evil = Box("n1", "<script>alert(1)</script>", "conv", path='"><script>')
    picture = Picture("<b>&", 1, 1, (evil,), ())
    root = ElementTree.fromstring(drawn(picture, ".svg"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "tspan", "g", "path"}
    assert "<script>alert(1)</script>" in "".join(root.itertext())
    pytest.importorskip("resvg_py")
    assert drawn(picture, ".png").startswith(b"\x89PNG")


def test_the_engine_that_ships_is_the_one_that_was_published():
    import hashlib
    from importlib.resources import files

    data = files("resspec.draw").joinpath("assets/elk.js").read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "b1032b7cfd2a57c54c6f0e8369d7665e19a579954f7cd20a6dae28f1912ea0d7"  # elkjs 0.12.1 of npm
    )
    assert re.search(
        rb"Eclipse Public License",
        files("resspec.draw").joinpath("assets/elk.LICENSE.md").read_bytes(),
    )
