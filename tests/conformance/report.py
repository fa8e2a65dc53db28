"""docs/conformance.md from docs/measured/conformance.csv: what is proven of today's code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from resspec import table
from resspec.ops.base import OPS
from tests.measured import BACKENDS, FOLDER, Row, Table, today
from tests.zoo.cases import Case, cases

TABLE = FOLDER / "conformance.csv"
SOURCES = tuple(f"{name}_source" for name in BACKENDS)  # digests of what ran
HEAD = ("network", "family", "spec", "counts", "structure", *BACKENDS, "dtype", "left_out",
        "problems", "graph", *SOURCES, "seconds")  # fmt: skip
HUGE = "counts and wiring only without --huge"


def opened() -> Table:
    return Table(TABLE, HEAD)


def state(row: Row | None, now: Row, backend: str = "") -> str:
    """What a row says of today's code: of its counts and wiring, or of a backend's outputs."""
    if row is None:
        return "never run"
    if not backend:
        return "stale" if row["graph"] != now["graph"] else "fails" if row["problems"] else "ok"
    if row["left_out"]:
        return "left out"
    if not row[backend]:
        return "fails" if row["problems"] else "never run"
    if row[f"{backend}_source"] != now[backend]:
        return "stale"
    return "fails" if f"{backend}:" in row["problems"] else "ok"


def page() -> str:
    """The generated part of docs/conformance.md."""
    found, without = cases()
    rows = {key: row for (key,), row in opened().rows().items()}
    return text(found, rows, today(), [row["name"] for row in without])


def named(title: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names by the reason that they share; nothing where there is none."""
    found: dict[str, list[str]] = {}
    for key, reason in sorted(pairs):
        if reason:
            found.setdefault(reason, []).append(key)
    lines = [f"- {reason}: {', '.join(keys)}" for reason, keys in found.items()]
    return ["", f"{title}:", "", *lines] if lines else []


def text(
    chosen: Sequence[Case], rows: Mapping[str, Row], now: Mapping[str, Row], without: Sequence[str]
) -> str:
    """How many networks are proven, by family; what fails, what was left out, each by name."""

    def states(backend: str, among: Iterable[Case]) -> list[str]:
        return [state(rows.get(one.key), now[one.spec], backend) for one in among]

    kinds = ("ok", "fails", "stale", "never run", "left out")
    names = ("equal, today's code", "not equal", "equal to older code", "never run", "left out")
    columns = [states(backend, chosen) for backend in ("", *BACKENDS)]
    head = [f"{len(chosen)} networks", "counts and wiring", *BACKENDS]
    counts = [
        [name, *(column.count(kind) for column in columns)]
        for kind, name in zip(kinds, names, strict=True)
    ]
    lines = [table.markdown(head, counts), ""]
    cells: list[list[table.Cell]] = []
    for family in [*sorted({one.family for one in chosen}), "all"]:
        part = [one for one in chosen if family in (one.family, "all")]
        proven = [states(backend, part).count("ok") for backend in ("", *BACKENDS)]
        errors = [
            (float(row[name]), row[name])
            for one in part
            for name in BACKENDS
            if state(row := rows.get(one.key), now[one.spec], name) == "ok" and row
        ]
        cells.append([family, len(part), *proven, max(errors, default=(0, ""))[1]])
    lines.append(table.markdown(["family", "networks", *head[1:], "worst"], cells))

    kept = [(one.key, row) for one in chosen if (row := rows.get(one.key))]
    lines += named("Not equal", ((key, row["problems"]) for key, row in kept))
    lines += named("Left out", ((key, row["left_out"]) for key, row in kept))
    plain = ("", "float64")
    rounded = ((key, row["dtype"]) for key, row in kept if row["dtype"] not in plain)
    lines += named("Not plainly in float64", rounded)
    proven = {
        op
        for one in chosen
        if any(state(rows.get(one.key), now[one.spec], name) == "ok" for name in BACKENDS)
        for op in now[one.spec]["ops"].split()
    }
    used = {op for one in now.values() for op in one["ops"].split()}
    for title, ops in (
        ("Ops of networks, none of which is equal yet", used - proven),
        ("Ops of no network (tests/ops has cases of every op)", {*OPS} - used),
    ):
        lines += ["", f"{title}: {', '.join(sorted(ops)) or 'none'}."]
    if without:
        lines += ["", f"Rows without a spec: {', '.join(without)}"]
    return "\n".join(lines) + "\n"
