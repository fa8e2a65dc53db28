"""A weight file of any kind → arrays by name: what kind it is, which set is meant, what it takes.

Nothing in a file is executed, and what is read is bounded by what the caller has use for: the
tensors are placed and measured before the first number is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec import artifacts
from resspec.diagnostics import error
from resspec.weights.files import folder, hdf5, npz, safe, torch_files
from resspec.weights.files.folder import ENDINGS
from resspec.weights.files.pickles import DAMAGED
from resspec.weights.files.sets import Found, called, chosen
from resspec.weights.files.source import SAVE, Opened, Unreadable, shown
from resspec.weights.files.tensors import array_of, hollow, is_weight, measured
from resspec.weights.files.zips import Archive

SPARE = 128 << 20  # bytes beside twice the spec's weights, for a head of more classes and the like
TENSORS = 65_536
OF_KERAS = ("HDF5", "Keras")  # formats


@dataclass(frozen=True, slots=True)
class WeightSet:
    """A set of weights in a file. `key`: where it is, dotted; "" where the file is the set."""

    key: str
    tensors: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of one set in a file.

    tensors: by name as the file has it, in its order; float16 and bfloat16 widened to float32.
    Whole numbers and truth values (`num_batches_tracked`) are among them.
    dtypes: what the file holds, by name. chosen: the key of the set. sets: all that there are.
    layout: how a convolution's axes are ordered, OIHW (PyTorch) or HWIO (TensorFlow).
    strange: what stands in the place of those that are no tensors and were not read, in words.
    of_folder: which of a folder's files it is, for people.
    """

    path: Path
    format: str
    tensors: dict[str, NDArray[Any]]
    dtypes: Mapping[str, str]
    chosen: str = ""
    sets: tuple[WeightSet, ...] = ()
    layout: str = "OIHW"
    metadata: Mapping[str, str] = field(default_factory=dict)
    of_folder: str = ""
    strange: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> str:
        """What was taken, for people: "" where there was nothing to choose."""
        others = [one for one in self.sets if one.key != self.chosen]
        if not self.chosen and not others:
            return self.of_folder
        line = f"took `{called(self.chosen)}` ({len(self.tensors)} tensors)"
        if others:
            words = ", ".join(f"`{called(one.key)}` ({one.tensors})" for one in others[:5])
            line += f"; also there, with --key: {words}{', …' * (len(others) > 5)}"
        return f"{self.of_folder}; {line}" if self.of_folder else line


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file holds, its tensors not yet read."""

    format: str
    root: object
    layout: str = "OIHW"
    metadata: Mapping[str, str] = field(default_factory=dict)


Wanted = Callable[[Mapping[str, tuple[int, ...]], str], Collection[str]]


def read(
    path: str | Path, *, key: str | None = None, budget: int, wanted: Wanted | None = None
) -> Checkpoint:
    """The tensors of a file.

    key: which set, where there are several (`state_dict_ema`, `model.state_dict`), or the start
    of the names within one. budget: bytes that the weights of the spec take in float32; at most
    twice that and 128 MiB are read. wanted: which of them are read at all, by their shapes and the
    key of their set; the others are of their shape, and zeros that take no memory.
    Errors: SpecError (`io-error`, `weights-format`).
    """
    path = Path(path)
    with _told(path), ExitStack() as stack:
        found = folder.files(path)
        contents, taken, sets = _taken(found.taken, key, stack)
        tensors, asked = taken.tensors, set(taken.tensors)
        gone = [one for one in found.listed if one not in tensors and is_weight(one)]
        if gone and not key:
            raise Unreadable(f"its index lists `{shown(gone[0])}`, which none of its files holds")
        if wanted is not None:
            asked &= set(wanted({name: one.shape for name, one in tensors.items()}, taken.key))
        measured(((name, one) for name, one in tensors.items() if name in asked), limit(budget))
        arrays = {
            name: array_of(name, one) if name in asked else hollow(name, one)
            for name, one in tensors.items()
        }
        for again in found.again:
            read_here = {name: arrays[name] for name in tensors if name in asked}
            if why := _apart(again, key, read_here, limit(budget)):
                raise found.differ(again, why)
    dtypes = {name: tensor.dtype for name, tensor in taken.tensors.items()}
    every = tuple(WeightSet(one.key, len(one.tensors)) for one in sets)
    return Checkpoint(
        path, contents.format, arrays, dtypes, taken.key, every, contents.layout,
        contents.metadata, found.described(),
        {name: one.trouble for name, one in taken.tensors.items() if one.trouble},
    )  # fmt: skip


def _apart(
    paths: list[Path], key: str | None, arrays: Mapping[str, NDArray[Any]], most: int
) -> str:
    """Why files do not hold these arrays, one of which is compared at a time; "" where they do.
    most: bytes that are held, these arrays among them."""
    left = most - sum(array.nbytes for array in arrays.values())
    try:
        with ExitStack() as stack:
            tensors = _taken(paths, key, stack)[1].tensors
            for name, array in arrays.items():
                other = tensors.get(name)
                if other is None or other.shape != array.shape:
                    return f"`{shown(name)}` is another, or not there"
                measured([(name, other)], left)
                floats = array.dtype.kind == "f"
                if not np.array_equal(array, array_of(name, other), equal_nan=floats):
                    return f"`{shown(name)}` has other numbers"
    except Unreadable as problem:
        return problem.reason
    return ""


def check(path: str | Path, *, budget: int) -> str:
    """Its format; refuses what `read` would refuse before it reads numbers. Errors: as there."""
    with _told(Path(path)), ExitStack() as stack:
        contents, taken, _ = _taken(folder.files(Path(path)).taken, None, stack)
        measured(taken.tensors.items(), limit(budget))
        return contents.format


def limit(budget: int) -> int:
    """Bytes of numbers that are read where the weights of the spec take `budget` bytes."""
    return 2 * budget + SPARE


def keras_config(path: Path) -> Any:
    """The network that a `.keras` archive describes, as data. Errors: as for `read`."""
    with _told(path), Opened(path) as file:
        return hdf5.config(Archive(file))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a file, as a diagnostic."""
    try:
        yield
    except Unreadable as problem:
        raise error("weights-format", f"`{path}`: {problem.reason}", help=problem.help) from problem
    except OSError as problem:
        raise artifacts.io_error("read", path, problem) from problem


