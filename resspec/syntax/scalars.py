"""What a bare YAML scalar means: the YAML 1.2 core rules, less what readers disagree on."""

import math
import re

MAX_INT = 2**63

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SWITCHES = {
    spelt: meant
    for word, meant in {"yes": "true", "on": "true", "no": "false", "off": "false"}.items()
    for spelt in (word, word.upper(), word.title())
}
_BEGIN = frozenset("0123456789+-.")  # of a number
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_OTHER_NUMBER = re.compile(
    r"[-+]?(0[0-9]+|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
    r"|[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?)"
)


class ScalarError(Exception):
    """A scalar that is not accepted: a diagnostic without its place."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(code, message, help)
        self.code = code
        self.message = message
        self.help = help


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a scalar without quotes.

    Errors: ScalarError `ambiguous-scalar` (`no`, `010`, `1_000`, `12:30`), or `bad-value` for a
    number that is not finite or beyond 2**63.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text in _SWITCHES:
        fix = _SWITCHES[text]
        message = f"`{text}` is a boolean to some YAML readers and text to others"
        raise ScalarError("ambiguous-scalar", message, f'write `{fix}`, or quote it: `"{text}"`')
    if text[0] not in _BEGIN:
        return text
    if _INT.fullmatch(text):
        if len(text) > 20 or abs(int(text)) > MAX_INT:
            raise ScalarError("bad-value", f"{_short(text)} is beyond 2**63")
        return int(text)
    if _OTHER_NUMBER.fullmatch(text):
        message = f"`{_short(text)}` is a different number, or text, to different YAML readers"
        advice = f'write it in plain decimal digits, or quote it: `"{_short(text)}"`'
        raise ScalarError("ambiguous-scalar", message, advice)
    if _SPECIAL.fullmatch(text):
        raise ScalarError("bad-value", f"`{text}` is not a finite number")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ScalarError("bad-value", f"{_short(text)} is too large for a number")
        return number
    return text


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
