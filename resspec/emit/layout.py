"""Long expressions over several lines, the way a formatter would leave them."""

from __future__ import annotations

from resspec.emit.text import WIDTH

OPEN, CLOSE = "([{", ")]}"


def layout(text: str, indent: str, suffix: str = "", width: int = WIDTH) -> list[str]:
    """Lines of a statement or argument. One that is too long opens its last bracket: plain
    arguments on one line if they fit, else one a line, with a comma after the last."""
    if len(indent) + len(text) + len(suffix) <= width:
        return [f"{indent}{text}{suffix}"]
    start = _last_bracket(text)
    if start is None:
        return [f"{indent}{text}{suffix}"]
    head, inside, tail = text[: start + 1], text[start + 1 : -1], text[-1]
    parts = split(inside, " for ")
    deeper = indent + "    "
    lines = [indent + head]
    is_call = text[start - 1] == "_" or text[start - 1].isalnum()
    plain = is_call and not any(char in inside for char in OPEN)
    if plain and len(parts) == 1 and len(deeper) + len(inside) <= width:
        lines.append(deeper + inside)
    elif len(parts) > 1:
        lines += layout(parts[0], deeper, width=width)
        for part in parts[1:]:
            lines += layout(f"for {part}", deeper, width=width)
    else:
        for part in split(inside, ", "):
            lines += layout(part, deeper, ",", width)
    return [*lines, f"{indent}{tail}{suffix}"]


def split(text: str, separator: str) -> list[str]:
    """The text cut at separators that stand outside brackets and strings."""
    parts: list[str] = []
    start = depth = position = 0
    quote = ""
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in OPEN:
            depth += 1
        elif char in CLOSE:
            depth -= 1
        elif not depth and text.startswith(separator, position):
            parts.append(text[start:position])
            position += len(separator)
            start = position
            continue
        position += 1
    return [*parts, text[start:]]


def _last_bracket(text: str) -> int | None:
    """Where the bracket opens that the text's last character closes; None if it closes none."""
    if text[-1:] not in tuple(CLOSE) or text[-2:-1] in tuple(OPEN):
        return None
    for start in range(len(text) - 1):
        if text[start] in OPEN and _closes(text, start):
            return start
    return None


def _closes(text: str, start: int) -> bool:
    """Whether the bracket at `start` is closed by the last character and not before."""
    depth, quote, skip = 0, "", False
    for position in range(start, len(text)):
        char = text[position]
        if skip:
            skip = False
        elif quote:
            skip = char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in OPEN:
            depth += 1
        elif char in CLOSE:
            depth -= 1
            if not depth:
                return position == len(text) - 1
    return False
