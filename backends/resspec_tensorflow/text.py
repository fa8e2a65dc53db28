"""Names of layers and statements as text, with line breaks."""

from __future__ import annotations

from dataclasses import dataclass

from resspec.emit.lines import broken
from resspec.emit.template import literal


@dataclass(frozen=True, slots=True)
class Path:
    """Source of a layer's name: literal parts and placeholders, as in an f-string. Its steps are
    joined by a sign that no name of a spec has and every engine of Keras takes: torch refuses dots.
    """

    text: str

    def __truediv__(self, part: str) -> Path:
        parts = (self.text, *part.split("."))
        return Path("-".join(filter(None, parts)))

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
        return broken(code, 4 + 4 * self.depth)
