"""Refresh the generated parts of README.md and docs/*.md: `make docs`."""

from __future__ import annotations

import argparse
import ast
import contextlib
import inspect
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import device, page, profiles
from resspec import api, zoo
from resspec.diagnostics import SpecError, render
from resspec.ops.base import OPS, words
from resspec.record import REQUIRED
from tests.conformance import report as conformance_report
from tests.export import ships
from tests.parity import table as parity_report

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def ops() -> str:
    """Tables of ops and of blocks."""
    lines = ["| op | arguments | does |", "| --- | --- | --- |"]
    for name, cls in sorted(OPS.items()):
        first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        arguments = []
        for key, field in cls.FIELDS.items():
            choice = words(cls, key)
            text = key if field.default is REQUIRED else f"{key}={shown(field.default)}"
            arguments.append(f"`{text}`" + (f" ({', '.join(choice)})" if choice else ""))
        lines.append(f"| `{name}` | {', '.join(arguments)} | {cell(first)} |")
    lines += ["", "| block | does |", "| --- | --- |"]
    for entry in zoo.blocks():
        lines.append(f"| `{entry.name}` | {cell(entry.doc)} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def shown(value: object) -> str:
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


def house() -> str:
    """Every source file with the first line of its docstring, in order of folders."""
    lines: list[str] = []
    homes = (ROOT / "resspec", ROOT / "backends")
    for package in (path.parent for home in homes for path in sorted(home.rglob("__init__.py"))):
        about = summary(package / "__init__.py")
        lines.append(f"{package.relative_to(ROOT).as_posix() + '/':<34}{about}".rstrip())
        for path in sorted(package.glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"  {path.name:<32}{summary(path)}")
    return "```text\n" + "\n".join(lines) + "\n```\n"


def summary(path: Path) -> str:
    """First paragraph of a module's docstring, on one line, cut at its first sentence."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = " ".join(doc.split("\n\n")[0].split())
    return first.split(". ")[0].rstrip(".")


def basic() -> str:
    """The class of a basic block, as the torch backend writes it."""
    found = re.search(r"^class Basic\(.*?(?=\n\n\n)", api.source("resnet34"), re.M | re.S)
    assert found is not None
    return f"```python\n{found[0]}\n```\n"


def mistake() -> str:
    """What is said of README's block with a word of it misspelt."""
    found = re.search(r"```yaml\n(model: mine\n.*?)```", README.read_text("utf-8"), re.S)
    assert found is not None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("mine.yaml").write_text(found[1].replace("kernel_size: 5", "kernal_size: 5"), "utf-8")
        try:
            api.load("mine.yaml")
        except SpecError as caught:
            told = render(caught.diagnostics[0])
            return f"```text\n$ resspec validate mine.yaml\n{told}\n```\n"
    raise AssertionError("the mistake is none")


def difference() -> str:
    """What `diff` says of two shipped networks."""
    pairs = (("resnet50", "resnet50d"), ("resnet50", "resnext101_32x8d"))
    shown = (f"$ resspec diff {a} {b}\n{api.diff(a, b)}" for a, b in pairs)
    return "```text\n" + "\n\n".join(shown) + "\n```\n"


def parity() -> str:
    """Each quantity's median and worst over all specs."""
    return parity_report.page()


def conformance() -> str:
    """What is proven of each family."""
    return conformance_report.page()


def benchmarks() -> str:
    """What was measured beside what was to be reached."""
    return page.markdown(page.lines(), profiles.read())


PARTS: dict[str, Callable[[], str]] = {
    "device": device.markdown,
    "ships": ships.page,
    "benchmarks": benchmarks,
    "house": house,
    "ops": ops,
    "basic": basic,
    "mistake": mistake,
    "difference": difference,
    "parity": parity,
    "conformance": conformance,
}


def refreshed(text: str) -> str:
    """The page with its generated parts made anew."""
    return MARKED.sub(lambda match: match[1] + PARTS[match[2]]() + match[3], text)


def main() -> None:
    argparse.ArgumentParser(prog="docs/generate.py", description=__doc__).parse_args()
    for path in PAGES:
        path.write_text(refreshed(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
