"""Pages of the site for the shipped families: what they are, a picture, what each network costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from reference import table  # type: ignore[import-not-found]

from resspec import api, counted, zoo
from resspec.draw import drawn, sketch
from resspec.paths import specs_dir


def write(folder: Path) -> list[str]:
    """A page and a picture for each family; gives the lines of the page that leads to them."""
    folder.mkdir(exist_ok=True)
    lines = ["# Models", "", "As `resspec list` has them; MACs are those of one example.", ""]
    names = []
    for family, found in itertools.groupby(zoo.models(), key=lambda entry: entry.family):
        entries = list(found)
        (folder / f"{family}.md").write_text("\n".join(page(family, entries)) + "\n", "utf-8")
        example = smallest(entries)
        picture = drawn(sketch(api.load(example).graph, "stage"), ".svg")
        (folder / f"{family}.svg").write_bytes(picture)
        names.append(family)
        lines.append(f"- [{family}](families/{family}.md), {len(entries)}: {zoo.about(family)}")
    return [
        *lines,
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *(f"families/{one}" for one in names),
        "```",
    ]


def smallest(entries: list[zoo.Entry]) -> str:
    """The network of the main file, or of any, that has the fewest parameters."""
    known = [entry for entry in entries if entry.name in counted.table()]
    family = entries[0].family
    main = [entry for entry in known if entry.path.stem == family] or known
    return min(main, key=lambda entry: counted.table()[entry.name].params).name


def page(family: str, entries: list[zoo.Entry]) -> Iterator[str]:
    """A table a file, so that a file's doc stands once."""
    example = smallest(entries)
    yield from (f"# {family}", "", zoo.about(family), "")
    yield from (f"```{{figure}} {family}.svg", f":alt: `{example}`, stage by stage", "",
                f"`{example}`, as `resspec draw {example}` shows it.", "```")  # fmt: skip
    for path, found in itertools.groupby(entries, key=lambda entry: entry.path):
        members = list(found)
        file = path.relative_to(specs_dir())
        lines = len(path.read_text("utf-8").splitlines())
        yield from ("", f"## `specs/{file}`", "", members[0].doc, "")
        yield f"{len(members)} networks in {lines} lines."
        yield from table(("name", "input", "params", "MACs", "equal to"), map(_row, members))
    blocks = [entry for entry in zoo.blocks() if entry.family == family]
    if blocks:
        yield from ("## Its blocks", "")
        yield from (f"- `{entry.name}`: {entry.doc}" for entry in blocks)


def _row(entry: zoo.Entry) -> tuple[str, ...]:
    name = f"`{entry.name}`"
    if (found := counted.table().get(entry.name)) is None:
        return name, "", "", "", ""
    size = "×".join(map(str, found.input))
    return name, size, f"{found.params:,}", f"{found.macs:,}", ", ".join(found.equal_to)
