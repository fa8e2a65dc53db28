"""YAML → located data: values, places, every trap, and no input that hangs or crashes."""

import contextlib
import copy
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resspec.diagnostics import Span, SpecError
from resspec.files import MAX_BYTES
from resspec.syntax import Map, Seq, dump, parse, read
from tests.refused import codes, problems, refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-12", -12),
        ("+3", 3),
        ("1e-5", 1e-5),
        ("1e5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("-2.5E+3", -2500.0),
        ('"1"', "1"),
        ("'no'", "no"),
        ("nO", "nO"),
        ("n", "n"),
        ("y", "y"),
        ("1 + 2", "1 + 2"),
        ("width * 4 // 2", "width * 4 // 2"),
        ("2018-01-02", "2018-01-02"),
        ("-", [None]),
        ("max(a, b)", "max(a, b)"),
        ("x[i]", "x[i]"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("[]", []),
        ("{}", {}),
        ("{a: 1, b: [x, {c: }]}", {"a": 1, "b": ["x", {"c": None}]}),
        ("{a: 'max(a, b)'}", {"a": "max(a, b)"}),
        ("a: &w [1, 2]\nb: *w", {"a": [1, 2], "b": [1, 2]}),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ],
)
def test_value(text: str, expected: object) -> None:
    data = parse(text, "f.yaml")
    assert data == expected
    assert type(data) is type(expected) or isinstance(data, Map | Seq)
    assert parse(text.encode(), "f.yaml") == data


def test_spans() -> None:
    data = parse("# é\nstages:\n  - {日本: [1, two], width: 64}\n  - x\n\nhead: |\n  a\n\n", "f")
    assert isinstance(data, Map)
    assert data.key_at("stages") == Span("f", 2, 1, 2, 7)
    assert data.at("stages") == Span("f", 3, 3, 4, 6)
    stages = data["stages"]
    assert stages.at(0) == stages[0].span == Span("f", 3, 5, 3, 30)
    assert stages[0].key_at("日本") == Span("f", 3, 6, 3, 8)
    assert stages[0]["日本"].at(1) == Span("f", 3, 14, 3, 17)
    assert stages[0].at("width") == Span("f", 3, 27, 3, 29)
    assert data.at("absent") == data.key_at("absent") == data.span
    assert stages.at(9) == stages.span
    assert data.at("head").line == 6
    assert data.span.end_line <= 8


def test_an_alias_is_placed_where_it_is_used() -> None:
    data = parse("a: &w {x: 1}\nb: *w\n", "f")
    assert isinstance(data, Map)
    assert data.at("b") == Span("f", 2, 4, 2, 6)
    assert data["b"].at("x").line == 1


def test_data_copies() -> None:
    data = parse("a: [1, {b: 2}]", "f")
    assert isinstance(data, Map)
    twin = copy.deepcopy(data)
    assert twin == data
    assert twin.at("a") == data.at("a")
    assert Map({"a": 1}).at("a") == Map().span


