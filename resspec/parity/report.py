"""Reports as text: a table a spec for people, one row a spec for a README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from resspec import table
from resspec.diagnostics import escape
from resspec.parity.judge import APART

COLUMNS = (
    ("eval", "outputs"),
    ("grad", "training outputs"),
    ("grad", "gradients"),
    ("grad", "running statistics"),
    ("train", "weights"),
)
Data = Mapping[str, Any]  # a report's `to_json`


def text(report: Data) -> str:
    """One report: what was run, a row a check, and where it falls short."""
    if "error" in report:
        return f"{escape(report['spec'])}: not compared: {escape(report['error'])}"
    head = ["mode", "quantity", "dtype", "backends", "error", "limit", "", "worst; or distance"]
    rows = [
        [
            one["mode"],
            one["quantity"],
            one["dtype"],
            " ".join(one["backends"]),
            number(one["error"]),
            number(one["limit"]),
            "ok" if one["ok"] else "FAILS",
            _remark(one),
        ]
        for one in report["checks"]
    ]
    lines = [_title(report), table.text(head, rows) if rows else "nothing to compare"]
    for dtype, curves in report["losses"].items():
        name, curve = next(iter(curves.items()))
        moved = report["moved"]
        way = "there are no weights" if moved is None else f"weights moved by {number(moved)}"
        lines.append(
            f"loss of {name} in {dtype} {curve[0]:.4g} before the first step, {curve[-1]:.4g} "
            f"before the last; {way}"
        )
    read = report["settings_read"].items()
    counts = ", ".join(f"{count} in {name}" for name, count in read if count) or "none"
    lines.append(f"eps and momentum read from live layers: {counts}")
    if report["second_input"]:
        shape = table.shape(tuple(report["second_input"]))
        lines.append(f"the second size, which no model was built for: {shape}")
    if report.get("calibrated"):
        lines.append(f"ranges of eight bits from {report['calibrated']}")
    lines += [f"{name} gave nothing: {why}" for name, why in report.get("failures", {}).items()]
    if report["left_out"]:
        lines.append(f"left out while training, masks cannot agree: {_some(report['left_out'])}")
    lines += where(report)
    lines.append(f"{'same' if report['ok'] else 'NOT the same'}, {report['seconds']:.1f} s")
    return "\n".join(lines)


def where(report: Data) -> list[str]:
    """Where a report falls short, a line or a few."""
    lines = [
        f"{fault['path']}: {fault['attribute']} is {fault['value']:g} in {fault['backend']}, "
        f"the spec says {fault['wanted']:g} ({fault['line']})"
        for fault in report["faults"]
    ]
    found = report["departure"]
    if found is None:
        return lines
    if not found["path"]:
        what = "the optimiser" if found["kind"] == "optimizer" else "a run of"
        lines.append(f"departs in {what} {found['op']}: {found['note']}")
        return lines
    mode = "evaluation" if found["mode"] == "eval" else "training"
    lines.append(
        f"first {found['kind']} to depart, {mode}, {found['dtype']}: {found['path']} "
        f"({found['op']}) at {found['line']}"
    )
    lines.append(f"  {number(found['before'])} before it, {number(found['after'])} after")
    lines += [f"  in {call}" for call in found["calls"]]
    if found["note"]:
        lines.append(f"  {found['note']}")
    return lines


def markdown(reports: Iterable[Data]) -> str:
    """A row a spec: the errors in float64, float32 as a multiple of its floor. Then how many."""
    reports = list(reports)
    titles = {"weights": "weights after training", "outputs": "eval outputs"}
    shown = [
        (mode, quantity, dtype)
        for dtype in ("float64", "float32")
        for mode, quantity in COLUMNS
        if any(_check(one, mode, quantity, dtype) for one in reports)
    ]
    head = ["spec", "input", "batch"]
    head += [
        f"{titles.get(quantity, quantity)}, {'float64' if dtype == 'float64' else '× floor'}"
        for _, quantity, dtype in shown
    ]
    several = any(len(_each(one)) > 1 for one in reports)
    rows = [
        _row({**report, "spec": f"{report['spec']}, {other}" if several else report["spec"]}, shown)
        for whole in reports
        for report, other in _each(whole)
    ]
    compared = [one for one in reports if "error" not in one]
    over = sum(not one["ok"] for one in compared)
    count = f"{len(compared)} of {len(reports)} compared, {over} over the limit."
    return f"{table.markdown([*head, ''], rows)}\n\n{count}"


def csv_text(reports: Iterable[Data]) -> str:
    """A row a spec, dtype and backend: errors in float64, float32 as a multiple of its floor; empty
    where nothing was compared."""
    head = ["spec", "dtype", "backend", "input", "batch"]
    head += [quantity.replace(" ", "_") for _, quantity in COLUMNS]
    rows = []
    for whole in reports:
        for report, other in _each(whole):
            dtypes = dict.fromkeys(one["dtype"] for one in report.get("checks", ())) or {"": None}
            for dtype in dtypes:
                name, *cells = _row(report, [(*column, dtype) for column in COLUMNS])
                rows.append([name, dtype, other, *("" if one == "–" else one for one in cells)])
    return table.csv_text([*head, "verdict"], rows)


def _each(report: Data) -> list[tuple[Data, str]]:
    """A report for each backend that was compared with the first, or failed to be."""
    if "error" in report or (len(report["backends"]) < 3 and not report["failures"]):
        return [(report, "" if "error" in report else report["backends"][-1])]
    found: list[tuple[Data, str]] = []
    for other in report["backends"][1:]:
        checks = [one for one in report["checks"] if one["backends"][1] == other]
        faults = [one for one in report["faults"] if one["backend"] == other]
        ok, departure = not faults and all(one["ok"] for one in checks), report["departure"]
        if departure and departure["backends"][1] != other:
            departure = None
        found.append(({**report, "checks": checks, "ok": ok, "departure": departure}, other))
    for other, why in report["failures"].items():
        found.append(({"spec": report["spec"], "error": why}, other))
    return found


def _row(report: Data, shown: Sequence[tuple[str, str, str]]) -> list[str]:
    if "error" in report:
        return [report["spec"], "", "", *("" for _ in shown), report["error"]]
    cells = [report["spec"], table.shape(tuple(report["input"])), str(report["batch"])]
    for mode, quantity, dtype in shown:
        check = _check(report, mode, quantity, dtype)
        if check is None:
            cells.append("–")
        elif dtype == "float64":
            cells.append(number(check["error"]))
        else:
            floor = max(value for name, value in check["detail"].items() if name != "control")
            cells.append(f"{check['error'] / floor:.2f}" if floor else "0.00")
    return [*cells, "ok" if report["ok"] else f"FAILS{_reason(report)}"]


def _reason(report: Data) -> str:
    """Where it departs; or how much an ulp does, where that is about as much."""
    if told := as_one_ulp([one for one in report["checks"] if not one["ok"]]):
        return told
    departure = report["departure"]
    return f" at {departure['path']}" if departure and departure["path"] else ""


def as_one_ulp(failed: Sequence[Data]) -> str:
    """How far the reference itself departs where its weights change by one unit in the last place,
    if that is about as much as the checks that failed."""
    if failed and all(one["error"] <= APART * one["detail"].get("one ulp", 0.0) for one in failed):
        most = max(one["detail"]["one ulp"] for one in failed)
        return f": as one ulp in the weights does ({number(most)})"
    return ""


def _check(report: Data, mode: str, quantity: str, dtype: str) -> Data | None:
    for one in report.get("checks", ()):
        if (one["mode"], one["quantity"], one["dtype"]) == (mode, quantity, dtype):
            found: Data = one
            return found
    return None


def _title(report: Data) -> str:
    parts = [
        table.shape(tuple(report["input"])),
        f"batch {report['batch']}",
        f"{report['layers']} layers",
        f"{report['params']:,} params",
        f"seed {report['seed']}",
    ]
    if any(one["mode"] == "train" for one in report["checks"]):
        steps = report["steps"]
        parts.append(f"{steps} step{'s' * (steps != 1)} of {report['optimizer']['name']}")
    return f"{escape(report['spec'])}: {', '.join(parts)}"


def _remark(check: Data) -> str:
    detail = check["detail"]
    if not detail:
        return str(check["worst"])
    if check["dtype"] == "float64":
        ulp = number(detail["one ulp"])
        return f"{check['worst']}; {ulp} where {check['backends'][0]}'s weights change by one ulp"
    own = ", ".join(f"{name} {number(value)}" for name, value in detail.items())
    return f"from float64: {own}".replace(", control", "; control")


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def number(value: float) -> str:
    """`3.1e-15`; 0 where it is."""
    return "0" if value == 0 else f"{value:.1e}"
