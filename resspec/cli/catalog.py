"""`resspec list`, `schema` and `explain`: what there is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from typing import Annotated, Any

from resspec.cli import common
from resspec.cli.options import NUMBER, Argument, BadUse, Option
from resspec.diagnostics import escape, suggest
from resspec.docstrings import docstring

KINDS = ("models", "blocks", "ops", "words", "backends", "codes")
WIDTH = 96
ASKED = "params buffers macs channels height width outputs name family".split()


def list_(
    kinds: Annotated[
        list[str] | None, Argument(metavar="KIND", help=", ".join(KINDS) + ".")
    ] = None,
    family: Annotated[str | None, Option(help="All models and blocks of this one.")] = None,
    params: Annotated[
        str | None, Option(metavar="A..B", help="Models of so many parameters: `5e6..30e6`.")
    ] = None,
    macs: Annotated[
        str | None, Option(metavar="A..B", help="Models of so many MACs: `..2e9`.")
    ] = None,
    where: Annotated[
        str | None,
        Option(
            metavar="CONDITION",
            help="Models of which this holds: `macs / params < 50 and height >= 224`.",
        ),
    ] = None,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """List models, blocks, ops, words, backends or error codes.

    Models by family, a line each; those of one family, or that meet a condition, one by one with
    what they cost. A condition may ask for params, buffers, macs, channels, height, width, outputs,
    name and family. The smallest comes first.

    \b
    Examples:
      resspec list
      resspec list --family resnet
      resspec list --params 5e6..30e6 --macs ..2e9
      resspec list models --where "params < 10e6 and family != 'resnet'" --format json
      resspec list blocks ops
    """
    common.choice(format, ("text", "json"), "--format")
    chosen = [_kind(kind) for kind in kinds or KINDS[:-1]]
    asked = [
        _between("params", params, "--params"), _between("macs", macs, "--macs"), where
    ]  # fmt: skip
    conditions = [one for one in asked if one is not None]
    if conditions:
        chosen = ["models"]
    found = {kind: _entries(kind) for kind in dict.fromkeys(chosen)}
    if family is not None:
        families = sorted({one["family"] for rows in found.values() for one in rows} - {""})
        common.choice(family, families, "--family")
        found = {
            kind: [one for one in rows if one["family"] == family] for kind, rows in found.items()
        }
    if "models" in found and (conditions or family is not None):
        found["models"] = _costs(found["models"], conditions)
    if format == "json":
        common.print_json(found)
        return
    if kinds is None:  # of those that were not asked for, none that are empty
        found = {kind: rows for kind, rows in found.items() if rows} or {"models": []}
    for number, (kind, rows) in enumerate(found.items()):
        if not rows:
            print(f"no {kind} of this kind")
            continue
        if len(found) > 1:
            print(f"{'' if number == 0 else chr(10)}{kind} ({len(rows)})")
        indent = "  " if len(found) > 1 else ""
        whole = kind == "models" and not conditions and family is None
        print(textwrap.indent("\n".join(_families(rows) if whole else _lines(rows)), indent))


def _kind(word: str) -> str:
    """One of the kinds; a thing of one of them is shown by another command."""
    from resspec import synonyms, zoo
    from resspec.ops import OPS

    if word not in KINDS:
        named = synonyms.meant(word) or word
        if named in OPS or zoo.shipped(named, "block") or zoo.shipped(named, "model"):
            there = f"`resspec show {named}` shows that one"
            raise BadUse(f"'{escape(word)}' is no kind of thing; {there}.", hint="KIND")
    return common.choice(word, KINDS, "KIND")


def _between(name: str, given: str | None, option: str) -> str | None:
    """A range as a condition: `5e6..30e6`, `..2e9`, `1e6..`."""
    if given is None:
        return None
    ends = [one.strip().replace("_", "") for one in given.split("..")]
    parts = zip((">=", "<="), ends, strict=False)
    if len(ends) != 2 or not any(ends) or not all(NUMBER.fullmatch(one) for one in ends if one):
        raise BadUse(f"'{escape(given)}' is no range: write `5e6..30e6` or `..2e9`.", hint=option)
    if all(ends) and float(ends[0]) > float(ends[1]):
        raise BadUse(f"'{escape(given)}' goes downwards: the lesser end first.", hint=option)
    return " and ".join(f"{name} {sign} {end}" for sign, end in parts if end)


def _costs(rows: list[dict[str, Any]], conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Models with what they cost, those that meet all conditions, the smallest first. Errors: as
    `sweep --where`."""
    from resspec import counted
    from resspec.sweep.front import keep

    known = counted.table()
    full = [row | asdict(known[row["name"]]) for row in rows if row["name"] in known]
    for condition in conditions:
        holds = keep(condition, ASKED)
        full = [row for row in full if holds(_asked(row))]
    return sorted(full, key=lambda row: (row["params"], row["name"]))