@pytest.mark.parametrize(
    ("text", "code", "place", "advice"),
    [
        ("a: 1\na: 2", "duplicate-key", (2, 1), None),
        ("b: {a: 1, 'a': 2}", "duplicate-key", (1, 11), None),
        ("a: no", "ambiguous-scalar", (1, 4), 'write `false`, or quote it: `"no"`'),
        ("a: On", "ambiguous-scalar", (1, 4), 'write `true`, or quote it: `"On"`'),
        ("off: 1", "ambiguous-scalar", (1, 1), None),
        ("a: 010", "ambiguous-scalar", (1, 4), None),
        ("a: 0x10", "ambiguous-scalar", (1, 4), None),
        ("a: 0o7", "ambiguous-scalar", (1, 4), None),
        ("a: 0b1", "ambiguous-scalar", (1, 4), None),
        ("a: 1_000", "ambiguous-scalar", (1, 4), None),
        ("a: 1_000.5", "ambiguous-scalar", (1, 4), None),
        ("a: 12:30", "ambiguous-scalar", (1, 4), None),
        ("a: .inf", "bad-value", (1, 4), None),
        ("a: -.INF", "bad-value", (1, 4), None),
        ("a: .NaN", "bad-value", (1, 4), None),
        ("a: 1e999", "bad-value", (1, 4), None),
        ("a: " + "9" * 5000, "bad-value", (1, 4), None),
        ("1: a", "wrong-type", (1, 1), 'quote the key: `"1"`'),
        ("true: a", "wrong-type", (1, 1), 'quote the key: `"true"`'),
        ("? [a]\n: b", "wrong-type", (1, 3), None),
        ("{? }", "wrong-type", (1, 4), None),
        ("{a: b(c[0], d[1]), e: f}", "quote-expression", (1, 5), None),
        ("{a: x[0] + y.z[1], e: f}", "quote-expression", (1, 5), None),
        ("a: !!python/object/apply:os.system [x]", "yaml-feature", (1, 4), None),
        ("a: !x 1", "yaml-feature", (1, 4), None),
        ("a: ! 1", "yaml-feature", (1, 4), None),
        ("a: &b {c: 1}\n<<: *b", "yaml-feature", (2, 1), None),
        ("a: 1\n---\nb: 2", "yaml-feature", (2, 1), None),
        ("a: *b", "yaml-syntax", (1, 4), None),
        ("a: &a {b: *a}", "too-many-aliases", (1, 11), None),
        ("{a: max(b, c)}", "quote-expression", (1, 5), 'quote the expression: `"max(b, c)"`'),
        (
            "{a: min(max(b, 1), c) + 1, d: 2}",
            "quote-expression",
            (1, 5),
            'quote the expression: `"min(max(b, 1), c) + 1"`',
        ),
        ("[max(b, c), d]", "quote-expression", (1, 2), 'quote the expression: `"max(b, c)"`'),
        ("{from: x[i]}", "quote-expression", (1, 8), 'quote the expression: `"x[i]"`'),
        ("{from: x[i + 1] * 2, b: 1}", "quote-expression", (1, 8), None),
        ("from: [x[0], y]", "quote-expression", (1, 8), 'quote the expression: `"x[0]"`'),
        (
            "{a: max(x[0], b)}",
            "quote-expression",
            (1, 5),
            'quote the expression: `"max(x[0], b)"`',
        ),
        (
            "when: 'a' == kind",
            "quote-expression",
            (1, 7),
            "quote the expression: `\"'a' == kind\"`",
        ),
        ("a: [1, 2][i]", "quote-expression", (1, 4), None),
        ("{width:64}", "yaml-syntax", (1, 2), "write `width: 64`"),
        (
            "width:64\nb: 1",
            "yaml-syntax",
            (1, 1),
            "write a space after the colon: `width: 64`",
        ),
        ("a:\n\tb: 1", "yaml-syntax", (2, 1), "use spaces"),
        ("a: b: c", "yaml-syntax", (1, 5), None),
        ("a: {b: c\n", "yaml-syntax", (1, 9), None),
        ("a: 'b", "yaml-syntax", (1, 6), None),
        ("a: @b", "yaml-syntax", (1, 4), "leave it out, or quote it"),
        (" a: 1\nb: 2", "yaml-syntax", (2, 1), None),
        ("", "empty-spec", (1, 1), None),
        ("# nothing\n", "empty-spec", (1, 1), None),
        ("---\n", "empty-spec", (1, 1), None),
        (b"a: \xff", "encoding", (1, 4), None),
        ("é: ".encode() + b"\xc3", "encoding", (1, 4), None),
        (b"a\0b", "encoding", (1, 1), None),
        (b"\xff\xfea\0", "encoding", (1, 1), None),
        (b"\xef\xbb\xbfa: 1", "encoding", (1, 1), None),
        ("a: 1\nb: \x07\x08", "encoding", (2, 4), None),
        ("a: \x85", "encoding", (1, 4), None),
        ("a: \ud800", "encoding", (1, 4), None),
        ("[" * 65 + "]" * 65, "too-deep", (1, 65), None),
        ("a" * (MAX_BYTES + 1), "file-too-large", (1, 1), None),
        (b"a" * (MAX_BYTES + 1), "file-too-large", (1, 1), None),
        ("- 1\n" * 60_000, "file-too-large", (50_000, 3), None),
    ],
)
def test_problem(text: str | bytes, code: str, place: tuple[int, int], advice: str | None) -> None:
    found = refused(parse, text, "f.yaml")
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == (code, *place)
    if advice is not None:
        assert found.help == advice


def test_all_problems_are_reported_in_order() -> None:
    text = "a: no\nb: {c: max(d, e), f: 010}\na: 2\n1: x\ng: !t h\ni: [j\n"
    assert codes(parse, text, "f.yaml") == [
        "ambiguous-scalar",
        "quote-expression",
        "ambiguous-scalar",
        "yaml-feature",
        "yaml-syntax",
    ]
    assert len(codes(parse, text.replace("i: [j\n", ""), "f.yaml")) == 6


