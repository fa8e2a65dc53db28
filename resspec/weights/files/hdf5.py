"""What Keras saves: `.weights.h5`, `.h5`, and `.keras`, a zip with the former in it.

h5py lists what is there in a process of its own (`hdf5_listing`); the numbers are read here, by
place. Source: keras/src/saving/saving_lib.py and legacy/saving/legacy_h5_format.py, 3.x.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED

from resspec.weights.files.chunks import chunked
from resspec.weights.files.inert import NUMPY, WIDTHS
from resspec.weights.files.source import Data, Held, Opened, Part, Unreadable, whole
from resspec.weights.files.tensors import Lazy, extents
from resspec.weights.files.zips import Archive

MAGIC = b"\x89HDF\r\n\x1a\n"
INSIDE = "model.weights.h5"
CONFIG = "config.json"
DESCRIBED = 4 << 20  # bytes of it
MEMORY = 128 << 20  # bytes for the process that lists
LISTING = 8 << 20  # bytes that it may say
SECONDS = 60
DAMAGED = "it is damaged, or no HDF5 file that can be read"
SAVE = "save it as Keras does: `model.save_weights(FILE)`"
GROUPS = ("layers", "vars", "_layer_checkpoint_dependencies")  # beside those of layers
# What the variables of a layer are called that are stored by number, by class and by how many.
ROLES = {
    "conv": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "depthwise": ("kernel", "bias"),
    "batch_normalization4": ("gamma", "beta", "moving_mean", "moving_variance"),
    "batch_normalization2": ("moving_mean", "moving_variance"),
    "layer_normalization2": ("gamma", "beta"),
    "group_normalization2": ("gamma", "beta"),
    "prelu1": ("alpha",),
}


def is_keras(archive: Archive) -> bool:
    return INSIDE in archive.members


def read_keras(archive: Archive) -> dict[str, Lazy]:
    """The tensors of a `.keras` archive, not yet read. Errors: Unreadable."""
    if archive.members[INSIDE].compress_type != ZIP_STORED:
        raise Unreadable(f"`{INSIDE}` in it is compressed, which Keras does not do",
                         "unpack it, and give the file that is in it")  # fmt: skip
    return read(archive.file, *archive.place(INSIDE))


def config(archive: Archive) -> Any:
    """The network that a `.keras` archive describes. Errors: Unreadable."""
    if CONFIG not in archive.members:
        raise Unreadable("it describes no network")
    data = archive.open(CONFIG)
    if data.size > DESCRIBED:
        raise Unreadable(f"its description of a network takes {data.size:,} bytes")
    try:
        return json.loads(whole(data, 0, data.size))
    except (ValueError, RecursionError) as problem:
        raise Unreadable("its description of a network is no JSON") from problem


def read(file: Opened, start: int, size: int) -> dict[str, Lazy]:
    """Tensors by the name of their layer and their own, as Keras's `variable.path`, not yet read.

    Errors: Unreadable.
    """
    numbers = Part(file, start, size)
    entries = _listed(file.path, start, size)
    counts: dict[Any, int] = {}
    for entry in entries:
        where = tuple(map(tuple, entry["path"]))
        counts[where] = counts.get(where, 0) + 1
    found: dict[str, Lazy] = {}
    for entry in entries:
        path = tuple((str(kind), str(name)) for kind, name in entry["path"])
        name = _name(path, str(entry["name"]), counts[path])
        if name in found:  # in two nested models that are built of layers of the same names
            name = "/".join((*(kind for kind, _ in path), str(entry["name"])))
        found[name] = _tensor(entry, numbers)
    return found


def _name(path: tuple[tuple[str, str], ...], name: str, count: int) -> str:
    """`conv1/kernel`. A file that names its variables repeats the layer's name before it."""
    layers = [one for one in path if one[0] not in GROUPS]
    if name.isdecimal() and layers:
        kind = layers[-1][0]
        kind = kind.rstrip("_0123456789")
        roles = ROLES.get(f"{kind}{count}") or next(
            (names for key, names in ROLES.items() if kind.startswith(key)), ()
        )
        if int(name) < len(roles):
            name = roles[int(name)]
        return "/".join((*(layer for _, layer in layers), name))
    words = [layer for _, layer in layers]
    if len(words) > 1 and words[0] == words[1]:
        del words[0]
    return "/".join((*words, name.removesuffix(":0")))


def _tensor(entry: dict[str, Any], numbers: Data) -> Lazy:
    code, shape = str(entry["dtype"]), extents(entry["shape"])
    dtype = "bfloat16" if code == "bfloat16" else NUMPY.get(code[1:], code)
    if entry["trouble"]:
        return Lazy(dtype, shape, trouble=str(entry["trouble"]))
    big = code.startswith(">")
    if "blocks" in entry and dtype in WIDTHS:
        data = chunked(entry, numbers, shape, WIDTHS[dtype])
        return Lazy(dtype, shape, data, big=big, held=data.held)
    if entry["data"] is not None:
        return Lazy(dtype, shape, Held(bytes.fromhex(entry["data"])), big=big)
    (offset,) = extents((entry["offset"] or 0,), "place")
    offset = min(offset, numbers.size)
    return Lazy(dtype, shape, Part(numbers, offset, numbers.size - offset), big=big)


def _listed(path: Path, start: int, size: int) -> list[dict[str, Any]]:
    """What the other process finds. Errors: Unreadable."""
    if importlib.util.find_spec("h5py") is None:
        raise Unreadable("it is an HDF5 file, which h5py reads, and h5py is not installed",
                         "pip install h5py")  # fmt: skip
    script = Path(__file__).with_name("hdf5_listing.py")
    command = [sys.executable, "-P", str(script), str(path.resolve()), str(start), str(size),
               str(MEMORY)]  # fmt: skip
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        try:
            done = subprocess.run(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.DEVNULL,
                timeout=SECONDS, env={**os.environ, **quiet}, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as problem:
            raise Unreadable(DAMAGED) from problem
        if done.returncode or said.tell() > LISTING:
            raise Unreadable(DAMAGED)
        said.seek(0)
        result = json.load(said)
    if "refused" in result:
        raise Unreadable(str(result["refused"]), SAVE)
    tensors: list[dict[str, Any]] = result["tensors"]
    return tensors
