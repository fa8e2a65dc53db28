"""Frequent slips of people who write YAML by hand: each is told with its line, cause and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api
from resspec.diagnostics import SpecError

MODEL = """model: m
input: [3, 32, 32]
num_classes: 10
stem:
  - conv: {out_channels: 8, kernel_size: 3}
  - norm
  - act
block: own
blocks:
  own:
    params: {width: {type: int, min: 1}, stride: 1}
    layers:
      - residual:
          body:
            - conv: {out_channels: width, kernel_size: 3, stride: stride}
            - norm
            - act
          shortcut: [projection]
      - act
stages:
  - {depth: 1, width: 8}
  - {depth: 1, width: 16, stride: 2}
head: classifier
"""

# What is written, what is written by mistake, the line that is blamed, and the help.
SLIPS = [
    # a key that a colon, a space or a dash is missing at
    ("  - norm\n", "  - norm\n      as: h\n", 6, "`- norm:`, with a colon, and begin `as:` right"),
    ("  - norm\n", "  - norm\n    as: h\n", 6, "write `- norm:`, with a colon"),
    ("  - norm\n", "  - norm\n      eps: 0.1\n", 6, "if `eps:` is an argument of it"),
    ("block: own", "block:own", 8, "write `block: own`"),
    ("block: own", "block = own", 8, "write `block: own`"),
    ("head: classifier", "head => classifier", 23, "write `head: classifier`"),
    ("block: own", "block", 8, "write `block: ` and its value"),
    ("head: classifier", "head:classifier", 23, "write `head: classifier`"),
    ("width: 8}", "width:8}", 21, "write `width: 8`"),
    ("width: 8}", "width=8}", 21, "write `width: 8`"),
    ("  - norm", "  -norm", 6, "write `- norm`"),
    ("  - {depth: 1, width: 8}", "  -{depth: 1, width: 8}", 21, "write `- {depth: 1, width: 8}`"),
    ("  - {depth: 1, width: 8}", "  * {depth: 1, width: 8}", 21, "begin each item with `- `"),
    ("  - {depth: 1, width: 8}", "  • {depth: 1, width: 8}", 21, "begin each item with `- `"),
    ("  - {depth: 1, width: 8}", "  1. {depth: 1, width: 8}", 21, "begin each item with `- `"),
    ("block: own", ": own", 8, "write `key: value`"),
    # two colons on one line
    ("  - norm", "  - norm: eps: 0.1", 6, "braces: `norm: {eps: 0.1}`"),
    ("{out_channels: 8, kernel_size: 3}", "out_channels: 8, kernel_size: 3", 5, "`conv: {out_cha"),
    ("{out_channels: 8, kernel_size: 3}", "out_channels: 8, kernel_size: 3}", 5, "`conv: {out_ch"),
    ("num_classes: 10", "doc: A net: good", 3, '`doc: "A net: good"`'),
    ("  - norm", "  - when: num_classes == 1:\n    then: [norm]", 6, "remove the colon"),
    # brackets and quotes
    ("width: 8}", "width: 8", 21, "close it with `}`"),
    ("width: 8}", "width: 8]", 21, "write `}` here"),
    ("[3, 32, 32]", "[3, 32, 32", 2, "close it with `]`"),
    ("width: 8}", "width: 8}}", 21, "remove it"),
    ("depth: 1, width: 8}", "depth: 1 width: 8}", 21, "write `1, width: …`"),
    ("depth: 1, width: 8}", "depth: 1; width: 8}", 21, "write `1, width: …`"),
    ("kernel_size: 3}\n", "kernel_size: 3} as: h\n", 5, "begin a new line with `as: h`"),
    ("kernel_size: 3}\n", "kernel_size: 3}, as: h\n", 5, "begin a new line with `as: h`"),
    ("block: own", 'block: "own', 8, "close it, or remove it"),
    ("block: own", 'block: own"', 8, "write `own`"),
    ("block: own", "block: own,", 8, "write `own`"),
    ("block: own", "block: `own`", 8, "leave it out, or quote it"),
    ("block: own", "block: | own", 8, "begin a new line, or quote the value"),
    # indentation
    (
        "stages:\n  - {depth: 1, width: 8}\n",
        "stages:\n  - depth: 1\n  width: 8\n",
        22,
        "that it belo",
    ),
    (
        "  - {depth: 1, width: 16",
        " - {depth: 1, width: 16",
        22,
        "items of one list the same indent",
    ),
    ("head: classifier", "  head: classifier", 23, "give it the indentation of the keys that it"),
    (
        "  - conv: {",
        "  - conv:\n    out_channels: 8\n    kernel_size: 3\n  - conv: {",
        6,
        "below `conv:`",
    ),
    ("          shortcut: [", "        shortcut: [", 18, "indent it below `residual:`"),
    ("  - norm\n", "  - norm\n    norm\n", 6, "start each layer with its own `- `"),
    ("  - norm\n", "  - when: num_classes == 1\n    - norm\n", 7, "put it under its key"),
    ("  - norm\n", "\t- norm\n", 6, "use spaces"),
    # words of other languages
    (
        "block: own",
        "<<<<<<< HEAD\nblock: own\n=======\nblock: basic\n>>>>>>> x",
        8,
        "keep one side",
    ),
    ("model: m", "```yaml\nmodel: m", 1, "remove the line"),
    ("block: own", "block: own\n// that", 9, "begin a comment with `#`"),
    ("  - norm", "  - batch_norm(8)", 6, "write `batch_norm: {argument: value}`"),
    ("  - norm", "  - if: num_classes == 1\n    then: [norm]", 6, "write `when: condition`"),
    ("  - norm", "  - for i in range(3): [norm]", 6, "write `repeat: 2`"),
    ("  - norm", "  - repeat: {count: 3, layers: [norm]}", 6, "beside it, `layers: […]`"),
    ("  - norm", "  - when: !yes\n    then: [norm]", 6, "a condition says `not yes`"),
    ("num_classes: 10", "num_classes: {{ classes }}", 3, "set it by `--set`"),
    ("num_classes: 10", "num_classes: ${CLASSES}", 3, "set it by `--set`"),
    # values and names
    ("kernel_size: 3}", "kernel_size: 3, as: h}", 5, "write it beside the call"),
    ("kernel_size: 3}", "kernel_size: 3, bias: yes}", 5, "write `true`"),
    ("kernel_size: 3}", "kernel_size: 3, bias: None}", 5, None),
    ("  - norm", "  - norm: {eps: 10^-5}", 6, "write `**` for powers"),
    ("  - norm", "  - norm: {eps: 0,1}", 6, "a number takes a point"),
    ("[3, 32, 32]", "3x32x32", 2, "write a list of numbers"),
    ("num_classes: 10", "num_classes: 1,000", 3, "numbers have no commas"),
    ("width: 8}", "width: 50%}", 21, "write a share as a number"),
    ("width: 8}", "width: 8, depth: 2}", 21, "keep one of the two"),
    ("head: classifier", "head: global_avg_pool, flatten", 23, "`[global_avg_pool, flatten]`"),
    ("head: classifier", "head: {global_avg_pool: , flatten: }", 23, "each with its own `- `"),
    ("  - norm\n", "  - ''\n", 6, None),
    ("  - norm\n", "  - ' '\n", 6, None),
    ("  - norm\n", "  - ' ': {}\n", 6, None),
    ("  - norm", "  - as h", 6, "write `as: h`"),
    ("params: {width: {type: int, min: 1}, stride: 1}", "params: [width]", 11, "no dash before it"),
    ("model: m", "model: my-net", 1, "write `my_net`"),
    ("model: m", "Model: m", 1, "did you mean `model` by `Model`?"),
]


@pytest.mark.parametrize(("right", "slip", "line", "help"), SLIPS)
def test_a_slip_is_told_with_its_line_and_its_fix(
    right: str, slip: str, line: int, help: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    assert right in MODEL
    file.write_text(MODEL.replace(right, slip, 1), "utf-8")
    with pytest.raises(SpecError) as raised:
        api.load(str(file))
    first = raised.value.diagnostics[0]
    assert first.span is not None
    assert first.span.line == line
    assert help is None or help in (first.help or "")


def test_the_model_is_right_without_them(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MODEL, "utf-8")
    assert not api.load(str(tmp_path / "m.yaml")).warnings
