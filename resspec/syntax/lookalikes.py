"""Characters that look like those of the language, or like nothing: named where they stand.

A no-break space, a full-width colon, a typographic quote or a Cyrillic letter comes with text that
was copied from a page, and the eye cannot find it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from resspec.diagnostics import Diagnostic
from resspec.syntax.place import place

_SAME = {
    **dict.fromkeys("‘’‚‛′`´ʹʼ", "'"),
    **dict.fromkeys("“”„‟″«»〝〞", '"'),
    **dict.fromkeys("‐‑‒–—―−⁃﹘﹣－", "-"),
    **dict.fromkeys("∶ː꞉﹕︓։׃", ":"),
    **dict.fromkeys("，、‚٫﹐︐", ","),
    **dict.fromkeys("×∗⁎✱", "*"),
    **dict.fromkeys("⁄∕÷", "/"),
    **dict.fromkeys("【〔", "["),
    **dict.fromkeys("】〕", "]"),
    **dict.fromkeys("。．·", "."),
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "＝": "=",
}
del _SAME["`"]
_SCRIPTS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")  # with letters that Latin has, too
_WORD = re.compile(r"\w+")
_LINE = re.compile(r"[^\n]+")
_DOC = re.compile(r"[\s\-{,]*[\"']?doc[\"']?\s*:")


def named(char: str) -> str:
    """`U+00A0 NO-BREAK SPACE`, with the character itself where it shows."""
    name = unicodedata.name(char, "")
    shown = f" `{char}`" if char.isprintable() and not char.isspace() else ""
    return f"U+{ord(char):04X}{' ' if name else ''}{name}{shown}"


def meant(char: str) -> str | None:
    """What a reader takes it for, `""` where nothing is seen; None for what is itself."""
    if char.isascii():
        return None
    if char in _SAME:
        return _SAME[char]
    kind = unicodedata.category(char)
    if kind == "Zs":
        return " "
    if kind in ("Cf", "Cc", "Zl", "Zp") or char in "\u115f\u1160\u3164\uffa0\u034f":
        return ""
    if unicodedata.combining(char) or "VARIATION SELECTOR" in unicodedata.name(char, ""):
        return None
    folded = unicodedata.normalize("NFKC", char)
    raised = unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<circle>"))
    return folded if len(folded) == 1 and folded.isascii() and not raised else None


def find(text: str, begin: int = 0, end: int | None = None) -> Iterator[int]:
    """Where characters stand that are not what they seem, letters of another script included."""
    stop = len(text) if end is None else end
    if text[begin:stop].isascii():
        return
    strange = [i for i in range(begin, stop) if meant(text[i]) is not None]
    for word in _WORD.finditer(text, begin, stop):
        if any(char.isascii() for char in word.group()):
            strange += (i for i in range(*word.span()) if _foreign(text[i]))
    yield from sorted(set(strange))


def _foreign(char: str) -> bool:
    return not char.isascii() and unicodedata.name(char, "").startswith(_SCRIPTS)


def diagnose(text: str, index: int, file: str) -> Diagnostic:
    """The character at `index`, by its name, and what to write instead."""
    char = text[index]
    instead = meant(char)
    if instead == "":
        message, advice = f"{named(char)} stands here, and is not seen", "remove it"
    elif instead == " ":
        message, advice = f"{named(char)} stands here: it is no space", "write a space"
    elif instead is None:
        message = f"{named(char)} stands here: it is no Latin letter"
        advice = "write the word anew"
    else:
        message = f"{named(char)} stands where `{instead}` is meant"
        advice = f"write `{instead}`"
    return Diagnostic("encoding", message, place(text, index, file), help=advice)


def blame(text: str, begin: int, end: int, file: str) -> list[Diagnostic]:
    """Such characters in the lines of a stretch, quotes, comments and docs left out."""
    first = text.rfind("\n", 0, begin) + 1
    found: list[Diagnostic] = []
    prose = -1  # how far in the doc begins whose lines these are
    for line in _LINE.finditer(text, first, end):
        bare = line.group()
        indent = len(bare) - len(bare.lstrip(" -"))
        prose = indent if _DOC.match(bare) else prose if indent > prose else -1
        if prose < 0 and not bare.isascii():
            found += (diagnose(text, line.start() + i, file) for i in find(_blanked(bare)))
    return found


def _blanked(line: str) -> str:
    """The line with its quoted texts and its comment overwritten."""

    def blank(match: re.Match[str]) -> str:
        return "x" * len(match.group())

    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?:^|(?<=\s))#.*", blank, line)
