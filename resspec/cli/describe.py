"""`resspec show`: one thing and what it means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.catalog import backend_doc
from resspec.cli.options import Argument, Option
from resspec.diagnostics import Diagnostic, SpecError, did_you_mean, error, escape
from resspec.docstrings import docstring

if TYPE_CHECKING:
    from resspec.counted import Counted
    from resspec.zoo import Entry

WIDTH = 96
PAPER = re.compile(r"arXiv:\d{4}\.\d{4,5}")


def show(
    names: Annotated[
        list[str],
        Argument(
            metavar="NAME...",
            help="Of a model, block, op, backend or word of the language; or a file of YAML.",
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
      resspec show efficientnet_b3 mine.yaml
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

    parts = [f"{escape(data['name'])} ({data['kind']})"]
    if data["file"]:
        parts[0] += f"\n{escape(data['file'])}"
    if data["doc"]:
        parts.append(_escaped(data["doc"].strip()))
    if facts := data.get("facts"):
        parts.append(table.pairs([(f"  {name}", value) for name, value in _facts(facts)]))
    if data["params"]:
        rows = [
            ("  " + one["name"], "needed" if one["needed"] else _word(one["default"]), one["doc"])
            for one in data["params"]
        ]
        parts.append(table.text(("  parameter", "default", ""), rows))
    if data["text"]:
        parts.append(_escaped(data["text"].rstrip()))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Of several lines, any of which may be a stranger's."""
    return "\n".join(map(escape, text.split("\n")))


def _facts(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known of a network, for people."""
    from resspec import table

    yield "equal to", ", ".join(facts["equal_to"]) or "no network of a library"
    if facts["papers"]:
        yield "paper", ", ".join(facts["papers"])
    yield "input", table.shape(tuple(facts["input"]))
    yield "output", table.shape(tuple(facts["output"]))
    for key, name in (("params", "params"), ("buffers", "buffers"), ("macs", "MACs")):
        yield name, f"{facts[key]:,}"


def _known(entry: Entry) -> dict[str, Any]:
    """Whose network it is, its papers, and what it costs; nothing where it is not in the table."""
    from resspec import counted

    found = counted.table().get(entry.name)
    return {} if found is None else _facts_of(found, entry.doc)


def _facts_of(found: Counted, doc: str) -> dict[str, Any]:
    facts = asdict(found)
    del facts["name"]
    return {"facts": facts | {"papers": list(dict.fromkeys(PAPER.findall(doc)))}}


def _of_file(place: str) -> dict[str, Any]:
    """The same of a model, `path#variant`, or block in a file of one's own. Errors: SpecError."""
    from resspec import api, summary
    from resspec.syntax import Map, read

    path, _, variant = place.partition("#")
    text, data = read(Path(path))
    doc = data.get("doc") if isinstance(data, Map) else None
    found: dict[str, Any] = {"doc": doc if isinstance(doc, str) else "", "file": path, "text": text}
    if isinstance(data, Map) and "block" in data and "model" not in data and not variant:
        name = str(data["block"])
        return found | {"name": name, "kind": "block", "params": _block_params(Path(path))}
    spec = api.load(place)
    known = _facts_of(summary.counted(spec.graph, spec.graph.name), found["doc"])
    kind = f"variant in {Path(path).name}" if variant else "model"
    return found | known | {"name": spec.graph.name, "kind": kind}


def _word(value: object) -> str:
    """A default as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe(name: str) -> dict[str, Any]:
    """Kind, doc, file, parameters and text of what has that name, or is also called so."""
    from resspec import backend, synonyms, zoo
    from resspec.language.words import DOCS, usage
    from resspec.ops import OPS

    models, blocks = zoo.models(), zoo.blocks()
    known = [one.name for one in (*models, *blocks)] + [*OPS, *DOCS, *backend.names()]
    if name not in known:
        name = synonyms.meant(name) or name
    data: dict[str, Any] = {"name": name, "kind": "", "doc": "", "file": "", "text": ""}
    data["params"] = []
    if entry := next((one for one in models if one.name == name), None):
        kind = f"variant in {entry.path.name}" if entry.variant else "model"
        data |= _file(entry) | _known(entry) | {"kind": kind}
    elif entry := next((one for one in blocks if one.name == name), None):
        data |= _file(entry) | {"kind": "block", "params": _block_params(entry.path)}
    elif name in OPS:
        data |= {"kind": "op", "doc": docstring(OPS[name])}
        data["params"] = _op_params(name)
    elif name in DOCS:
        data |= {"kind": "word of the language", "doc": f"{DOCS[name][0].upper()}{DOCS[name][1:]}."}
    elif name.partition("#")[0].endswith((".yaml", ".yml")):
        data |= _of_file(name)
    elif name in backend.names():
        lacking = sorted(one for one in OPS if OPS[one] not in backend.get(name).rules)
        lacks = f"; it has no rule for {', '.join(lacking)}" if lacking else ""
        data |= {"kind": "backend", "doc": f"{backend_doc(name)}{lacks}"}
    else:
        raise error(
            "not-found",
            f"no model, block, op, word or backend is called `{name}`",
            help=did_you_mean(name, known, "`resspec list` names them"),
        )
    if called := synonyms.also(name):
        data |= {"doc": f"{data['doc'].strip()}\n\nAlso called {', '.join(called)}."}
    if how := usage(name):
        about = textwrap.fill(how.about, WIDTH)
        data |= {"doc": f"{data['doc'].strip()}\n\n{about}", "text": data["text"] or how.example}
    return data


def _file(entry: Entry) -> dict[str, Any]:
    text = entry.path.read_text("utf-8")
    return {"doc": entry.doc, "file": str(entry.path), "text": text}


def _block_params(path: Path) -> list[dict[str, Any]]:
    from resspec.language.grammar import Grammar
    from resspec.syntax import Map, read

    data = read(path)[1]
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
