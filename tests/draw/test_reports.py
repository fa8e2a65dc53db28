"""`resspec report` and `resspec draw -o x.html`: what a page holds. How it behaves: tests/browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from resspec import api, report
from resspec.report.page import inert
from tests import specs
from tests.commands import command
from tests.refused import refused


def data(text: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    return json.loads(found)


def leaves(items) -> list[int]:
    return [
        one
        for item in items
        for one in (leaves(item["items"]) if isinstance(item, dict) else [item])
    ]


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "hrnet_w18", "resnet50_fpn"])
def test_every_layer_is_in_the_picture_once_and_costs_add_up(name: str) -> None:
    loaded = api.load(name)
    found = report.described(loaded)
    count = len(loaded.graph.nodes)
    assert leaves(found["picture"]["items"]) == list(range(count))
    assert sum(part["params"] for part in found["parts"]) == found["params"]
    assert sum(part["macs"] for part in found["parts"]) == found["macs"]
    ends = count + len(found["picture"]["outputs"])
    assert all(
        -1 <= source < count and source < target < ends
        for source, target, *_ in found["picture"]["arrows"]
    )


def test_positions_of_the_yaml_stand_for_layers() -> None:
    found = report.described(api.load("resnet34"))
    spec, *blocks = found["texts"]
    assert spec["file"].endswith("resnet34.yaml")
    paths = [layer["path"] for layer in found["layers"]]
    links = {text: ranges for line in spec["lines"] for text, ranges in filter(is_link, line)}
    ((first, last),) = [one for one in links["{depth: 6, width: 256, stride: 2}"] if one][:1]
    assert (paths[first], paths[last - 1]) == ("stages.2.0.conv1", "stages.2.5.act2")
    (basic,) = [one for one in blocks if one["file"].endswith("basic.yaml")]
    text = (specs_folder() / "basic.yaml").read_text("utf-8")
    assert "\n".join("".join(map(plain, line)) for line in basic["lines"]) == text


def specs_folder():
    from resspec import zoo

    return zoo.locate("resnet34")[0].parent / "blocks"


def is_link(part) -> bool:
    return isinstance(part, list)


def plain(part) -> str:
    return part[0] if is_link(part) else part


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_each_class_or_function_of_the_source_is_linked_to_its_block(backend: str) -> None:
    loaded = api.load("resnet50")
    found = report.described(loaded)
    (source,) = [one for one in found["sources"] if one["backend"] == backend]
    shown = "\n".join("".join(map(plain, line)) for line in source["lines"])
    assert shown == api.source(loaded, backend)
    links = {text: ranges for line in source["lines"] for text, ranges in filter(is_link, line)}
    blocks = "stem_7x7 bottleneck projection classifier resnet50".split()
    assert {f"# {name}.yaml:1" for name in blocks} <= set(links)
    assert len(links["# bottleneck.yaml:1"]) == 16


def test_what_a_backend_cannot_express_is_told_in_place_of_its_source(monkeypatch) -> None:
    from resspec.diagnostics import error

    def refuse(graph, backend):
        raise error("unsupported", f"{backend} has no such layer")

    monkeypatch.setattr(api, "compile_for", refuse)
    found = report.described(api.load("resnet18"))
    assert found["sources"][0]["lines"] == []
    assert "torch has no such layer" in found["sources"][0]["problem"]


def test_warnings_of_the_spec_are_shown(tmp_path) -> None:
    loaded = specs.load(tmp_path, specs.TINY.replace("  - act\n", "  - act\n  - act\n"))
    (shown,) = report.described(loaded)["warnings"]
    assert shown.startswith("warning[double-activation]")


def test_a_page_runs_no_script_but_its_own() -> None:
    import base64
    import hashlib

    text = report.page([report.pictured(api.load("resnet18").graph)]).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    assert len(scripts) == 2
    assert f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}';" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text.replace("".join(scripts), ""))


def test_data_ends_no_script_and_begins_no_comment() -> None:
    evil = "</script><!--<script>\u2028\u2029&\"'\\"
    text = inert({"name": evil})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"name": evil}


def test_a_network_that_no_page_holds_is_refused(monkeypatch) -> None:
    graph = api.load("resnet18").graph
    item = graph.root.items[0]
    many = replace(graph, root=replace(graph.root, items=(item,) * 5001))
    found = refused(report.pictured, many)
    assert found.code == "picture-limit"
    assert found.message == "resnet18 has 20,004 layers, and a page shows at most 20,000"


def test_commands_write_pages(tmp_path, capsys) -> None:
    out, picture = tmp_path / "two.html", tmp_path / "one.html"
    for words in (
        ["report", "resnet18", "seresnet18", "--input", "3x64x64", "-o", str(out)],
        ["draw", "resnet18", "--level", "block", "-o", str(picture)],
    ):
        assert command(*words) == 0
    assert "differs" not in data(picture.read_text("utf-8"))["networks"][0]
    both, one = data(out.read_text("utf-8")), data(picture.read_text("utf-8"))
    assert [network["name"] for network in both["networks"]] == ["resnet18", "seresnet18"]
    assert both["networks"][0]["picture"]["input"] == "3×64×64"
    told = both["networks"][1]["differs"]
    assert told["title"] == "resnet18 → seresnet18"
    assert [one["text"] for one in told["changes"]] == ["attention: se added, in every block"]
    assert (one["level"], "totals" in one["networks"][0]) == ("block", False)


def test_what_is_set_on_one_side_stands_beside_what_is_not(tmp_path) -> None:
    out = tmp_path / "two.html"
    deeper = ["--set-b", "stages.2.depth=3", "--input", "3x64x64"]
    assert command("report", "resnet18", *deeper, "-o", str(out)) == 0
    plain, other = data(out.read_text("utf-8"))["networks"]
    assert (plain["name"], other["name"]) == ("resnet18", "resnet18 (stages.2.depth=3)")
    assert [one["text"] for one in other["differs"]["changes"]] == ["stage 3: depth 2 → 3"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["resnet18"], "--out"),
        (["resnet18", "resnet34", "resnet50", "--set-b", "a=1", "-o", "x.html"], "--set-b"),
        (["resnet18", "-o", "x.pdf"], ".html"),
        (["resnet18", "-o", "x.html", "--level", "all"], "--level"),
    ],
)
def test_wrong_use(words, told, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("report", *words) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_huge_spec_meets_a_limit_and_leaves_no_file(tmp_path, capsys) -> None:
    spec = specs.write(tmp_path, specs.TINY.replace("depth: 1", "depth: 4096"), "huge.yaml")
    for more, code in (([], "node-limit"), (["--limit", "nodes=1000000"], "picture-limit")):
        assert command("report", spec, "-o", tmp_path / "huge.html", *more) == 1
        assert f"error[{code}]" in capsys.readouterr().err
    assert not (tmp_path / "huge.html").exists()