def test_duplicate_key_names_the_first() -> None:
    found = refused(parse, "x: 1\nw: 2\nx: 3\n", "f.yaml")
    assert found.notes[0].span == Span("f.yaml", 1, 1, 1, 2)


def laughs(levels: int) -> str:
    rows = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(["a0: &a0 [lol]", *rows])


def test_aliases_are_bounded() -> None:
    assert isinstance(parse(laughs(5), "f"), Map)
    assert problems(parse, laughs(12), "f.yaml")[0].code == "too-many-aliases"
    long = f"a: &a {'x' * 500_000}\nb: [{', '.join(['*a'] * 1000)}]"
    assert problems(parse, long, "f.yaml")[0].code == "too-many-aliases"
    deep = "\n".join(["a0: &a0 []"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100)])
    assert problems(parse, deep, "f.yaml")[0].code == "too-deep"


def test_nesting_without_end_is_too_deep_wherever_the_reader_stops() -> None:
    found = refused(parse, "[" * 100_000, "f.yaml")
    assert found.code == "too-deep"
    assert found.span is not None
    assert found.span.column in (65, 1001)  # counted here, or by PyYAML from 6.0.4 on


@pytest.mark.parametrize(
    "unit",
    [
        *("[", "{", "- ", "? ", "{a: ", "a: ", "&a ", "!", "*a ", "[a,", "a:\n", "%", "'", "|\n"),
        *("{?", "max(a, ", "x[", "a: {b: f(\n", '"\n', "#\n", "[]", "- - ", "-\n", "\t", "a: b(\n"),
    ],
)
def test_hostile_repetition_is_fast(unit: str) -> None:
    begin = time.thread_time()  # of this thread: others may be at what earlier tests left
    with contextlib.suppress(SpecError):
        parse(unit * (500_000 // len(unit)), "f")
    assert time.thread_time() - begin < 5


def test_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("é: 1\r\n".encode())
    text, data = read(file)
    assert (text, data) == ("é: 1\r\n", {"é": 1})
    assert isinstance(data, Map)
    assert data.span.file == str(file)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gone.yaml", "not-found"),
        (".", "io-error"),
        ("a\0b", "io-error"),
        ("big", "file-too-large"),
    ],
)
def test_read_trouble(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "big").write_bytes(b"#" * (MAX_BYTES + 1))
    assert codes(read, tmp_path / name) == [code]


def test_dump_is_canonical() -> None:
    data = {"model": "r", "input": [3, 224], "eps": 1e-5, "a": {}, "l": [{"conv": {"k": "w * 2"}}]}
    assert dump(data | {"t": "no", "n": None, "doc": 'a: "b"\n', "e": "max(a, b)"}) == (
        "model: r\ninput:\n  - 3\n  - 224\neps: 1.0e-05\na: {}\nl:\n  - conv:\n      k: w * 2\n"
        't: "no"\nn: null\ndoc: "a: \\"b\\"\\n"\ne: max(a, b)\n'
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1: 2}, object(), b"x"])
def test_dump_refuses(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        dump({"a": value} if not isinstance(value, dict) else value)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["no", "010", "1e5", "null", "true", "- a", "a: b", "#", "x #y", "", " ", "<<", "=", "~", "..."]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(_DATA)
def test_dump_round_trips(data: Any) -> None:
    again = parse(dump(data), "f")
    assert again == data
    assert dump(again) == dump(data)


def test_dump_round_trips_long_keys() -> None:
    data = {"k" * 2000: [{"é" * 2000: {"a": 1}}], "k" * 1999: 2}
    assert parse(dump(data), "f") == data


PIECES = (
    "a: ;b;- ;\n;  ;[;];{;};, ;';\";&x ;*x;!t ;? ;: ;#c;max(;);no;010;1e5;x[;---\n;<<: ;\t;é;\\"
)
_PIECES = st.sampled_from(PIECES.split(";"))


@settings(max_examples=500, deadline=2000)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200)
    | st.lists(_PIECES | st.just("|"), max_size=30).map("".join)
)
def test_any_input_gives_data_or_a_spec_error(text: str | bytes) -> None:
    try:
        parse(text, "f")
    except SpecError as caught:
        for diag in caught.diagnostics:
            assert diag.span is not None
            assert 1 <= diag.span.line <= diag.span.end_line
            assert diag.span.column >= 1
            assert (diag.span.line, diag.span.column) <= (
                diag.span.end_line,
                diag.span.end_column,
            )


