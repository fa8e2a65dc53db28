"""`resspec summarize` for a person at a terminal; in a pipe it is what it always was."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from resspec import api
from resspec.draw import terminal
from resspec.ir import Node
from tests.commands import command

RESNET34 = """\
resnet34  3×224×224 → 1000

part      blocks      output      params                    MACs
stem      stem_7x7    64×56×56     9.5 K ▏               118.0 M █▎
stages.0  basic × 3   64×56×56   222.0 K ▎               693.6 M ███████▎
stages.1  basic × 4   128×28×28    1.1 M █▎              873.5 M █████████▏
stages.2  basic × 6   256×14×14    6.8 M ███████▎          1.3 G ██████████████
stages.3  basic × 3   512×7×7     13.1 M ██████████████  642.3 M ██████▊
head      classifier  1000       513.0 K ▌               512.0 K ▏
total                             21.8 M                   3.7 G

7.3 G FLOPs · weights 83.2 MiB · peak activations 6.1 MiB · 125 layers
input sizes any"""

PIPE = """\
name      input          params  buffers           MACs          FLOPs  activations  weights   peak activations  output
────────  ─────────  ──────────  ───────  ─────────────  ─────────────  ───────────  ────────  ────────────────  ──────
resnet18  3×224×224  11,689,512    9,600  1,814,073,344  3,628,146,688    2,484,712  44.6 MiB  6.1 MiB           1000

input sizes: any
"""


def seen(name: str, level: str = "stage", **look) -> str:
    graph = api.load(name).graph
    return terminal.one(graph, api.summarize(graph), level, terminal.Look(**look))  # type: ignore[arg-type]


def test_one_network_by_its_stages() -> None:
    assert seen("resnet34") == RESNET34


@pytest.mark.parametrize("name", ["hrnet_w18", "resnet50_fpn", "densenet121", "cifar_resnet1202"])
@pytest.mark.parametrize("level", ["stage", "block", "layer"])
@pytest.mark.parametrize("width", [80, 60])
def test_no_line_is_wider_than_the_terminal(name: str, level: str, width: int) -> None:
    assert max(map(len, seen(name, level, width=width).splitlines())) <= width


def test_a_layer_beside_the_stages_is_told_by_its_op() -> None:
    graph = api.load("nf_regnet_b5").graph
    (alone,) = [item for item in graph.root.items if isinstance(item, Node)]
    assert f"\n{alone.path:<8}  {alone.op.NAME}" in seen("nf_regnet_b5")


def test_several_networks_in_a_row_each() -> None:
    summaries = [api.summarize(name) for name in ("resnet18", "resnet50_fpn")]
    lines = terminal.several(summaries, terminal.Look()).splitlines()
    assert re.split(r"  +", lines[0]) == "name weights activations params MACs".split()
    assert lines[2].count("█") == 2 * 13
    assert max(map(len, lines)) <= 80


def test_what_is_little_is_seen_and_what_is_nothing_is_not() -> None:
    look = terminal.Look()
    assert (look.bar(1e-9, 10), look.bar(0, 10), look.bar(1, 10)) == ("▏", "", "█" * 10)
    plain = terminal.Look(blocks=False)
    assert (plain.bar(1e-9, 10), plain.bar(0, 10), plain.bar(0.5, 10)) == ("#", "", "#####")


def test_in_a_pipe_it_is_unchanged(capsys) -> None:
    assert command("summarize", "resnet18") == 0
    assert capsys.readouterr().out == PIPE


def _all_of(descriptor: int) -> bytes:
    read = b""
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # how Linux says that the other end is closed
            return read
        if not part:
            return read
        read += part


@pytest.mark.parametrize("quiet", [False, True], ids=["colour", "NO_COLOR"])
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_at_a_terminal_there_is_colour_unless_it_is_not_wanted(quiet: bool) -> None:
    import pty

    terminal_end, inside = pty.openpty()
    look = {"COLUMNS": "80", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    look["NO_COLOR"] = "1" if quiet else ""
    command = [sys.executable, "-m", "resspec", "summarize", "resnet34"]
    with subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, env=os.environ | look
    ):
        os.close(inside)
        read = _all_of(terminal_end)
    os.close(terminal_end)
    text = read.decode().replace("\r\n", "\n").rstrip("\n")
    assert ("\x1b[" in text) is not quiet
    plain = re.sub(r"\x1b\[\d*m", "", text)
    assert "\n".join(line.rstrip() for line in plain.splitlines()) == RESNET34
