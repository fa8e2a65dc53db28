"""The playground as a writer has it: what is wrong is marked as it is typed, in any light."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from resspec.play import Server
from resspec.play.document import Document
from tests import specs
from tests.hostile import EVIL

pytestmark = pytest.mark.needs("py_mini_racer", "playwright")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(specs.write(tmp_path))


@pytest.fixture
def address(file: Path) -> Iterator[str]:
    with Server(Document(str(file))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


def test_a_wrong_key_is_underlined_as_it_is_typed_and_a_right_text_is_saved(
    page: Any, address: str, file: Path
):
    page.goto(address)
    page.wait_for_selector("#panel svg")
    assert page.inner_text("#status") == "✓ valid"
    page.click("#editor .cm-content")
    page.keyboard.press("Control+End")
    page.keyboard.type("blcok: basic\n")
    page.wait_for_selector(".cm-lintRange-error")
    assert page.inner_text(".cm-lintRange-error") == "blcok"
    assert "did you mean `block`?" in page.inner_text("#problems")
    assert "old" in page.get_attribute("#panel", "class")
    page.click("#problems li")
    page.keyboard.press("Delete")
    page.keyboard.type("# ")
    page.wait_for_selector("#status.good")
    page.keyboard.press("Control+s")
    page.wait_for_selector("#save:disabled")
    assert file.read_text() == specs.TINY + "# : basic\n"


def test_words_are_completed_and_the_picture_leads_to_the_text(page: Any, address: str):
    page.goto(address)
    page.wait_for_selector("#panel svg")
    page.click("#editor .cm-content")
    page.keyboard.press("Control+End")
    page.keyboard.type("shor")
    page.wait_for_selector(".cm-tooltip-autocomplete")
    page.wait_for_timeout(100)  # a suggestion is not taken the moment that it comes
    page.keyboard.press("Enter")
    page.keyboard.type("avg_projection\n")
    page.wait_for_selector("#status.good")
    text = page.inner_text("#editor .cm-content")
    assert "shortcut: avg_projection" in text
    page.click("#panel svg .box[data-path='stages.1.0']")
    chosen = page.evaluate("getSelection().toString()")
    assert chosen.startswith("{depth: 1, width: 8")


def test_costs_and_source_follow_in_their_tabs(page: Any, address: str):
    page.goto(address)
    page.wait_for_selector("#panel svg")
    page.click("role=tab[name=cost]")
    page.wait_for_selector("table")
    assert page.inner_text("tbody tr:last-child td:nth-child(3)") == "1,409"
    page.click("role=tab[name=torch]")
    page.wait_for_selector("#panel .cm-content")
    assert "class Basic(nn.Module)" in page.inner_text("#panel .cm-content")


def test_what_a_stranger_wrote_is_text(page: Any, address: str, file: Path):
    printable = EVIL.partition("\u202e")[0]
    names = "variants: {'<img src=x onerror=window.ran=1>': {}, ok: {}}\n'<svg onload=window.ran=1>': 1\n"
    file.write_text(specs.TINY.replace("A stem,", f"|\n  {printable}") + names)
    page.goto(address)
    page.wait_for_selector("#problems li")
    assert "<svg onload=window.ran=1>" in page.inner_text("#problems")
    page.click("#editor .cm-content")
    page.keyboard.press("Control+End")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Delete")
    page.wait_for_selector("#panel svg")
    assert "<img src=x" in page.inner_text("#variant")
    assert page.locator("#panel img, #problems img, #problems svg").count() == 0
    assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_is_read_without_scrolling_sideways(page: Any, address: str, scheme: str):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(address)
    page.wait_for_selector("#panel svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