@pytest.mark.parametrize("number", [1e-5, 1e-05 * 3, 5e-324, 1e16, -1e300, 1e22, 0.1, 3.0, 1e-4])
def test_numbers_are_written_so_that_every_reader_takes_them_for_numbers(number: float) -> None:
    import yaml

    text = dump({"eps": number, "many": [number]})
    assert yaml.safe_load(text) == {"eps": number, "many": [number]}  # YAML 1.1
    assert parse(text, "t") == {"eps": number, "many": [number]}


HEAD = "model: m\ninput: [3, 8, 8]\n"
STRANGE = [
    ("block：basic\n", (3, 6), "U+FF1A FULLWIDTH COLON", "write `:`"),
    ("stages: [{depth:\xa01, width: 8}]\n", (3, 17), "U+00A0 NO-BREAK SPACE", "write a space"),
    ("stages:\u2003[]\n", (3, 8), "U+2003 EM SPACE", "write a space"),
    ("stages:\n\u3000- relu\n", (4, 1), "U+3000 IDEOGRAPHIC SPACE", "write a space"),
    ("st\u200bages: []\n", (3, 3), "U+200B ZERO WIDTH SPACE", "remove it"),
    ("st\xadem: relu\n", (3, 3), "U+00AD SOFT HYPHEN", "remove it"),
    ("stem: re\u200dlu\n", (3, 9), "U+200D ZERO WIDTH JOINER", "remove it"),
    ("let: {k: 3 – 1}\n", (3, 12), "U+2013 EN DASH", "write `-`"),
    ("let: {k: 3 − 1}\n", (3, 12), "U+2212 MINUS SIGN", "write `-`"),
    ("let: {k: “max(1, 2)”}\n", (3, 10), "U+201C LEFT DOUBLE QUOTATION MARK", 'write `"`'),
    ("stem: [relu， relu]\n", (3, 12), "U+FF0C FULLWIDTH COMMA", "write `,`"),
    ("stem： ［relu]\n", (3, 5), "U+FF1A FULLWIDTH COLON", "write `:`"),
    ("st\u0435m: relu\n", (3, 3), "U+0435 CYRILLIC SMALL LETTER IE", "write the word anew"),
    ("let: {k: ３}\n", (3, 10), "U+FF13 FULLWIDTH DIGIT THREE", "write"),
    ("# \u202e\nstem: relu\n", (3, 3), "U+202E RIGHT-TO-LEFT OVERRIDE", "remove it"),
    ("stem: \u2067relu\n", (3, 7), "U+2067 RIGHT-TO-LEFT ISOLATE", "remove it"),
    ("stem: \ufeffrelu\n", (3, 7), "U+FEFF ZERO WIDTH NO-BREAK SPACE", "remove it"),
]


@pytest.mark.parametrize(("text", "at", "name", "help"), STRANGE)
def test_a_character_that_is_not_what_it_seems_is_named_where_it_stands(
    text: str, at: tuple[int, int], name: str, help: str
) -> None:
    found = problems(parse, HEAD + text + "head: classifier\n", "t.yaml")
    first = found[0]
    assert first.span is not None
    assert (first.span.line, first.span.column) == at
    assert name in first.message
    assert (first.help or "").startswith(help)
    assert {one.code for one in found} == {"encoding"}
    odd = {char for char in text if not char.isascii()}
    assert not any(odd & set(one.help or "") for one in found)


@pytest.mark.parametrize(
    "text",
    [
        "doc: a – b “c” × 3\xa0m\nstem: relu\n",
        "doc: >-\n  a – b\n  c：d 👨\u200d👩\nstem: relu\n",
        "stem: relu  # “that” – and：this\n",
        'stem: "a：b"\n',
        "params: {k: {default: 3, doc: α – β}}\n",
    ],
)
def test_prose_may_hold_any_character_that_shows(text: str) -> None:
    assert "model" in parse(HEAD + text, "t.yaml")


def test_a_complaint_about_yaml_blames_no_character_of_a_doc() -> None:
    text = HEAD + "doc: a – b\n  c – d: e\nstem: [relu\n"
    assert {*codes(parse, text, "t.yaml")} == {"yaml-syntax"}
