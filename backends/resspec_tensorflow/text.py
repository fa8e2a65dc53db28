"""Names of layers and statements as text, with line breaks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from resspec.emit.template import literal
from resspec.emit.text import WIDTH

OPEN, CLOSE = "([{", ")]}"


def pieces(code: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Outermost bracket pairs of a line, and the places of its outermost commas."""
    pairs: list[tuple[int, int]] = []
    commas: list[int] = []
    depth, start, quoted = 0, 0, False
    for place, char in enumerate(code):
        if char == '"' and code[place - 1] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif char in OPEN:
            depth += 1
            start = place if depth == 1 else start
        elif char in CLOSE:
            depth -= 1
            if depth == 0:
                pairs.append((start, place))
        elif char == "," and depth == 0:
            commas.append(place)
    return pairs, commas


def fit(code: str, indent: int = 0, comment: str = "") -> list[str]:
    """The statement in lines of at most WIDTH characters where its brackets allow it.

    As Black does: the longest bracket's content on a line of its own, else one element a line.
    A comment goes after the first line.
    """
    pad = " " * indent
    if len(pad + code + comment) <= WIDTH:
        return [pad + code + comment]
    pairs, _ = pieces(code)
    pairs = [(start, end) for start, end in pairs if end > start + 1]
    if not pairs:
        return [pad + code + comment]
    start, end = max(pairs, key=lambda pair: pair[1] - pair[0])
    content = code[start + 1 : end].removesuffix(",")
    inner = indent + 4
    if inner + len(content) <= WIDTH:
        body = [" " * inner + content]
    else:
        _, commas = pieces(content)
        cuts = [-1, *commas, len(content)]
        body = []
        for first, last in pairwise(cuts):
            body += fit(content[first + 1 : last].strip() + ",", inner)
    return [pad + code[: start + 1] + comment, *body, pad + code[end:]]


@dataclass(frozen=True, slots=True)
class Path:
    """Source of a layer's name: literal parts and placeholders, as in an f-string."""

    text: str

    def __truediv__(self, part: str) -> Path:
        return Path(".".join(filter(None, (self.text, part))))

    def __str__(self) -> str:
        if self.text.startswith("{") and self.text.find("}") == len(self.text) - 1:
            return self.text[1:-1]
        return ("f" if "{" in self.text else "") + literal(self.text)


@dataclass(slots=True)
class Statement:
    code: str
    depth: int
    target: str = ""

    @property
    def lines(self) -> list[str]:
        code = f"{self.target} = {self.code}" if self.target else self.code
        return fit(code, 4 + 4 * self.depth)
