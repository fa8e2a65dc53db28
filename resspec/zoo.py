"""A library of names: where models and blocks are, beside a file, on `--path` and shipped."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from resspec.diagnostics import SpecError, did_you_mean, error, suggest
from resspec.files import MAX_BYTES, content, head, kind, no_file, stored
from resspec.paths import specs_dir

_KIND = re.compile(r"^(model|block):[ \t]*['\"]?([A-Za-z_]\w*)", re.MULTILINE)
_VARIANTS = re.compile(r"^variants:[^\n]*\n((?:[ \t]+[^\n]*\n?|#[^\n]*\n|\n)*)", re.MULTILINE)
_VARIANT = re.compile(r"^  ['\"]?([A-Za-z_]\w*)['\"]?:", re.MULTILINE)
_PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_DOC = re.compile(  # on one line, or folded (`>-`) over the indented lines below
    r"^doc:[ \t]*(?:[>|][+-]?[ \t]*\n((?:[ \t]+[^\n]*\n)+)|([^\n]+))", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A shipped model, variant of a model, or block."""

    name: str
    path: Path
    doc: str
    family: str  # its folder under specs/; `resnet` at the top, "" where blocks are everyone's
    kind: str = "model"
    variant: bool = False


_root = cache(specs_dir)


def names_in(text: str) -> list[str]:
    """The networks that a file's text defines: its model, then the variants; none of a block."""
    kinds = dict(_KIND.findall(text)[::-1])
    if "model" not in kinds:
        return []
    variants = [name for found in _VARIANTS.findall(text) for name in _VARIANT.findall(found)]
    return [kinds["model"], *variants]


def _family(path: Path) -> str:
    """The folder of a file under specs/. The classic ResNets stand above all folders."""
    if len(path.parts) == 1:
        return "resnet"
    return "" if path.parts[0] == "blocks" else path.parts[0]


@cache
def _files() -> dict[str, list[str]]:
    """Every shipped file by its stem, in the order of paths."""
    found: list[str] = []
    folders = [str(_root())]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".yaml"):
                    found.append(entry.path)
                elif entry.is_dir():
                    folders.append(entry.path)
    stems: dict[str, list[str]] = {}
    for path in sorted(found):
        stems.setdefault(path.rpartition(os.sep)[2].removesuffix(".yaml"), []).append(path)
    return stems


def _said(path: Path) -> list[Entry]:
    """What a shipped file defines: a model, then its variants; or a block."""
    text = stored(path).decode("utf-8")
    kinds = dict(_KIND.findall(text)[::-1])
    match = _DOC.search(text)
    doc = " ".join((match[1] or match[2]).split()).strip("'\"") if match else ""
    family = _family(path.relative_to(_root()))
    if "model" not in kinds:
        return [Entry(kinds["block"], path, doc, family, "block")] if "block" in kinds else []
    tables = _VARIANTS.findall(text)
    variants = [name for table in tables for name in _VARIANT.findall(table)]
    return [
        Entry(kinds["model"], path, doc, family),
        *(Entry(name, path, doc, family, variant=True) for name in variants),
    ]


@cache
def _index() -> tuple[dict[str, list[Entry]], dict[str, list[Entry]]]:
    """Shipped models (with variants) and blocks by name, in the order of their paths."""
    models: dict[str, list[Entry]] = {}
    blocks: dict[str, list[Entry]] = {}
    for path in sorted(Path(path) for paths in _files().values() for path in paths):
        for entry in _said(path):
            kind = blocks if entry.kind == "block" else models
            kind.setdefault(entry.name, []).append(entry)
    return models, blocks


@cache
def shipped(name: str, what: str) -> list[Entry]:
    """The shipped models or blocks of a name: those in files called so, which need no others to be
    read (no name stands twice in the library); then any. Most stand where one looks first."""
    usual = f"{_root()}{os.sep}{'blocks' if what == 'block' else ''}{os.sep}{name}.yaml"
    if name.isidentifier() and os.path.isfile(usual):  # noqa: PTH113 (before anything is listed)
        first = [one for one in _said(Path(usual)) if (one.name, one.kind) == (name, what)]
        if first:
            return first
    entries = [entry for path in _files().get(name, ()) for entry in _said(Path(path))]
    called = [one for one in entries if (one.name, one.kind) == (name, what)]
    return called or ([] if what == "block" else _index()[0].get(name, []))


def models() -> list[Entry]:
    """Every shipped model and variant, by family and name."""
    found = [entry for entries in _index()[0].values() for entry in entries]

    def place(entry: Entry) -> tuple[str, int, str, bool, str]:
        parts = len(entry.path.parts)  # the top of a family first
        return entry.family, parts, str(entry.path), entry.variant, entry.name

    return sorted(found, key=place)


