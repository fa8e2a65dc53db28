"""docs/notebook.ipynb runs from top to bottom, and shows what it holds; what shows itself is text."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from resspec import api

DOCS = Path(__file__).parents[2] / "docs"


def runner():
    spec = importlib.util.spec_from_file_location("notebook", DOCS / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_pictures(html: str) -> str:
    return re.sub(r"<img [^>]*>", "", html)


def test_the_notebook_shows_what_it_holds() -> None:
    pytest.importorskip("py_mini_racer")
    notebook = json.loads((DOCS / "notebook.ipynb").read_text("utf-8"))
    held = [cell["outputs"][0]["data"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for shown, before in zip(runner().run(notebook), held, strict=True):
        assert {kind: without_pictures("".join(text)) for kind, text in before.items()} == {
            kind: without_pictures(text) for kind, text in shown.items()
        }


def test_a_spec_and_a_summary_show_themselves(monkeypatch) -> None:
    loaded = api.load("resnet18")
    bundle = loaded._repr_mimebundle_()
    assert bundle["text/plain"].startswith("resnet18  3×224×224 → 1000")
    assert bundle["text/html"] == loaded._repr_html_()
    assert "11,689,512" in api.summarize(loaded)._repr_html_()


def test_a_spec_shows_its_costs_where_no_picture_can_be_laid_out(monkeypatch) -> None:
    from resspec.diagnostics import error
    from resspec.draw import notebook

    def refuse(*given):
        raise error("no-layout", "there is no engine")

    monkeypatch.setattr(notebook, "drawn", refuse)
    assert api.load("resnet18")._repr_html_() == api.summarize("resnet18")._repr_html_()


def test_names_in_a_notebook_are_text(monkeypatch) -> None:
    graph = api.load("resnet18").graph
    root = graph.root
    evil = "<script>alert(1)</script>\u202e"
    stem = replace(root.items[0], path=evil)
    bad = replace(graph, name=evil, root=replace(root, items=(stem, *root.items[1:])))
    html = api.summarize(bad)._repr_html_()
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html
