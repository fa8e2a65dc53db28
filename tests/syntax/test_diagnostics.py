"""Diagnostics: rendering, escaping, JSON, suggestions, and the closed set of codes."""

import pickle
from pathlib import Path

import pytest

from resspec.diagnostics import (
    CODES,
    Diagnostic,
    Note,
    Span,
    SpecError,
    error,
    escape,
    render,
    suggest,
)
from resspec.syntax import parse
from tests import specs
from tests.refused import codes

SPAN = Span("m.yaml", 2, 7, 2, 15)
SOURCE = "layers:\n    - residual:\n"


def test_render() -> None:
    diag = Diagnostic(
        "shape-mismatch",
        "residual: body gives 256×56×56, shortcut gives 64×56×56",
        SPAN,
        (Note("in block `bottleneck`, used by stage 1", Span("m.yaml", 31, 5, 31, 9)),),
        "use `shortcut: projection`",
    )
    assert render(diag, {"m.yaml": SOURCE}) == (
        "error[shape-mismatch]: residual: body gives 256×56×56, shortcut gives 64×56×56\n"
        "  --> m.yaml:2:7\n"
        "2 |     - residual:\n"
        "  |       ^^^^^^^^\n"
        "note: in block `bottleneck`, used by stage 1 at m.yaml:31:5\n"
        "help: use `shortcut: projection`"
    )


def test_render_reads_the_file(tmp_path: Path) -> None:
    file = specs.write(tmp_path, SOURCE, "m.yaml")
    shown = render(Diagnostic("bad-value", "no", Span(str(file), 2, 7, 2, 15)))
    assert shown.endswith("2 |     - residual:\n  |       ^^^^^^^^")


@pytest.mark.parametrize(
    "span", [Span("gone.yaml", 1, 1, 1, 2), Span("a\0b", 1, 1, 1, 2), Span("/", 1, 1, 1, 2)]
)
def test_render_without_source(span: Span) -> None:
    assert "|" not in render(Diagnostic("bad-value", "no", span))


@pytest.mark.parametrize(
    ("line", "span", "carets"),
    [
        ("\ta: 1", (5, 6), 7 * " " + "^"),
        ("日本: 1", (5, 6), 6 * " " + "^"),
        ("日本: 1", (1, 3), "^^^^"),
        ("e\u0301: 1", (5, 6), 3 * " " + "^"),
        ("a: \x1b[31m", (4, 5), 3 * " " + "^^^^"),
        ("short", (90, 99), 5 * " " + "^"),
        ("zero", (2, 2), " ^"),
    ],
)
def test_carets_align(line: str, span: tuple[int, int], carets: str) -> None:
    diag = Diagnostic("bad-value", "no", Span("f", 1, span[0], 1, span[1]))
    assert render(diag, {"f": line}).splitlines()[-1] == f"  | {carets}"


def test_long_lines_are_cut_around_the_span() -> None:
    line = "a" * 500 + "HERE" + "b" * 500
    diag = Diagnostic("bad-value", "no", Span("f", 1, 501, 1, 505))
    source, carets = render(diag, {"f": line}).splitlines()[-2:]
    assert len(source) < 110
    assert source[carets.index("^") : carets.rindex("^") + 1] == "HERE"
    assert source.count("…") == 2


def test_a_span_of_many_lines_marks_the_first() -> None:
    diag = Diagnostic("bad-value", "no", Span("f", 1, 4, 3, 2))
    assert render(diag, {"f": "a: [1,\n2,\n]"}).endswith("1 | a: [1,\n  |    ^^^")


def test_control_characters_never_reach_the_terminal() -> None:
    evil = "\x1b]0;x\x07\u202e\n\ud800"
    span = Span(evil, 1, 1, 1, 3)
    diag = Diagnostic("bad-value", evil, span, (Note(evil, span),), evil)
    shown = render(diag, {evil: evil})
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert shown.encode("utf-8")
    assert escape("a\x1bé") == "a\\x1bé"


def test_color_only_when_asked() -> None:
    diag = Diagnostic("unused-param", "no", SPAN, severity="warning")
    assert "\x1b" not in render(diag, {"m.yaml": SOURCE})
    assert "\x1b[1;33mwarning[unused-param]\x1b[0m" in render(diag, {"m.yaml": SOURCE}, color=True)


def test_json() -> None:
    diag = Diagnostic("bad-value", "no", SPAN, (Note("n"), Note("m", SPAN)), "h")
    assert diag.to_json() == {
        "code": "bad-value",
        "severity": "error",
        "message": "no",
        "file": "m.yaml",
        "line": 2,
        "column": 7,
        "end": {"line": 2, "column": 15},
        "notes": [
            {"message": "n", "file": None, "line": None, "column": None},
            {"message": "m", "file": "m.yaml", "line": 2, "column": 7},
        ],
        "help": "h",
    }
    assert Diagnostic("bad-value", "no").to_json()["end"] is None


def test_spec_error() -> None:
    caught = error("bad-value", "is 3", SPAN, notes=[Note("n")], help="h")
    assert caught.diagnostics == (Diagnostic("bad-value", "is 3", SPAN, (Note("n"),), "h"),)
    assert str(caught) == "error[bad-value]: is 3\n  --> m.yaml:2:7\nnote: n\nhelp: h"
    assert pickle.loads(pickle.dumps(caught)).diagnostics == caught.diagnostics
    with pytest.raises(ValueError, match="needs a diagnostic"):
        SpecError()


def test_codes_are_closed() -> None:
    with pytest.raises(ValueError, match="unknown diagnostic code 'nope'"):
        Diagnostic("nope", "no")


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("kernal_size", ["kernel_size", "stride"], "kernel_size"),
        ("Bottle-Neck", ["bottleneck", "bottle_neck"], "bottle_neck"),
        ("zzz", ["kernel_size"], None),
        ("x" * 100_000, ["x"], None),
        ("a", [], None),
        ("resnet35", ["resnet50", "resnet34", "resnet152"], "resnet34"),  # as near; begins alike
    ],
)
def test_suggest(word: str, candidates: list[str], expected: str | None) -> None:
    assert suggest(word, candidates) == expected
    assert suggest(word, reversed(candidates)) == expected


def test_suggest_several() -> None:
    assert suggest("resnet51", ["resnet50", "resnet152", "resnet101"], 2) is not None
    assert suggest("ab", ["abd", "abc"], 2) in ("abc, abd", "abd, abc")


SYNTAX = [
    *("yaml-syntax", "yaml-feature", "encoding", "too-deep", "too-many-aliases", "duplicate-key"),
    *("ambiguous-scalar", "quote-expression", "empty-spec"),
]


@pytest.mark.parametrize("name", CODES)
def test_each_code_is_explained(name: str) -> None:
    code = CODES[name]
    assert code.title[0].islower()
    assert not code.title.endswith(".")
    assert code.why.endswith(".")
    assert code.bad != code.good
    assert code.bad.endswith("\n")
    assert code.good.endswith("\n")
    if not code.good.startswith(("resspec ", "pip ", "#")):
        parse(code.good, "good.yaml")


@pytest.mark.parametrize("name", SYNTAX)
def test_bad_examples_give_their_code(name: str) -> None:
    assert {*codes(parse, CODES[name].bad, "bad.yaml")} == {name}