def _taken(
    paths: list[Path], key: str | None, stack: ExitStack
) -> tuple[_Contents, Found, list[Found]]:
    """The set that is meant, its tensors placed and none read; the files stay open in `stack`."""
    contents, taken, sets = _one(stack.enter_context(Opened(paths[0])), key)
    for shard in paths[1:]:
        _, more, _ = _one(stack.enter_context(Opened(shard)), key)
        if twice := taken.tensors.keys() & more.tensors.keys():
            raise Unreadable(f"two of its files hold `{shown(min(twice))}`")
        taken.tensors.update(more.tensors)
    if len(taken.tensors) > TENSORS:
        raise Unreadable(f"it holds {len(taken.tensors):,} tensors; at most {TENSORS:,} are read")
    return contents, taken, sets


def _one(file: Opened, key: str | None) -> tuple[_Contents, Found, list[Found]]:
    contents = _contents(file)
    taken, sets = chosen(contents.root, key, trees=contents.format == "pickle")
    return replace(contents, root=None, layout=_layout(contents, taken)), taken, sets


def _contents(file: Opened) -> _Contents:
    """By what the file begins with, whatever it is called."""
    start = file.read(0, min(512, file.size))
    if not start:
        raise Unreadable("it is empty")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(Archive(file))
    if start.startswith(npz.MAGIC):
        raise Unreadable("it is one array without a name",
                         "save arrays by name: `numpy.savez(FILE, **arrays)`")  # fmt: skip
    if safe.looks_so(start):
        tensors, metadata = safe.read(file)
        return _Contents("safetensors", tensors, metadata=metadata)
    if start.startswith(hdf5.MAGIC):
        return _Contents("HDF5", hdf5.read(file, 0, file.size), "HWIO")
    _refuse_others(start)
    try:
        root, ours = torch_files.read_pickles(file)
    except Unreadable as problem:
        if problem.reason == DAMAGED and not start.startswith(b"\x80"):
            onnx = "`resspec import` takes ONNX files" if file.path.suffix == ".onnx" else None
            raise Unreadable(UNKNOWN, onnx) from problem
        raise
    return _Contents("PyTorch, before 1.6" if ours else "pickle", root)


def _zipped(archive: Archive) -> _Contents:
    names = archive.members
    folder = torch_files.is_zip(archive)
    prefix = f"{folder}/" if folder else ""
    if any(name.endswith("archive_format") or "/models/" in f"/{name}" for name in names):
        raise Unreadable("it is an exported program (`.pt2`), which holds code",
                         SAVE)  # fmt: skip
    if folder is not None:
        if any(name.startswith(f"{prefix}code/") for name in names):
            raise Unreadable("it is a TorchScript archive, which holds code",
                             "save `torch.jit.load(FILE).state_dict()` instead")  # fmt: skip
        return _Contents("PyTorch", torch_files.read_zip(archive, folder))
    if hdf5.is_keras(archive):
        return _Contents("Keras", hdf5.read_keras(archive), "HWIO")
    if npz.is_npz(archive):
        return _Contents("npz", npz.read_npz(archive))
    held = ", ".join(f"`{shown(name)}`" for name in list(names)[:3]) or "nothing"
    packed = any(name.endswith(ENDINGS) for name in names)
    raise Unreadable(f"it is a zip archive, but no checkpoint: it holds {held}",
                     "unpack it first" if packed else None)  # fmt: skip


UNKNOWN = "it is no file of weights: neither PyTorch's, Keras' or NumPy's, nor safetensors"
OTHERS = {
    b"\x1f\x8b": ("compressed by gzip", "unpack it first"),
    b"BZh": ("compressed by bzip2", "unpack it first"),
    b"\xfd7zXZ\x00": ("compressed by xz", "unpack it first"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it first"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"version https://git-lfs": ("the pointer of a file in Git LFS", "fetch it: `git lfs pull`"),
    b"<!DOCTYPE": ("a web page", "the download went wrong"),
    b"<html": ("a web page", "the download went wrong"),
    b"<?xml": ("a web page", "the download went wrong"),
    b'{"error"': ("a server's answer that there is none", "the download went wrong"),
}
BLANK = b"\xef\xbb\xbf \t\r\n"  # what may stand before a text


def _refuse_others(start: bytes) -> None:
    """What is known, and no checkpoint that can be read."""
    for magic, (what, help) in OTHERS.items():
        if start.lstrip(BLANK).lower().startswith(magic.lower()):
            raise Unreadable(f"it is {what}", help)
    if not start.strip(b"\0"):
        raise Unreadable("it begins with zeros alone", "the download or the copy went wrong")
    if start[257:262] == b"ustar":
        raise Unreadable("it is a tar archive", "unpack it first")


def _layout(contents: _Contents, taken: Found) -> str:
    """TensorFlow's arrays are called kernels wherever they are stored."""
    wide = [name for name, tensor in taken.tensors.items() if len(tensor.shape) == 4]
    kernels = bool(wide) and all("kernel" in name for name in wide)
    return "HWIO" if kernels else contents.layout
