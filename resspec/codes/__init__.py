"""The closed set of diagnostic codes, each with an explanation (`resspec explain CODE`).

Only data: a code is never renamed, since people search for it and scripts match on it. The texts
beside this file hold them, as `code: title`, why the rule is there, and an example: `| ` begins a
line of it, `- ` one that is wrong, `+ ` what is right instead, and `…` is how each model begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: a title, why the rule is there, a spec that breaks it, one that keeps it.

    `bad` and `good` are whole specs, or a command where the problem is not in the YAML.
    """

    title: str
    why: str
    bad: str
    good: str


def _read(subject: str) -> Iterator[tuple[str, Code]]:
    text = Path(__file__).with_name(f"{subject}.txt").read_text("utf-8")
    for part in text.strip().split("\n\n"):
        if part.startswith("# "):
            continue
        head, *lines = part.split("\n")
        name, title = head.split(": ", 1)
        why = " ".join(line for line in lines if line[:2] not in ("| ", "- ", "+ "))
        yield name, Code(title, why, _example(lines, "| ", "- "), _example(lines, "| ", "+ "))


def _example(lines: list[str], *marks: str) -> str:
    text = "".join(f"{line[2:]}\n" for line in lines if line[:2] in marks)
    return text.replace("…\n", "model: tiny\ninput: [3, 32, 32]\n").replace("\\a", "\a")


CODES = {name: code for subject in ("spec", "network", "use") for name, code in _read(subject)}
