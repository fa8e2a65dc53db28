"""Places where a network runs: a backend, on a device and in a dtype, or a file that it writes.

`torch`, `torch@cuda`, `torch@cuda:tf32`, `tensorflow@GPU:0:float16`, `keras:jax`, `onnx:int8`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resspec import backend as backends
from resspec.diagnostics import SpecError, did_you_mean, error

NARROW = ("bfloat16", "float16", "tf32")  # judged by what rounding to them explains
DTYPES = ("float64", "float32", *NARROW)
ENGINES = ("jax", "tensorflow", "torch")  # of Keras
ENGINE = re.compile(rf"keras:({'|'.join(ENGINES)})(?::(float64|float32))?")
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
        known = backends.get(self.backend).formats[self.format.partition(":")[0]].dtypes
        return tuple(one for one in wanted if one in known) or known[:1]


def endpoint(text: str) -> Endpoint:
    """What the word says. Errors: `no-backend`, `bad-value`."""
    keras = ENGINE.fullmatch(text)
    if keras is not None and "keras_file" in (files := _files()):
        owner, format = files["keras_file"]
        engine, dtype = keras.groups()
        if engine != "tensorflow":  # Keras' own batch norm computes in float32 there
            if dtype == "float64":
                raise error("bad-value", f"`{text}`: Keras computes norms in float32 on {engine}")
            dtype = "float32"
        return Endpoint(text, owner, None, dtype, f"{format}:{engine}")
    found = WORD.fullmatch(text)
    if found is None:
        raise _unknown(text)
    name, device, dtype = found.groups()
    if text in (files := _files()):
        return Endpoint(text, files[text][0], None, None, files[text][1])
    if name in backends.names() and dtype != "int8":
        return Endpoint(text, name, device, dtype)
    if name not in files:
        raise _unknown(text)
    owner, format = files[name]
    known = backends.get(owner).formats[format].dtypes
    if device is not None:
        message = f"`{text}`: files are run on the CPU"
        raise error("bad-value", message, help=f"write `{name}`")
    if dtype is not None and dtype not in known:
        message = f"`{text}`: a file of this kind runs in {' or '.join(known)}"
        raise error("bad-value", message, help=f"write `{name}`")
    return Endpoint(text, owner, None, dtype, format)


def foreign(text: str) -> Endpoint:
    """The same for another environment, whose backends are not known here."""
    found = WORD.fullmatch(text)
    if found is None or found[1] in _files():
        return endpoint(text)
    return Endpoint(text, *found.groups())


def words() -> tuple[str, ...]:
    """Endpoints that may be written, but for devices and dtypes."""
    files = _files()
    keras = [f"keras:{one}" for one in ENGINES] if "keras_file" in files else []
    return (*backends.names(), *files, *keras)


def _files() -> dict[str, tuple[str, str]]:
    """Backend and format of each kind of file that can be run."""
    return {
        one.endpoint or word: (name, word)
        for name in backends.names()
        for word, one in backends.get(name).formats.items()
        if one.dtypes
    }


def _unknown(text: str) -> SpecError:
    return error(
        "no-backend",
        f"`{text}` is no place where networks run; there are {', '.join(words())}, a backend also "
        "with a device, `@cpu`, and a dtype, `:bfloat16`",
        help=did_you_mean(text, words()),
    )
