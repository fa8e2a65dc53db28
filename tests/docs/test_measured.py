"""What docs/measured holds is known to be of today's code or not: by digests, which are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api, digests, zoo
from tests import measured
from tests.conformance import report
from tests.parity import table

SPECS = sorted({entry.name for entry in zoo.models()})
TODAY = measured.today()


@pytest.mark.turns(40)
@pytest.mark.parametrize("spec", SPECS)
def test_the_digests_are_those_of_the_code(spec: str) -> None:
    """`make docs` writes them anew; what was run of other code is stale from then on."""
    assert measured.of(api.load(spec).graph) | {"spec": spec} == TODAY[spec]


def test_every_network_has_its_digests() -> None:
    assert list(TODAY) == SPECS


def test_rows_are_of_networks_that_there_are() -> None:
    for kept in (
        measured.Table(report.TABLE, report.HEAD),
        measured.Table(table.TABLE, table.HEAD),
    ):
        assert {row["spec"] for row in kept.rows().values()} <= {*SPECS}


def test_a_digest_of_source_is_of_what_it_does() -> None:
    text = 'def f(x):  # a.yaml:1\n    """Doc."""\n    return g(\n        f"{x}"\n    )\n'
    same = 'def f(x):\n    return g(f"{x}")  # b.yaml:2\n'
    assert digests.of_source(text) == digests.of_source(same)
    for changed in (
        same.replace("g(", "h("),
        same.replace("x}", "x}."),
        f"if f:\n    {same[:9]} 1",
    ):
        assert digests.of_source(changed) != digests.of_source(same)


def test_a_digest_of_a_graph_is_not_of_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    text = "model: net\nextends: cifar_resnet20\n"
    path.write_text(text)
    first = measured.of(api.load(path).graph)
    path.write_text(f"# moved\n{text}")
    assert measured.of(api.load(path).graph) == first
    path.write_text(f"{text}defaults: {{act: silu}}\n")
    changed = measured.of(api.load(path).graph)
    assert all(changed[name] != first[name] for name in first)


def test_rows_of_pieces_add_up(tmp_path: Path) -> None:
    kept = measured.Table(tmp_path / "t.csv", ("spec", "found"))
    kept.put([{"spec": "b", "found": "1"}])
    measured.Table(kept.path, kept.head).put(
        [{"spec": "a", "found": "2"}, {"spec": "b", "found": "3"}]
    )
    assert kept.path.read_text() == "spec,found\na,2\nb,3\n"
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".lock"}


def test_the_page_of_parity_counts_only_what_is_of_today() -> None:
    now = {"graph": "g", "torch": "t", "tensorflow": "f", "jax": "j"}
    good = dict.fromkeys(table.HEAD, "") | {"verdict": "ok", "graph": "g", "torch_source": "t"}
    rows = {
        ("a", "float64", "tensorflow"): good | {"spec": "a", "source": "f", "outputs": "1e-15"},
        ("b", "float64", "tensorflow"): good | {"spec": "b", "source": "old", "outputs": "1.0"},
        ("c", "float64", "tensorflow"): good | {"spec": "c", "source": "f", "verdict": "FAILS"},
    }
    text = table.text(rows, dict.fromkeys("abcd", now))
    assert "4 specs: 1 within their limits, 1 not, 1 run on older code only, 1 never run." in text
    assert "| outputs" in text
    assert "1.0" not in text
    assert "- `c`: FAILS" in text
    assert "4 specs: 0 within their limits, 0 not, 0 run on older code only, 4 never run." in text
