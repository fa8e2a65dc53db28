"""Places where a network runs: a backend, on a device (`@`) and in a dtype (`:`), or a file that it
writes, run as its framework's users run it or by another engine, in one of the file's dtypes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resspec import backend as backends
from resspec.diagnostics import SpecError, did_you_mean, error, suggest

NARROW = ("bfloat16", "float16", "tf32")  # judged by what rounding to them explains
DTYPES = ("float64", "float32", *NARROW)
SHORT = {
    word: dtype
    for dtype, also in (("bfloat16", "bf16"), ("float16", "fp16 half"), ("float32", "fp32 float"),
                        ("float64", "fp64 double")) for word in also.split()
}  # fmt: skip
PARTS = re.compile(r"([^@:\s]*)\s*(@[^:\s]*(?::-?[0-9]+)?)?\s*(.*)", re.DOTALL)
WORD = re.compile(rf"([a-z_0-9]+)(?:@([A-Za-z]+(?::[0-9]+)?))?(?::({'|'.join(DTYPES)}|int8))?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """text: as it was written. device, dtype, format: where they are its own; a format may name
    after a colon what runs the file."""

    text: str
    backend: str
    device: str | None = None
    dtype: str | None = None
    format: str | None = None

    @property
    def evaluates(self) -> bool:
        """Whether it gives outputs alone."""
        return self.format is not None or self.dtype in NARROW

    def dtypes(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """In which of the dtypes it is compared: its own, or those of the wanted that it has."""
        if self.dtype is not None:
            return (self.dtype,)
        if self.format is None:
            return wanted
        known = backends.get(self.backend).formats[self.format.partition(":")[0]].runs(self.format)
        return tuple(one for one in wanted if one in known) or known[:1]


def endpoint(text: str) -> Endpoint:
    """What the word says. Errors: `no-backend`, `bad-value`."""
    files = _files()
    if text in files:
        owner, format, _ = files[text]
        return Endpoint(text, owner, None, None, format)
    word, _, last = text.rpartition(":")
    if word in files and last in DTYPES:
        owner, format, known = files[word]
        if last not in known:
            message = f"`{text}`: a file of this kind runs in {' or '.join(known)}"
            raise error("bad-value", message, help=f"write `{word}`")
        return Endpoint(text, owner, None, last, format)
    found = WORD.fullmatch(text)
    name, device, dtype = found.groups() if found else ("", None, None)
    file = text.partition("@")[0]
    if file in files and file != text:
        message = f"`{text}`: files are run on the CPU"
        raise error("bad-value", message, help=f"write `{file}`")
    if name not in backends.names() or dtype == "int8":
        raise _unknown(text)
    return Endpoint(text, name, device, dtype)


def foreign(text: str) -> Endpoint:
    """The same for another environment, whose backends are not known here."""
    found = WORD.fullmatch(text)
    if found is None or found[1] in _files():
        return endpoint(text)
    return Endpoint(text, *found.groups())


def words() -> tuple[str, ...]:
    """Endpoints that may be written, but for devices and dtypes."""
    return (*backends.names(), *_files())


def _files() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Backend and format of each kind of file that can be run, and the dtypes that it runs in; by
    another engine, too."""
    found = {}
    for name in backends.names():
        for word, one in backends.get(name).formats.items():
            if one.dtypes:
                found[one.endpoint or word] = (name, word, one.dtypes)
            for engine, dtypes in one.engines.items():
                found[f"{word}:{engine}"] = (name, f"{word}:{engine}", dtypes)
    return found


def _unknown(text: str) -> SpecError:
    known = words()
    parts = PARTS.fullmatch(text)
    assert parts is not None  # it takes any text
    name, device, dtype = parts.groups()
    meant = name if name in backends.names() else suggest(name, backends.names())
    if meant is not None and (name == meant or device or dtype):
        asked = dtype.lstrip(": ")
        spelt = SHORT.get(asked.lower(), asked)
        right = f"{meant}{device or ''}{f':{spelt}' if spelt else ''}"
        if text != right and WORD.fullmatch(right) and spelt != "int8":
            message = f"`{text}` is no place where networks run"
            return error("bad-value", message, help=f"did you mean `{right}`?")
        if device and not WORD.fullmatch(meant + device):
            message = f"`{text}`: `{device[1:]}` is no device's name"
            return error(
                "bad-value",
                message,
                help=f"write `{meant}@cpu`, or the framework's word for another",
            )
        eight = ", ".join(word for word in known if word.endswith(":int8"))
        help = (
            f"files of eight bits: {eight}" if asked == "int8" else f"there are {', '.join(DTYPES)}"
        )
        return error("bad-value", f"`{text}`: no backend computes in `{asked}` here", help=help)
    return error(
        "no-backend",
        f"`{text}` is no place where networks run; there are {', '.join(known)}, a backend also "
        "with a device, `@cpu`, and a dtype, `:bfloat16`",
        help=did_you_mean(text, known) or did_you_mean(name, known),
    )
