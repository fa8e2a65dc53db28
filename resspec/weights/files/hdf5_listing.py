"""Run as a process of its own: what an HDF5 file holds, as JSON, and where; no number is read.

`python hdf5_listing.py FILE START SIZE MEMORY`. h5py parses what a stranger wrote, in C: here it
can take neither more memory than it is given, nor the reader with it if it crashes.
"""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

MOST = 65_536  # groups and tensors
DEPTH = 32
TEXT = 4096
SMALL = 1 << 16  # bytes of what HDF5 keeps in an object's header
READ = {1, 2}  # filters: deflate and shuffle
OPTIMIZER = ("optimizer", "_optimizer", "optimizer_weights", "_legacy_optimizer")


class Refused(Exception):
    """Why the file is not read."""


class Window(io.RawIOBase):
    """A stretch of a file as a file."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self.stream, self.start, self.size, self.at = path.open("rb"), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), max(0, self.size - self.at))
        self.stream.seek(self.start + self.at)
        found = self.stream.read(length)
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)


def listing(window: Window) -> list[dict[str, Any]]:
    """Every dataset of the weights: name, type, shape, and where its numbers begin. `path`: the
    groups above it, each with the name of its layer."""
    import h5py

    found: list[dict[str, Any]] = []
    with h5py.File(window, "r") as file:
        root: Any = file
        if isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
            root = file["model_weights"]
        todo: list[tuple[Any, tuple[tuple[str, str], ...], list[str]]] = [(root, (), [])]
        seen = set()
        while todo:
            group, path, said = todo.pop()
            mark = h5py.h5o.get_info(group.id).addr
            if mark in seen:
                continue
            seen.add(mark)
            if len(seen) > MOST or len(path) > DEPTH or len(group) > MOST:
                raise Refused("it nests too many groups")
            said = texts(group, "layer_names") or texts(group, "weight_names") or said
            groups = []
            for name in ordered(group, said):
                inner = len(path) > 1 and path[-2][0] == "layers"
                if name in OPTIMIZER and (inner or not path):
                    continue  # of the model, or of one that is a layer of it
                here = "/".join((*(part for _, part in path), name))[:TEXT]
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise Refused(f"`{here}` is a link, which is not followed")
                one = group[name]
                if isinstance(one, h5py.Dataset):
                    found.append(described(one, path, name, h5py))
                elif isinstance(one, h5py.Group):
                    groups.append((one, (*path, (name, named(one, name))), said))
                if len(found) > MOST:
                    raise Refused("it holds too many tensors")
            todo += reversed(groups)
    return found


def ordered(group: Any, said: list[str]) -> list[str]:
    """As the file says where it does (`conv1`, `conv1/kernel:0`); otherwise as a person counts,
    `conv2d_2` before `conv2d_10`."""
    places: dict[str, int] = {}
    for place, name in enumerate(said):
        for part in (name, name.split("/")[-1]):
            places.setdefault(part, place)

    def rank(name: str) -> tuple[int, list[tuple[int, int, str]]]:
        parts = re.split(r"(\d+)", name)
        return places.get(name, len(said)), [
            (0, int(part), "") if part.isdecimal() and len(part) < 20 else (1, 0, part)
            for part in parts
        ]

    return sorted(map(str, group), key=rank)


def named(group: Any, name: str) -> str:
    """What Keras calls the layer whose variables are below; the group is called by its class."""
    import h5py

    if isinstance(group.get("vars", getlink=True), h5py.HardLink):
        inside = group["vars"]
        if isinstance(inside, h5py.Group) and "name" in inside.attrs:
            attribute = inside.attrs.get_id("name")
            if attribute.shape == () and attribute.get_storage_size() <= TEXT:
                found = inside.attrs["name"]
                return found[:TEXT] if isinstance(found, str) else name
    return name


def texts(group: Any, attribute: str) -> list[str]:
    if attribute not in group.attrs:
        return []
    shape = group.attrs.get_id(attribute).shape
    if len(shape) != 1 or shape[0] > MOST:
        return []
    return [
        one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
        for one in group.attrs[attribute]
    ]


def described(dataset: Any, path: Any, name: str, h5py: Any) -> dict[str, Any]:
    """Where its numbers are; in `data` where HDF5 keeps them beside the description."""
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    trouble, data, offset = "", None, None
    blocks: dict[str, Any] = {}
    if creation.get_external_count():
        trouble = "has its numbers in another file, which is not read"
    elif layout == h5py.h5d.VIRTUAL:
        trouble = "is put together from other files, which are not read"
    elif layout == h5py.h5d.CHUNKED:
        blocks, trouble = in_blocks(dataset, creation)
    elif dataset.shape is None:
        trouble = "is empty"
    else:
        size = dataset.size or 0
        offset = dataset.id.get_offset()
        if layout == h5py.h5d.COMPACT and size * dataset.dtype.itemsize <= SMALL:
            data = dataset[()].tobytes().hex()
        elif size and offset is None:
            trouble = "was never written"
    half = "dtype" in dataset.attrs and dataset.attrs.get_id("dtype").shape == ()
    code = dataset.dtype.str
    if half and code in ("|V2", "<u2") and dataset.attrs["dtype"] == "bfloat16":
        code = "bfloat16"
    return {"path": path, "name": name, "dtype": code, "shape": dataset.shape or (),
            "offset": offset, "data": data, "trouble": trouble, **blocks}  # fmt: skip


def in_blocks(dataset: Any, creation: Any) -> tuple[dict[str, Any], str]:
    """The blocks of a dataset that is stored in chunks, and why they cannot be read."""
    filters = [creation.get_filter(place)[0] for place in range(creation.get_nfilters())]
    if not set(filters) <= READ:
        return {}, "is packed by a filter that is not read (`h5repack -f GZIP=6` writes it anew)"
    count = dataset.id.get_num_chunks()
    expected = 1
    for extent, size in zip(dataset.shape, dataset.chunks, strict=True):
        expected *= -(-extent // size)
    if count != expected:
        return {}, "was never written in full"
    if count > MOST:
        return {}, f"is stored in {count:,} chunks"
    found = map(dataset.id.get_chunk_info, range(count))
    places = [(one.chunk_offset, one.byte_offset, one.size, one.filter_mask) for one in found]
    return {"block": dataset.chunks, "filters": filters, "blocks": places}, ""


def bounded(memory: int) -> None:
    """Never more memory than now and that, and never for ever."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        pages = int(statistics.read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(path: str, start: str, size: str, memory: str) -> None:
    import h5py  # its libraries are loaded before memory is counted

    assert h5py.version
    bounded(int(memory))
    try:
        result: dict[str, Any] = {"tensors": listing(Window(Path(path), int(start), int(size)))}
    except Refused as problem:
        result = {"refused": str(problem)}
    except Exception:
        # whatever the library makes of a damaged file
        result = {"refused": "it is damaged, or no HDF5 file that can be read"}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
