"""Examples by which files of eight bits get their ranges: a folder of images, arrays, or noise."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.diagnostics import SpecError, error, escape
from resspec.files import kind, no_file
from resspec.weights import example
from resspec.weights.files import npz
from resspec.weights.files.source import Opened, Unreadable, shown
from resspec.weights.files.tensors import FLOATS, PLAIN, Lazy, array_of
from resspec.weights.files.zips import Archive

Array = NDArray[Any]
Say = Callable[[str], None]
SYNTHETIC = 16  # examples
MOST = 512  # examples that are taken
LISTED = 100_000  # entries of a folder that are looked at
BYTES = 1 << 30  # of numbers in one file
PIXELS = 1 << 26  # of one image
NUMBERED = re.compile(r"arr_\d+")  # by `numpy.savez`, arrays without a name
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
ARRAYS = (".npz", ".npy")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def synthetic(shape: tuple[int, ...]) -> Array:
    """Standard normal examples (N, C, H, W), other ones than networks are compared on."""
    return example((SYNTHETIC, *shape), seed=1 << 16)


def read(path: Path, shape: tuple[int, ...], say: Say = lambda _: None) -> Array:
    """Examples (N, C, H, W) for an input (C, H, W): of a folder, an .npz or an .npy.

    Arrays are what the network is fed, (N, C, H, W) or (N, H, W, C), one example also without N; of
    an .npz with several names, `x`, which `say` is told.
    Images are scaled to the input's size and normalised as for ImageNet. At most MOST are taken,
    in the order of their names; no more files are read than hold them.
    Errors: SpecError(bad-value, io-error, not-found).
    """
    found: list[Array] = []
    left, told = MOST, set[str]()
    try:
        files = sorted(_listed(path)) if path.is_dir() else [path]
        for file in files:
            for one in _examples(file, shape, told.add):
                found.append(one[:left])
                left -= len(found[-1])
            if left == 0:
                break
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error("io-error", f"`{escape(str(path))}` cannot be read: {reason}") from problem
    if left == MOST:
        raise _none(path)
    whole = np.concatenate(found)
    if not np.isfinite(whole).all():
        raise _bad(path, "holds numbers that are not finite in float32")
    for line in sorted(told):
        say(f"note: {escape(str(path))}: {line}")
    return whole


def _listed(folder: Path) -> Iterator[Path]:
    """Files of the folder itself that may hold examples."""
    for number, one in enumerate(folder.iterdir()):
        if number >= LISTED:
            raise _bad(folder, f"holds more than {LISTED:,} files")
        if one.suffix.lower() in (*IMAGES, *ARRAYS) and one.is_file():
            yield one


def _examples(path: Path, shape: tuple[int, ...], say: Say) -> Iterator[Array]:
    ending = path.suffix.lower()
    if not path.exists():
        raise error("not-found", f"`{escape(str(path))}` does not exist", help="--calibrate")
    if other := kind(path):
        raise no_file(escape(str(path)), other)
    if ending not in (*IMAGES, *ARRAYS):
        raise _bad(path, "is neither a folder, an .npz, an .npy nor an image")
    if ending in IMAGES:
        yield _image(path, shape)
        return
    try:
        with Opened(path) as file:
            for name, array in _stored(file, say):
                yield _placed(name, array, shape)
    except Unreadable as problem:
        raise _bad(path, f"cannot be taken: {problem.reason}", problem.help) from problem


def _stored(file: Opened, say: Say) -> Iterator[tuple[str, Array]]:
    """Arrays of a file by what they are called in messages, none larger than it may be: the only
    one, `x` among several with names, or all that `numpy.savez` numbered (`arr_0`, `arr_1`, …)."""
    start = file.read(0, min(len(npz.MAGIC), file.size))
    if start == npz.MAGIC:
        arrays = {"": npz.read_npy(file, file.path.name)}
    elif not start.startswith(b"PK"):
        raise Unreadable("it is no array of NumPy's" if start else "it is empty")
    else:
        archive = Archive(file)
        if strange := next((name for name in archive.members if name[-4:] != ".npy"), None):
            raise Unreadable(f"it holds `{shown(strange)}`, no array")
        arrays = npz.read_npz(archive)
    if len(arrays) > 1:
        every = [f"`{shown(name)}`" for name in arrays]
        some = ", ".join(every[:5]) + ", …" * (len(every) > 5)
        if all(map(NUMBERED.fullmatch, arrays)):
            say(f"took all of its arrays, {some}")
        elif "x" in arrays:
            say(f"took `x` of its arrays, {some}")
            arrays = {"x": arrays["x"]}
        else:
            raise Unreadable(f"it holds {len(every)} arrays, {some}: which is fed is not told",
                             "call it `x`: numpy.savez(FILE, x=x)")  # fmt: skip
    left = BYTES
    for name, array in arrays.items():
        called = f"`{shown(name)}` in it" if name else "it"
        left -= _bytes(called, array)
        if left < 0:
            raise Unreadable(f"it holds more than {BYTES >> 20:,} MiB")
        yield called, array_of(called, array)


def _bytes(called: str, array: Lazy) -> int:
    """What its numbers take. Errors: Unreadable where they are not what a network is fed."""
    if array.trouble:
        raise Unreadable(f"{called} {array.trouble}")
    if array.dtype not in FLOATS:
        whole = "whole numbers" if array.dtype in PLAIN else "no real numbers"
        raise Unreadable(
            f"{called} holds {whole} ({array.dtype}), and networks are fed fractions",
            "scale and normalise it as for training, and save it as float32",
        )
    return array.size * np.dtype(PLAIN[array.dtype]).itemsize


def _placed(called: str, array: Array, shape: tuple[int, ...]) -> Array:
    """(N, C, H, W) in float32. Errors: Unreadable."""
    channels, height, width = shape
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4 and array.shape[1:] == (height, width, channels) != shape:
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or array.shape[1:] != shape:
        wanted = "×".join(map(str, shape))
        found = "×".join(map(str, array.shape)) or "one number"
        raise Unreadable(f"{called} is {found}, and the network's input {wanted}")
    with np.errstate(over="ignore"):  # is told as what it becomes
        return array[:MOST].astype(np.float32)


def _image(path: Path, shape: tuple[int, ...]) -> Array:
    try:
        from PIL import Image
    except ImportError:
        message = "images are read by Pillow, which this Python lacks"
        raise error("no-exporter", message, help="pip install pillow") from None
    channels, height, width = shape
    if channels not in (1, 3):
        raise _bad(path, f"is an image, and the network takes {channels} channels: give an .npz")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            if image.width * image.height > PIXELS:
                raise _bad(path, f"is larger than {PIXELS:,} pixels")
            if image.mode[0] in "IF":  # which Pillow would cut off at 255
                raise _bad(path, "has more than eight bits a channel: give an .npz")
            small = image.convert("RGB" if channels == 3 else "L").resize((width, height))
            pixels = np.asarray(small, np.float32).reshape(height, width, channels) / 255
    except SpecError:
        raise
    except Exception as problem:  # each of Pillow's readers has its own
        raise _bad(path, f"is no image that can be read: {problem}") from problem
    mean, spread = np.array(MEAN), np.array(SPREAD)
    if channels == 1:
        mean, spread = mean.mean(keepdims=True), spread.mean(keepdims=True)
    normal: Array = np.moveaxis((pixels - mean) / spread, -1, 0)[None].astype(np.float32)
    return normal


def _none(path: Path) -> SpecError:
    """That there is no example, and where there may be some."""
    kinds, inner = ", ".join((*IMAGES, *ARRAYS)), ""
    with suppress(OSError):
        inner = min((one.name for one in path.iterdir() if one.is_dir()), default="")
    if inner:
        return _bad(path, "holds folders, and no examples itself", f"name one, `{shown(inner)}`")
    what = f"; they are files of {kinds}" if path.is_dir() else ""
    return _bad(path, f"holds no examples{what}")


def _bad(path: Path, what: str, help: str | None = None) -> SpecError:
    return error(
        "bad-value", f"`{escape(str(path))}` {escape(what[:200])}", help=help or "see --calibrate"
    )