def about(family: str) -> str:
    """What the main file of a family says: the one of its name, else that of the oldest paper."""
    found = [entry for entry in models() if entry.family == family and not entry.variant]

    def place(entry: Entry) -> tuple[bool, str, bool]:
        papers = _PAPER.findall(entry.doc)
        text = entry.path.read_text("utf-8")
        return entry.path.stem != family, min(papers, default="later"), "\nextends:" in text

    return min(found, key=place).doc


def blocks() -> list[Entry]:
    """Every shipped block, by name."""
    return sorted((e for entries in _index()[1].values() for e in entries), key=lambda e: e.name)


def known_blocks(folders: Sequence[Path]) -> list[str]:
    """Names of blocks to suggest: those in the folders, then the shipped ones."""
    beside = [
        path.stem
        for folder in folders
        for path in sorted(folder.glob("*.yaml"))[:200]
        if holds(path, "block")
    ]
    return [*beside, *_index()[1]]


def locate(name: str) -> tuple[Path, str | None]:
    """The file and the variant that a name or a path means.

    Errors: `not-found`, with the nearest name; `name-clash` where two shipped files have it.
    """
    file, _, variant = name.partition("#")
    if file.endswith((".yaml", ".yml")) or "/" in file or os.sep in file:
        other = kind(file)
        if other is not None:
            raise no_file(file, other)
        if not os.path.isfile(file):  # noqa: PTH113 (a name may be too long to ask for)
            raise error("not-found", f"there is no file `{file}`", help=_nearby(file))
        return Path(file), variant or None
    entries = shipped(file, "model")
    if not entries:
        help = did_you_mean(file, _index()[0], "`resspec list` names them; a file ends in .yaml")
        if len(file) < 200 and os.path.isfile(f"{file}.yaml"):  # noqa: PTH113
            help = f"did you mean the file `{file}.yaml`?"
        raise error("not-found", f"no model is called `{file}`", help=help)
    if len(entries) > 1:
        raise error(
            "name-clash",
            f"`{file}` is in {shown(entries[0].path)} and in {shown(entries[1].path)}",
            help="name the file: `path.yaml#variant`",
        )
    (entry,) = entries
    return Path(shown(entry.path)), variant or (file if entry.variant else None)


def _nearby(file: str) -> str | None:
    """What may be meant by a file that is not there."""
    if "://" in file:
        return "a spec is a file of this machine, or a name: download it first"
    if file.startswith("~"):
        return "`~` is not expanded here: write the folder out"
    if os.path.islink(file):  # noqa: PTH114 (a name may be too long to ask for)
        return "it is a link that leads nowhere"
    try:
        beside = [path.name for path in sorted(Path(file).parent.glob("*.y*ml"))[:200]]
    except OSError:  # a name that is too long, a folder that is not to be read
        return None
    near = suggest(Path(file).name, beside)
    return near and f"did you mean `{Path(file).parent / near}`?"


def candidates(name: str, what: str, folders: Sequence[Path]) -> list[Path]:
    """Files that define a `model` or a `block`, each once, equal texts counted as one: in the
    folders (a block also in their `blocks/`), then shipped."""
    beside = [folder / f"{name}.yaml" for folder in folders]
    if what == "block":
        beside = [path for one in beside for path in (one, one.parent / "blocks" / one.name)]
    paths = [path for path in beside if holds(path, what)]
    paths += [entry.path for entry in shipped(name, what)]
    if len(paths) < 2:
        return paths
    distinct = {real(path): path for path in reversed(paths)}
    texts = {content(path): path for path in distinct.values()} if len(distinct) > 1 else distinct
    return [*texts.values()][::-1]


def beside(folders: Sequence[Path]) -> list[Path]:
    """Those that the index does not know: all but the shipped ones, on their plain paths."""
    return [folder for folder in folders if not _below(os.path.abspath(folder))]  # noqa: PTH100


def ships(path: Path) -> bool:
    """Whether a file is one of the shipped ones."""
    return _below(str(path)) or real(path).is_relative_to(real(_root()))


def _below(path: str) -> bool:
    return f"{path}{os.sep}".startswith(f"{_root()}{os.sep}")


def holds(path: Path, what: str) -> bool:
    """Whether it is a file that defines a `model` or a `block`; nothing else is opened."""
    try:
        text = head(path, MAX_BYTES).decode("utf-8", "replace")
    except SpecError:
        return False
    kinds = dict(_KIND.findall(text)[::-1])
    return what in kinds and (what == "model" or "model" not in kinds)


def real(path: Path) -> Path:
    """Where links lead; a ring of links leads nowhere, and is no error."""
    return Path(os.path.realpath(path))


def shown(path: Path) -> str:
    """A path as messages name it: relative to here where that is shorter."""
    text = str(path)
    try:
        here = f"{os.getcwd()}{os.sep}"  # noqa: PTH109 (each block that is found asks for it)
        if text.startswith(here) and f"{os.sep}." not in text:
            return text.removeprefix(here)
        with_here = os.path.relpath(path)
    except OSError:  # here is no more
        return text
    return with_here if not with_here.startswith("..") else str(path)
