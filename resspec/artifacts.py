"""Files that a command leaves behind: whole or not at all, and nothing overwritten unasked."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from resspec.diagnostics import SpecError, error
from resspec.files import kind


def io_error(action: str, path: Path, problem: OSError) -> SpecError:
    """The operating system's refusal as a diagnostic: `cannot write `x`: No space left…`."""
    return error("io-error", f"cannot {action} `{path}`: {problem.strerror or problem}")


def write_file(path: Path, data: bytes | Sequence[bytes], *, force: bool = False) -> None:
    """Write a file, whole or not at all; folders above it are made.

    Errors: `exists` where there is one already and `force` is not set; `io-error`.
    """
    target = Path(os.path.realpath(path))
    other = kind(target)
    if other is not None:
        raise _exists(path, f"it is {other}", "choose another place")
    if os.path.lexists(path) and not force:
        raise _exists(path, "it is there already")
    parts = [data] if isinstance(data, bytes) else data
    try:
        with _parents(target.parent):
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.writelines(parts)
                    _settle(file.fileno())
                os.chmod(name, 0o666 & ~_umask())
                os.replace(name, target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
    except OSError as problem:
        raise io_error("write", path, problem) from problem


class Staging:
    """A folder that is being filled, out of sight until it is complete."""

    def __init__(self, folder: Path, shown: Path) -> None:
        self._folder, self._shown = folder, shown

    def write(self, name: str, data: bytes | Sequence[bytes]) -> None:
        """Add a file. Errors: `io-error`."""
        parts = [data] if isinstance(data, bytes) else data
        try:
            with open(self._folder / name, "xb") as file:
                file.writelines(parts)
                _settle(file.fileno())
        except OSError as problem:
            raise io_error("write", self._shown / name, problem) from problem

    @contextlib.contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """Where something else writes `name` inside the `with`, a file or a folder.

        Errors: `io-error`.
        """
        path = self._folder / name
        try:
            yield path
            for one in [path, *path.rglob("*")]:
                os.chmod(one, (0o777 if one.is_dir() else 0o666) & ~_umask())
                if one.is_file():
                    with open(one, "rb") as file:
                        _settle(file.fileno())
        except OSError as problem:
            raise io_error("write", self._shown / name, problem) from problem


@contextlib.contextmanager
def folder(path: Path, names: Collection[str], *, force: bool = False) -> Iterator[Staging]:
    """A folder with the files written inside the `with`; on any exception it is as it was before.

    With `force` an existing folder is replaced, but only if it holds no file beside `names`, which
    may be patterns (`saved/variables/*`): a folder with anything else in it is never removed.
    Errors: `exists`, before anything is done; `io-error`.
    """
    target = Path(os.path.realpath(path))
    try:
        _check(path, target, names, force)
        with _parents(target.parent):
            hidden = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            try:
                yield Staging(hidden, path)
                _check(path, target, names, force)
                os.chmod(hidden, 0o777 & ~_umask())
                _swap(hidden, target)
            finally:
                shutil.rmtree(hidden, ignore_errors=True)
    except OSError as problem:
        raise io_error("write", path, problem) from problem


def _check(path: Path, target: Path, names: Collection[str], force: bool) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise _exists(path, f"it is {kind(target) or 'a file'}", "choose another folder")
    inside = sorted(entry.name for entry in target.iterdir())
    if not inside:
        return
    if not force:
        raise _exists(path, "it is not empty")
    strange = [name for name in inside if not _is_ours(target / name, target, names)]
    if strange:
        shown = ", ".join(strange[:3]) + (", …" if len(strange) > 3 else "")
        raise _exists(
            path,
            f"it holds what resspec did not write: {shown}",
            "choose another folder; --force replaces earlier output only",
        )


def _is_ours(path: Path, target: Path, names: Collection[str]) -> bool:
    """Whether it is a file of these names, or a folder of nothing else."""
    if path.is_dir() and not path.is_symlink():
        folder = path.relative_to(target).as_posix()
        ours = any(name.startswith(f"{folder}/") for name in names)
        return ours and all(_is_ours(one, target, names) for one in path.iterdir())
    name = path.relative_to(target).as_posix()
    return path.is_file() and any(fnmatchcase(name, pattern) for pattern in names)


def _exists(
    path: Path, why: str, help: str = "choose another place, or add --force to replace it"
) -> SpecError:
    return error("exists", f"`{path}` is not overwritten: {why}", help=help)


def _swap(hidden: Path, target: Path) -> None:
    """Put `hidden` in the place of `target`; if that fails, `target` is as it was."""
    if not target.exists():
        os.rename(hidden, target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)) / "old"
    try:
        os.rename(target, old)
        try:
            os.rename(hidden, target)
        except BaseException:
            os.rename(old, target)
            raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)


@contextlib.contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make a folder and those above it; take away again what was made if the body fails."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    made = []
    try:
        for one in reversed(missing):
            one.mkdir()
            made.append(one)
        yield
    except BaseException:
        for one in reversed(made):
            with contextlib.suppress(OSError):
                one.rmdir()
        raise


def _settle(descriptor: int) -> None:
    """Have the bytes on the disk, so that a full one is noticed now."""
    try:
        os.fsync(descriptor)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
