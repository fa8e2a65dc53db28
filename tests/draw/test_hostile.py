"""What a stranger writes is text in everything that people look at. In a browser: tests/browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import resspec
from resspec import api, table
from resspec.compile import LoadedSpec
from resspec.diagnostics import Diagnostic, Note
from resspec.differ import difference
from resspec.draw import drawn, sketch
from resspec.sarif import sarif
from tests import specs
from tests.hostile import EVIL, UNSEEN, poisoned

LEVELS = ["model", "stage", "block", "layer"]
TAGS = set("b br div img li p span table tbody td th thead tr ul".split())


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> LoadedSpec:
    return poisoned(specs.load(tmp_path_factory.mktemp("evil")))


class Tags(HTMLParser):
    """The tags of a fragment, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def harmless(text: str) -> None:
    assert not UNSEEN & set(text)
    for tag, attributes in Tags(text).found:
        assert tag in TAGS
        assert set(attributes) <= {"alt", "class", "src", "style"}
        assert (attributes.get("src") or "data:").startswith("data:")


@pytest.mark.parametrize("level", LEVELS)
def test_pictures(evil: LoadedSpec, level):
    picture = sketch(evil.graph, level)
    mermaid = drawn(picture, ".mmd").decode()
    assert not UNSEEN & set(mermaid)
    assert not re.search(r"<(?!br/>)|script>|javascript:", mermaid)
    pytest.importorskip("py_mini_racer")
    root = ElementTree.fromstring(drawn(picture, ".svg"))
    assert not UNSEEN & set("".join(root.itertext()))
    assert {one.tag.rpartition("}")[2] for one in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "tspan", "g", "path",
    }  # fmt: skip
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]


def test_what_a_notebook_shows(evil: LoadedSpec):
    for shown in (evil._repr_mimebundle_(), {"text/html": resspec.summarize(evil)._repr_html_()}):
        harmless(shown["text/html"])
        assert not UNSEEN & set(shown.get("text/plain", ""))


def test_what_differs(evil: LoadedSpec):
    for a, b in ((evil, api.load("resnet18")), (api.load("resnet18"), evil), (evil, evil)):
        found = difference(a.graph, b.graph, (a.name, b.name))
        shown = found._repr_mimebundle_()
        harmless(shown["text/html"])
        assert not UNSEEN & set(shown["text/plain"])
        assert plain_markdown(shown["text/markdown"])
        json.dumps(found.to_json())


def test_tables_in_markdown(evil: LoadedSpec):
    rows = [[row.path, row.op, row.params] for row in resspec.summarize(evil).stages]
    assert plain_markdown(table.markdown(["part", EVIL, "params"], rows))


def plain_markdown(text: str) -> bool:
    """Whether nothing in it begins a tag, a link or an image."""
    literal = re.sub(r"\\.", "", text)
    return not UNSEEN & set(text) and not re.search(r"[<\[]", literal)


def test_messages_for_code_hosts(evil: LoadedSpec):
    span = evil.graph.nodes[0].span
    one = Diagnostic("unknown-key", EVIL, span, notes=(Note(EVIL, span), Note(EVIL)), help=EVIL)
    text = json.dumps(sarif([(EVIL, [one])], "1"), ensure_ascii=False)
    assert not UNSEEN & set(text)
    assert "](" not in text
