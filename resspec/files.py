"""Files from strangers: regular ones only, opened without waiting, never read beyond a bound."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from resspec.diagnostics import Span, SpecError, error

MAX_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_DRAFT: ContextVar[tuple[str, bytes] | None] = ContextVar("draft", default=None)


@contextmanager
def drafted(path: Path, data: bytes) -> Iterator[None]:
    """Inside, the file holds this, as an editor has it, whatever is on the disk."""
    before = _DRAFT.set((os.path.realpath(path), data))
    try:
        yield
    finally:
        _DRAFT.reset(before)


def kind(path: str | Path) -> str | None:
    """`a FIFO`, `a folder`…: what is there instead of a file; None for a file and for nothing."""
    try:
        return _kind(os.stat(path).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return None


def content(path: Path) -> bytes:
    """All bytes of a file, which are no more than a spec can have.

    Errors: SpecError `not-found`, `io-error` (no regular file, too), `file-too-large`, which costs
    no memory.
    """
    data = head(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        start = Span(str(path), 1, 1, 1, 1)
        raise error("file-too-large", "the file is larger than 1 MiB", start)
    return data


def unchanged(path: Path) -> bytes:
    """As `content`, of a file that nobody writes while it is read, which is read once."""
    return content(path) if _DRAFT.get() is not None else stored(path)


def stored(path: Path) -> bytes:
    """The same as the disk has it, whatever an editor has."""
    now = os.stat(path)  # noqa: PTH116
    return _kept(path, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=512)
def _kept(path: Path, changed: int, size: int) -> bytes:
    return path.read_bytes()


def head(path: Path, most: int) -> bytes:
    """The first bytes of a file; what is none is not even opened, which has effects of its own.

    Errors: SpecError `not-found`, `io-error`.
    """
    draft = _DRAFT.get()
    if draft is not None and os.path.realpath(path) == draft[0]:
        return draft[1][:most]
    other = kind(path)
    if other is not None:
        raise no_file(path, other)
    try:
        handle = os.open(path, _FLAGS)
        with open(handle, "rb") as stream:  # noqa: PTH123
            other = _kind(os.fstat(handle).st_mode)  # it may have been changed meanwhile
            if other is not None:
                raise no_file(path, other)
            return stream.read(most)
    except FileNotFoundError:
        raise error("not-found", f"there is no file `{path}`") from None
    except (OSError, ValueError) as caught:
        reason = getattr(caught, "strerror", None) or str(caught)
        raise error("io-error", f"`{path}` cannot be read: {reason}") from None


def no_file(path: str | Path, other: str) -> SpecError:
    """That something is `a FIFO`, and is not read."""
    return error("io-error", f"`{path}` is {other}, not a file")


def _kind(mode: int) -> str | None:
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")
