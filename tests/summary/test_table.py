"""Tables as text: alignment, separators, escapes."""

from __future__ import annotations

from resspec import table

HEAD = ["name", "params", "shape"]
ROWS = [["tiny", 1234567, "8×8"], ["a much longer name", 5, "64×56×56"]]


def test_text() -> None:
    assert table.text(HEAD, ROWS) == (
        "name                   params  shape\n"
        "──────────────────  ─────────  ────────\n"
        "tiny                1,234,567  8×8\n"
        "a much longer name          5  64×56×56"
    )


def test_markdown() -> None:
    assert table.markdown(HEAD, [["a|b", 1000, "8"]]) == (
        "| name | params | shape |\n| ---- | -----: | ----- |\n| a\\|b |  1,000 | 8     |"
    )


def test_csv() -> None:
    assert table.csv_text(HEAD, [["a,b", 1000, "8"]]) == 'name,params,shape\n"a,b",1000,8'


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert "\x1b" not in table.text(["name"], [["\x1b[31mred"]])


def test_no_rows() -> None:
    assert table.text(["name", "n"], []) == "name  n\n────  ─"


def test_sizes_and_shapes() -> None:
    assert table.size(512) == "512 B"
    assert table.size(102_440_608) == "97.7 MiB"
    assert table.size(3 << 40) == "3072.0 GiB"
    assert table.shape((64, 56, 56)) == "64×56×56"
    assert table.shape(((8, 4, 4), (5,))) == "8×4×4, 5"
    assert table.shape({"out": ((5,),), "maps": ((8, 4, 4), (8, 2, 2))}) == (
        "out 5; maps 8×4×4, 8×2×2"
    )
