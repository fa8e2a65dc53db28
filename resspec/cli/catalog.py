"""`resspec list`, `show`, `schema` and `explain`: what there is, and what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import Diagnostic, SpecError, did_you_mean, error, escape, suggest
from resspec.docstrings import docstring

if TYPE_CHECKING:
    from resspec.zoo import Entry

KINDS = ("models", "blocks", "ops", "words", "backends", "codes")
WIDTH = 96


def list_(
    kinds: Annotated[
        list[str] | None, Argument(metavar="KIND...", help=", ".join(KINDS) + ".")
    ] = None,
    family: Annotated[str | None, Option(help="Only models and blocks of this one.")] = None,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """List models, blocks, ops, words, backends or error codes.

    \b
    Examples:
      resspec list
      resspec list models --family resnet
      resspec list blocks ops --format json
    """
    common.choice(format, ("text", "json"), "--format")
    chosen = [common.choice(kind, KINDS, "KIND") for kind in kinds or KINDS[:-1]]
    found = {kind: _entries(kind) for kind in dict.fromkeys(chosen)}
    if family is not None:
        families = sorted({one["family"] for rows in found.values() for one in rows} - {""})
        common.choice(family, families, "--family")
        found = {
            kind: [one for one in rows if one["family"] == family] for kind, rows in found.items()
        }
    if format == "json":
        common.print_json(found)
        return
    for number, (kind, rows) in enumerate(found.items()):
        if len(found) > 1:
            print(f"{'' if number == 0 else chr(10)}{kind} ({len(rows)})")
        indent = "  " if len(found) > 1 else ""
        print(textwrap.indent("\n".join(_lines(rows)), indent))


def _lines(rows: list[dict[str, str]]) -> Iterator[str]:
    """Names and docs, under a line for each family; what one file says of all its models stands
    once."""
    from resspec import table

    for family, members in groupby(sorted(rows, key=itemgetter("family")), itemgetter("family")):
        pairs = list[tuple[str, str]]()
        doc = ""
        for one in members:
            pairs.append((one["name"], "" if one["doc"] == doc else one["doc"]))
            doc = one["doc"]
        if family:
            yield f"{family} ({len(pairs)})"
        yield textwrap.indent(table.pairs(pairs), "  " if family else "")


def _entries(kind: str) -> list[dict[str, str]]:
    """Name, doc and family of everything of a kind."""

    def row(name: str, doc: str, family: str = "") -> dict[str, str]:
        return {"name": name, "family": family, "doc": doc.strip().split("\n")[0]}

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

            return [row(name, _backend_doc(name)) for name in backend.names()]
    from resspec.codes import CODES

    return [row(name, code.title) for name, code in sorted(CODES.items())]


def _backend_doc(name: str) -> str:
    from resspec import backend

    try:
        found = backend.get(name)
    except Exception as problem:
        return f"broken: {type(problem).__name__}: {problem}"
    return f"{len(found.rules)} ops"


def show(
    names: Annotated[
        list[str],
        Argument(
            metavar="NAME...", help="Of a model, block, op, backend, or a word of the language."
        ),
    ],
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """Show some of them: doc, parameters, YAML.

    \b
    Examples:
      resspec show bottleneck
      resspec show conv2d residual when
      resspec show resnet50
    """
    common.choice(format, ("text", "json"), "--format")
    found = list[dict[str, Any]]()
    problems = list[Diagnostic]()
    for name in names:
        try:
            found.append(_describe(name))
        except SpecError as problem:
            problems += problem.diagnostics
    if problems:
        raise SpecError(*problems)
    if format == "json":
        common.print_json(found if len(found) > 1 else found[0])
    else:
        print("\n\n\n".join(map(_described, found)))


def _described(data: dict[str, Any]) -> str:
    from resspec import table

    parts = [f"{data['name']} ({data['kind']})"]
    if data["file"]:
        parts[0] += f"\n{escape(data['file'])}"
    parts.append(data["doc"].strip())
    if data["params"]:
        rows = [
            ("  " + one["name"], "needed" if one["needed"] else _word(one["default"]), one["doc"])
            for one in data["params"]
        ]
        parts.append(table.text(("  parameter", "default", ""), rows))
    if data["text"]:
        parts.append(data["text"].rstrip())
    return "\n\n".join(parts)


def _word(value: object) -> str:
    """A default as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe(name: str) -> dict[str, Any]:
    """Kind, doc, file, parameters and text of what has that name."""
    from resspec import backend, zoo
    from resspec.language.words import DOCS, usage
    from resspec.ops import OPS

    models, blocks = zoo.models(), zoo.blocks()
    data: dict[str, Any] = {"name": name, "kind": "", "doc": "", "file": "", "text": ""}
    data["params"] = []
    if entry := next((one for one in models if one.name == name), None):
        kind = f"variant in {entry.path.name}" if entry.variant else "model"
        data |= _file(entry) | {"kind": kind}
    elif entry := next((one for one in blocks if one.name == name), None):
        data |= _file(entry) | {"kind": "block", "params": _block_params(entry)}
    elif name in OPS:
        data |= {"kind": "op", "doc": docstring(OPS[name])}
        data["params"] = _op_params(name)
    elif name in DOCS:
        data |= {"kind": "word of the language", "doc": f"{DOCS[name][0].upper()}{DOCS[name][1:]}."}
    elif name in backend.names():
        lacking = sorted(one for one in OPS if OPS[one] not in backend.get(name).rules)
        lacks = f"; it has no rule for {', '.join(lacking)}" if lacking else ""
        data |= {"kind": "backend", "doc": f"{_backend_doc(name)}{lacks}"}
    else:
        known = [one.name for one in (*models, *blocks)] + [*OPS, *DOCS, *backend.names()]
        raise error(
            "not-found",
            f"no model, block, op, word or backend is called `{name}`",
            help=did_you_mean(name, known, "`resspec list` names them"),
        )
    if how := usage(name):
        about = textwrap.fill(how.about, WIDTH)
        data |= {"doc": f"{data['doc'].strip()}\n\n{about}", "text": data["text"] or how.example}
    return data


def _file(entry: Entry) -> dict[str, Any]:
    text = entry.path.read_text("utf-8")
    return {"doc": entry.doc, "file": str(entry.path), "text": text}


def _block_params(entry: Entry) -> list[dict[str, Any]]:
    from resspec.language.grammar import Grammar
    from resspec.syntax import Map, read

    data = read(entry.path)[1]
    block = Grammar().block(data) if isinstance(data, Map) else None
    return [
        _param(
            name, param.doc or param.type, param.default and param.default.value, not param.default
        )
        for name, param in (block.params if block else {}).items()
    ]


def _op_params(name: str) -> list[dict[str, Any]]:
    from resspec.ops import OPS
    from resspec.record import REQUIRED

    return [
        _param(key, field.doc, field.default, field.default is REQUIRED)
        for key, field in OPS[name].FIELDS.items()
    ]


def _param(name: str, doc: str, default: object, needed: bool) -> dict[str, Any]:
    if isinstance(default, tuple):
        default = default[0] if len(set(default)) == 1 else list(default)
    return {"name": name, "doc": doc, "needed": needed, "default": None if needed else default}


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
