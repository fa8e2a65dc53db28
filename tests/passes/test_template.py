"""Rule strings: what their placeholders become."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resspec.diagnostics import SpecError
from resspec.emit import Arg, leaves, lines, literal, placeholders, render
from resspec.emit.lines import broken, doc_lines
from resspec.emit.names import camel, checked, unique
from resspec.ops.conv import Conv2d
from resspec.ops.norm import BatchNorm
from resspec.ops.shape import Split
from resspec.types import TensorType


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("f({a}, {b})", "f(1, (2, 3))"),
        ("f({a}, b={b|(2, 3)}, c={c|True})", "f(1)"),
        ("f(b={b|(2, 3)}, c={c|False})", "f(c=True)"),
        ("f(b={b|(2, 3)})", "f()"),
        ("f(a={a|2}, c={c|1})", "f(a=1, c=True)"),
        ("f(n={n|0})", "f(n=size)"),
        ("f(d={d|1e-5}, a={a})", "f(a=1)"),
        ("f(b={b|3}, a={a|1})", "f(b=(2, 3))"),
        ("f({word})", 'f("same")'),
        ("{x} + {y}", "(p + q) + g(r)"),
        ("f({x})", "f(p + q)"),
        ("f([{xs}], k=1)", "f([p + q, g(r)], k=1)"),
        ("{x}.chunk({a}, dim=1)", "(p + q).chunk(1, dim=1)"),
        ("{x}[:, {a}:]", "(p + q)[:, 1:]"),
        ("f({name}, {name.pad})", 'f("conv1", "conv1.pad")'),
    ],
)
def test_render(template: str, text: str) -> None:
    values = {"a": 1, "b": (2, 3), "c": True, "d": 1e-5, "n": Arg("size"), "word": "same"}
    code = {"x": "p + q", "y": "g(r)", "xs": "p + q, g(r)"}
    code |= {"name": '"conv1"', "name.pad": '"conv1.pad"'}
    assert render(template, values, code) == text


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError, match="kernel"):
        render("f({kernel})", {}, {})


def test_placeholders_in_order() -> None:
    assert placeholders("f({b}, {a|1})", None, "{a}({x})") == ("b", "a", "x")


def test_leaves_of_a_convolution() -> None:
    conv = Conv2d(out_channels=4, kernel_size=3, stride=(2, 1), padding=(1, 1, 2, 2))
    found = leaves(conv, (TensorType((3, 8, 8)),))
    assert found["kernel_size"] == 3
    assert found["stride"] == (2, 1)
    assert found["in_channels"] == 3
    assert found["pad"] == (1, 2)
    assert found["pad_ltrb"] == (2, 2, 1, 1)
    assert found["pad_nested"] == ((1, 1), (2, 2))


def test_asymmetric_padding_has_no_pad() -> None:
    conv = Conv2d(out_channels=4, kernel_size=3, padding=(0, 1, 0, 1))
    found = leaves(conv, (TensorType((3, 8, 8)),))
    assert "pad" not in found
    assert found["pad_ltrb"] == (0, 1, 0, 1)


def test_two_equal_sizes_stay_two() -> None:
    x = TensorType((8, 2, 2))
    assert leaves(Split(sizes=(4, 4)).resolve(x), (x,))["sizes"] == (4, 4)
    assert leaves(BatchNorm(), (x,))["eps"] == 1e-5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(VALUES)
def test_literals_read_back(value: Any) -> None:
    text = literal(value)
    assert eval(text, {"__builtins__": {"float": float}}) == value
    assert text.isprintable()


@pytest.mark.parametrize("value", [[1], {1}, b"a", object()])
def test_nothing_else_has_a_literal(value: Any) -> None:
    with pytest.raises(TypeError, match="no literal"):
        literal(value)


@given(st.text())
def test_a_docstring_holds_only_its_text(text: str) -> None:
    source = "\n".join(["class A:", *doc_lines(text), "    x = 1"])
    (made,) = ast.parse(source).body
    assert isinstance(made, ast.ClassDef)
    assert len(made.body) == 1 + bool(text.split())
    assert " ".join((ast.get_docstring(made) or "").split()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bottleneck", "Bottleneck"),
        ("stem_7x7", "Stem7x7"),
        ("resnet50", "ResNet50"),
        ("wide_resnet50_2", "WideResNet50_2"),
        ("resnext101_32x8d", "ResNeXt101_32x8d"),
        ("res2net50", "Res2Net50"),
        ("densenet121", "DenseNet121"),
        ("bottle2neck_turn", "Bottle2neckTurn"),
        ("2d", "Model2d"),
    ],
)
def test_camel(name: str, text: str) -> None:
    assert camel(name) == text


def test_unique_avoids_what_is_taken() -> None:
    assert unique(["class", "stride", "width"], {"stride"}) == "width"
    assert unique(["stride"], {"stride", "stride2"}) == "stride3"
    assert unique(["conv1"], {"conv1"}) == "conv1_2"
    assert unique(["print"], ()) == "print_2"


@pytest.mark.parametrize("name", ["", "a b", "class", "a.b", "é", "1a", "x=1", "a\n"])
def test_checked_refuses(name: str) -> None:
    with pytest.raises(SpecError, match="bad-identifier"):
        checked(name)


def test_a_long_line_opens_its_longest_bracket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WIDTH", 36)
    text = "self.stages = nn.Sequential(*[Block(8, 16) for _ in range(3)], Other('a, (b', [1, 2]))"
    assert broken(text) == [
        "self.stages = nn.Sequential(",
        "    *[",
        "        Block(8, 16)",
        "        for _ in range(3)",
        "    ],",
        "    Other('a, (b', [1, 2]),",
        ")",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "x = self.outputs['a_name_that_takes_up_all_the_line']",
        "x = (a_term_that_is_long_enough + another_term_of_that_kind)",
        "x = (a_value_that_takes_up_nearly_all_of_a_line,)",
        "x = ['a_name_that_takes_up_all_the_line']",
        "x = f(a_value_that_takes_up_nearly_all_of_a_line)",
        "x = {'a_name_that_takes_up_all_the_line': 1}",
    ],
)
def test_a_broken_line_says_the_same(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "WIDTH", 36)
    text = broken(code)
    assert len(text) > 1
    assert ast.dump(ast.parse("\n".join(text))) == ast.dump(ast.parse(code))
