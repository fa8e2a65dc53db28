"""Files that a framework loads without resspec, beside those that every build writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from resspec import backend as backends
from resspec.backend import Format
from resspec.diagnostics import SpecError, error, escape

if TYPE_CHECKING:
    from resspec.api import Compiled
    from resspec.artifacts import Staging
    from resspec.backend import Array
    from resspec.running import Running

ALL, NONE = "all", "none"


def chosen(words: Sequence[str] | None, known: Mapping[str, Format]) -> tuple[str, ...]:
    """The formats that words name, each once, in the backend's order.

    No words: what is native. `all` and `none` stand alone. Errors: ValueError with the word.
    """
    if words is None:
        return tuple(word for word, one in known.items() if one.native)
    if list(words) in ([ALL], [NONE]):
        return tuple(known) if ALL in words else ()
    for word in words:
        if word not in known:
            raise ValueError(word)
    return tuple(word for word in known if word in words)


def rounds(backend: str, word: str) -> bool:
    """Whether a format is one of eight bits, for which there are examples."""
    return bool(backends.get(backend).formats[word].rounds)


def calibrated(examples: Array | None) -> str:
    """By what a file of eight bits got its ranges."""
    if examples is None:
        from resspec.calibration import SYNTHETIC  # NumPy with it

        return f"{SYNTHETIC} synthetic examples; --calibrate takes your own"
    return f"{len(examples)} example{'s' * (len(examples) != 1)}"


def owned() -> tuple[str, ...]:
    """Patterns of the files that an export by any installed backend may have left in a folder."""
    found: dict[str, None] = {}
    for name in backends.names():
        for one in backends.get(name).formats.values():
            found.update(dict.fromkeys(one.files or (one.file,)))
    return tuple(found)


def write(
    compiled: Compiled,
    live: Running,
    format: str,
    staging: Staging,
    dtypes: Mapping[str, str],
    examples: Array | None = None,
) -> str:
    """Add the model in that format to a folder in the making; the name of its file.

    dtypes: by canonical name, what a file of plain weights shall hold. examples: NCHW, by which a
    file of eight bits gets its ranges.
    Errors: `no-exporter`, `export-failed`, `io-error`.
    """
    file = compiled.backend.formats[format].file
    with staging.place(file) as path:
        try:
            live.export(compiled.graph, format, path, dtypes, examples)
        except (SpecError, OSError, MemoryError):
            raise
        except ImportError as missing:
            message = f"{compiled.backend.name} writes {format} with what cannot be imported"
            raise error(
                "no-exporter",
                f"{message}: {escape(str(missing))}",
                help="install it, or choose other formats with --export",
            ) from missing
        except Exception as problem:
            raise _failed(compiled, format, problem) from problem
    return file


def _failed(compiled: Compiled, format: str, problem: Exception) -> SpecError:
    """What the framework's exporter said, in one line."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    # a line that ends so says only where: "in user code:"
    telling = [line for line in lines if not line.endswith(":")] or lines or ["no message"]
    return error(
        "export-failed",
        f"{compiled.backend.name} cannot write {compiled.graph.name} as {format}: "
        f"{type(problem).__name__}: {escape(telling[0][:300])}",
        help="choose other formats with --export",
    )
