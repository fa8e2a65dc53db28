"""The report as a reader has it: folds, sorts, filters, points; and what strangers write is text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resspec import api
from resspec.differ import difference
from resspec.report import described, differing, pictured
from resspec.report import page as html
from tests import specs
from tests.hostile import EVIL, UNSEEN, poisoned


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "resnet18.html"
    path.write_bytes(html([described(api.load("resnet18"))]))
    return path.as_uri()


def opened(tab, url: str):
    tab.goto(url)
    tab.wait_for_selector("html[data-ready]")
    return tab


def boxes(tab) -> list[str]:
    return tab.locator(".box .name").all_text_contents()


def test_a_stage_folds_and_unfolds(page, resnet) -> None:
    opened(page, resnet)
    assert boxes(page).count("basic") == 6
    page.click(".head[data-path='stages.1']")
    page.wait_for_selector(".box[data-path='stages.1']")
    assert page.get_attribute(".box[data-path='stages.1']", "aria-expanded") == "false"
    page.press(".box[data-path='stages.1']", "Enter")
    page.wait_for_selector(".head[data-path='stages.1']")
    page.click("button:text-is('layer')")
    nodes = api.load("resnet18").graph.nodes
    page.wait_for_selector(f".box[data-path='{nodes[-1].path}']")
    assert page.locator(".box[data-path]").count() == len(nodes)
    page.click("button:text-is('model')")
    page.wait_for_selector(".box[data-path='stages.1']")
    stages = ["basic × 2"] * 4
    assert boxes(page) == ["input 3×224×224", "stem_7x7", *stages, "classifier", "out 1000"]


def test_zoom_and_arrow_keys(page, resnet) -> None:
    opened(page, resnet)
    width = page.locator(".view svg").bounding_box()["width"]
    page.click("[aria-label='zoom in']")
    assert page.locator(".view svg").bounding_box()["width"] == pytest.approx(
        1.25 * width, rel=0.01
    )
    page.focus(".box[data-path='stem']")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.path") == "stages.0"


def test_the_table_sorts_and_filters(page, resnet) -> None:
    opened(page, resnet)
    first = page.locator(".layers tbody tr:not([hidden]) th").first
    page.click(".layers thead button:text-is('params')")
    assert first.inner_text() == "stages.3.0.conv2"
    assert page.get_attribute(".layers th[aria-sort]", "aria-sort") == "descending"
    page.click(".layers thead button:text-is('params')")
    assert "act" in first.inner_text()
    page.click(".layers thead button:text-is('params')")
    assert first.inner_text() == "stem.conv1"
    page.fill("input[type=search]", "conv2d stages.2")
    assert page.locator(".layers tbody tr:not([hidden])").count() == 5
    assert page.inner_text(".told").startswith("5 of 69 layers")


def test_pointing_at_one_lights_the_other(page, resnet) -> None:
    opened(page, resnet)
    page.hover(".layers tr:has-text('stages.2.1.conv1')")
    lit = page.locator(".box.lit")
    assert lit.get_attribute("data-path") == "stages.2.1"
    assert "stages.2.1.conv1" in page.inner_text(".depth figcaption")
    assert "receptive field 179" in page.inner_text(".depth figcaption")
    page.hover(".box[data-path='stages.2.0']")
    rows = page.locator(".layers tr.lit th").all_inner_texts()
    assert rows[0] == "stages.2.0.conv1"
    assert all(row.startswith("stages.2.0.") for row in rows)
    page.hover(".bars tr:has-text('stem')")
    assert lit.get_attribute("data-path") == "stem"


def test_yaml_and_source_lead_to_layers(page, resnet) -> None:
    opened(page, resnet)
    page.click("[role=tab]:text-is('YAML')")
    page.hover(".code button:has-text('depth: 2, width: 256')")
    assert page.locator(".layers tr.lit").count() == 16
    page.click("[role=tab]:text-is('torch')")
    page.hover("[role=tabpanel]:visible .code button:has-text('projection.yaml')")
    rows = page.locator(".layers tr.lit th").all_text_contents()
    assert rows == [f"stages.{i}.0.shortcut.{one}" for i in (1, 2, 3) for one in ("conv1", "norm1")]


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_its_window(page, resnet, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    opened(page, resnet)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    before = page.evaluate("getComputedStyle(document.body).color")
    page.click(".theme")
    assert page.evaluate("getComputedStyle(document.body).color") != before


def test_on_paper_everything_is_shown(page, resnet) -> None:
    opened(page, resnet)
    page.emulate_media(media="print")
    assert page.locator("[role=tabpanel]:visible").count() == page.locator("[role=tab]").count()
    assert not page.locator(".tools:visible").count()


def test_networks_side_by_side(page, tmp_path) -> None:
    loaded = [api.load(name) for name in ("resnet18", "resnet50_fpn")]
    path = tmp_path / "both.html"
    graphs = [one.graph for one in loaded]
    told = differing(difference(*graphs, ("resnet18", "resnet50_fpn")), *graphs)
    path.write_bytes(html([described(loaded[0]), described(loaded[1]) | {"differs": told}]))
    opened(page, path.as_uri())
    assert page.locator("article").count() == 2
    assert "+" in page.inner_text(".compared tr:has-text('resnet50_fpn')")
    one, other = (page.locator("article").nth(i).bounding_box() for i in (0, 1))
    assert page.inner_text(".differs h2").startswith("resnet18 → resnet50_fpn: +")
    page.hover(".differs li:has-text('head')")
    lit = [
        article.locator(".layers tr.lit th").all_inner_texts()
        for article in page.locator("article").all()
    ]
    assert all(rows and all(row.startswith("head.") for row in rows) for rows in lit)
    assert one["y"] == other["y"]
    assert one["x"] + one["width"] < other["x"]


def test_of_a_thousand_blocks_one_is_opened_for_all(page, tmp_path) -> None:
    path = tmp_path / "deep.html"
    path.write_bytes(html([pictured(api.load("cifar_resnet1202").graph)], "block"))
    opened(page, path.as_uri())
    assert "basic × 200, the first for all" in page.text_content(".view")
    assert page.locator(".box").count() < 40


def test_too_many_boxes_are_refused_and_the_picture_stays(page, tmp_path) -> None:
    path = tmp_path / "wide.html"
    path.write_bytes(html([pictured(api.load("hrnet_w18").graph)]))
    opened(page, path.as_uri())
    before = boxes(page)
    page.click("button:text-is('layer')")
    page.wait_for_selector(".note:not(:empty)")
    assert "at most" in page.inner_text(".note")
    assert boxes(page) == before


HOSTILE = (
    specs.TINY.replace(
        "A stem, two residual blocks, a head.", "|\n  " + EVIL.partition("\u202e")[0]
    )
    + "# </script><script>window.ran = 1</script>\n"
)


@pytest.mark.parametrize("way", ["spec", "graph"])
def test_what_a_stranger_writes_is_text(page, tmp_path, monkeypatch, way: str) -> None:
    folder = tmp_path / "<img src=x onerror=window.ran=1>"
    folder.mkdir()
    loaded = specs.load(folder, HOSTILE)
    if way == "graph":
        loaded = poisoned(loaded)
        source = SimpleNamespace(text=f"class Basic:  # basic.yaml:1\n    # {EVIL}\n")
        monkeypatch.setattr(
            api, "compile_for", lambda graph, backend: SimpleNamespace(source=source)
        )
    path = tmp_path / "evil.html"
    other, called = api.load("resnet18"), (loaded.name + EVIL, "resnet18" + EVIL)
    found = difference(loaded.graph, other.graph, called)
    told = {"differs": differing(found, loaded.graph, other.graph)}
    path.write_bytes(html([described(loaded), described(other) | told]))
    opened(page, path.as_uri())
    assert page.locator("article").count() == 2
    page.locator("button:text-is('layer')").first.click()
    page.wait_for_selector("article:first-child .box[data-path^='stages.0.0.conv1']")
    for tab in page.locator("article:first-child [role=tab]").all():
        tab.click()
    assert page.evaluate("window.ran") is None
    assert page.locator("script").count() == 3
    assert page.locator("img, iframe, object, embed, link").count() == 0
    assert page.locator("svg svg").count() == 0
    assert page.locator("[onerror], [onload], [onclick]").count() == 0
    text = page.inner_text("body")
    assert "<script>window.ran = 1</script>" in text
    assert not UNSEEN & set(page.content())
