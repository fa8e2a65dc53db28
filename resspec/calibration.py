"""Examples by which files of eight bits get their ranges: a folder of images, arrays, or noise."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec.diagnostics import SpecError, error, escape
from resspec.weights import example

Array = NDArray[Any]
SYNTHETIC = 16  # examples
MOST = 512  # examples that are taken
LISTED = 100_000  # entries of a folder that are looked at
BYTES = 1 << 30  # of numbers in one file
PIXELS = 1 << 26  # of one image
NUMBERED = re.compile(r"arr_\d+")  # by `numpy.savez`, arrays without a name
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def synthetic(shape: tuple[int, ...]) -> Array:
    """Standard normal examples (N, C, H, W), other ones than networks are compared on."""
    return example((SYNTHETIC, *shape), seed=1 << 16)


def read(path: Path, shape: tuple[int, ...]) -> Array:
    """Examples (N, C, H, W) for an input (C, H, W): of a folder, an .npz or an .npy.

    Arrays are what the network is fed, (N, C, H, W) or (N, H, W, C), one example also without N; of
    an .npz with several names, `x`.
    Images are scaled to the input's size and normalised as for ImageNet. At most MOST are taken,
    in the order of their names. Errors: SpecError(bad-value, io-error, not-found).
    """
    try:
        if path.is_dir():
            files = sorted(_listed(path))
        elif path.exists():
            files = [path]
        else:
            raise error("not-found", f"`{escape(str(path))}` does not exist", help="--calibrate")
        found = [one for file in files for one in _examples(file, shape)]
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error("io-error", f"`{escape(str(path))}` cannot be read: {reason}") from problem
    if not found:
        kinds = ", ".join((*IMAGES, ".npz", ".npy"))
        raise _bad(path, f"holds no examples; they are files of {kinds}")
    whole = np.concatenate(found)[:MOST]
    if not np.isfinite(whole).all():
        raise _bad(path, "holds numbers that are not finite")
    return whole


def _listed(folder: Path) -> Iterator[Path]:
    """Files of the folder itself that may hold examples."""
    for number, one in enumerate(folder.iterdir()):
        if number >= LISTED:
            raise _bad(folder, f"holds more than {LISTED:,} files")
        if one.suffix.lower() in (*IMAGES, ".npz", ".npy") and one.is_file():
            yield one


def _examples(path: Path, shape: tuple[int, ...]) -> Iterator[Array]:
    kind = path.suffix.lower()
    if kind in IMAGES:
        yield _image(path, shape)
        return
    if kind not in (".npz", ".npy"):
        raise _bad(path, "is neither a folder, an .npz, an .npy nor an image")
    try:
        for array in _stored(path, kind):
            yield _placed(path, array, shape)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as problem:
        raise _bad(path, f"is no {kind} file that can be read: {problem}") from problem


def _stored(path: Path, kind: str) -> Iterator[Array]:
    """Arrays of a file, none of which is larger than it may be: the only one, `x` among several
    with names, or all that `numpy.savez` numbered (`arr_0`, `arr_1`, …)."""
    if kind == ".npy":
        with path.open("rb") as file:
            _bounded(path, file)
        yield np.load(path, allow_pickle=False)
        return
    with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as arrays:
        left, entries = BYTES, dict[str, zipfile.ZipInfo]()
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                raise ValueError(f"it holds `{escape(entry.filename[:80])}`")
            entries[entry.filename.removesuffix(".npy")] = entry
        if len(entries) > 1 and not all(map(NUMBERED.fullmatch, entries)):
            if "x" not in entries:
                some = ", ".join(f"`{escape(name[:80])}`" for name in list(entries)[:5])
                raise _bad(path, f"holds {len(entries)} arrays, {some}: which is fed is not told; "
                           "call it `x`")  # fmt: skip
            entries = {"x": entries["x"]}
        for name, entry in entries.items():
            with archive.open(entry) as file:
                left -= _bounded(path, file, left)
            yield arrays[name]


def _bounded(path: Path, file: Any, most: int = BYTES) -> int:
    """Bytes of the array whose header comes next. Errors: `bad-value`."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "fiub":
        raise ValueError(f"it holds {dtype}, no numbers")
    size = dtype.itemsize
    for one in shape:  # of Python's own numbers, which do not overflow
        size *= int(one)
    if size > most:
        raise _bad(path, f"holds more than {BYTES >> 20:,} MiB")
    return size


def _placed(path: Path, array: Array, shape: tuple[int, ...]) -> Array:
    """(N, C, H, W) in float32."""
    channels, height, width = shape
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4 and array.shape[1:] == (height, width, channels) != shape:
        array = np.moveaxis(array, -1, 1)
    if array.ndim != 4 or array.shape[1:] != shape:
        wanted = "×".join(map(str, shape))
        found = "×".join(map(str, array.shape)) or "one number"
        raise _bad(path, f"holds {found}, and the network's input is {wanted}")
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
        with Image.open(path) as image:
            if image.width * image.height > PIXELS:
                raise _bad(path, f"is larger than {PIXELS:,} pixels")
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


def _bad(path: Path, what: str) -> SpecError:
    return error("bad-value", f"`{escape(str(path))}` {escape(what[:200])}", help="see --calibrate")