def _asked(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a condition may ask for."""
    channels, height, width = row["input"]
    sizes = {"channels": channels, "height": height, "width": width, "outputs": row["output"][0]}
    return {**row, **sizes}


def _families(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each family: how many networks, and what its main file says of them."""
    from resspec import table, zoo

    grouped = [(family, list(members)) for family, members in groupby(rows, itemgetter("family"))]
    lines = [
        (f"{family} ({len(members)})", _cut(zoo.about(family), WIDTH - 30))
        for family, members in grouped
    ]
    yield table.pairs(lines)
    yield "`resspec list --family NAME` lists the networks of one, `--params`, `--macs` and"
    yield "`--where` those that meet a condition."


def _cut(text: str, width: int) -> str:
    """The beginning of a sentence, without its sources at the end."""
    return textwrap.shorten(text.partition(" (")[0].rstrip("."), width, placeholder=" …")


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Names and docs, under a line for each family, or with what they cost; what one file says of
    all its models stands once. What a thing is also called stands after its doc."""
    from resspec import table

    if rows and "macs" in rows[0]:
        cells = [
            (row["name"], table.shape(row["input"]), row["params"], row["macs"],
             ", ".join(row["equal_to"]))
            for row in rows
        ]  # fmt: skip
        yield table.text(("model", "input", "params", "MACs", "equal to"), cells)
        return
    for family, members in groupby(sorted(rows, key=itemgetter("family")), itemgetter("family")):
        pairs = list[tuple[str, str]]()
        doc = ""
        for one in members:
            also = f" Also {', '.join(one['also'])}." if one.get("also") else ""
            pairs.append((one["name"], "" if family and one["doc"] == doc else one["doc"] + also))
            doc = one["doc"]
        if family:
            yield f"{family} ({len(pairs)})"
        yield textwrap.indent(table.pairs(pairs), "  " if family else "")


def _entries(kind: str) -> list[dict[str, Any]]:
    """Name, doc and family of everything of a kind, and what else it is called."""
    from resspec import synonyms

    def row(name: str, doc: str, family: str = "") -> dict[str, Any]:
        found = {"name": name, "family": family, "doc": doc.strip().split("\n")[0]}
        called = synonyms.also(name) if kind in ("blocks", "ops") else []
        return found | ({"also": called} if called else {})

    match kind:
        case "models" | "blocks":
            from resspec import zoo

            entries = zoo.models() if kind == "models" else zoo.blocks()
            return [row(one.name, one.doc, one.family) for one in entries]
        case "ops":
            from resspec.ops import OPS

            return [row(name, docstring(op)) for name, op in sorted(OPS.items())]
        case "words":
            from resspec.language.words import DOCS

            return [row(name, doc) for name, doc in sorted(DOCS.items())]
        case "backends":
            from resspec import backend

            return [row(name, backend_doc(name)) for name in backend.names()]
    from resspec.codes import CODES

    return [row(name, code.title) for name, code in sorted(CODES.items())]


def backend_doc(name: str) -> str:
    from resspec import backend
    from resspec.ops import OPS

    try:
        found = backend.get(name)
    except Exception as problem:
        return f"broken: {type(problem).__name__}: {problem}"
    return f"{sum(one in found.rules for one in OPS.values())} of {len(OPS)} ops"


def schema() -> None:
    """Print the JSON Schema of spec files.

    For an editor's YAML language server: completion, and docs of models and blocks.

    \b
    Examples:
      resspec schema > resspec.schema.json
    """
    from resspec import schema as schemas

    common.print_json(schemas.schema())


def explain(
    code: Annotated[
        str | None, Argument(metavar="CODE", help="As in `error[CODE]`; none lists all.")
    ] = None,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """Explain an error code at length.

    Why the rule exists, a spec that breaks it and one that keeps it.

    \b
    Examples:
      resspec explain shape-mismatch
      resspec explain
    """
    from resspec.codes import CODES

    common.choice(format, ("text", "json"), "--format")
    if code is None:
        list_(["codes"], format=format)
        return
    bare = code.removeprefix("error[").removeprefix("warning[").rstrip("]")
    if bare not in CODES:
        near = suggest(bare, CODES)
        hint = f"Did you mean {near}?" if near else "`resspec explain` lists them."
        raise BadUse(f"'{escape(bare)}' is no error code. {hint}", hint="CODE")
    one = CODES[bare]
    if format == "json":
        common.print_json(
            {"code": bare, "title": one.title, "why": one.why, "bad": one.bad, "good": one.good}
        )
        return
    print(f"{bare}: {one.title}\n\n{textwrap.fill(one.why, WIDTH)}")
    for head, text in (("wrong", one.bad), ("right", one.good)):
        lines = [f"    {escape(line)}" for line in text.rstrip().split("\n")]
        print(f"\n{head}:\n" + "\n".join(lines))
