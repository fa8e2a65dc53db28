"""PyTorch's files: the zip format of 1.6 and later, and the pickles before it.

Source: torch/serialization.py. A zip holds `NAME/data.pkl`, `NAME/data/KEY` for each storage and
`NAME/byteorder`; the older format is five pickles, then every storage, its count before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from resspec.weights.files.inert import STORAGES, WIDTHS, Named, Storage, storage_of
from resspec.weights.files.pickles import LARGE, Machine, Meter, Nested
from resspec.weights.files.source import SAVE, Data, Held, Part, Unreadable, shown, whole
from resspec.weights.files.zips import Archive

MAGIC = 0x1950A86A20F9469CFC6C
PICKLE = 16 << 20  # bytes of data.pkl
KEYS = 65_536


def is_zip(archive: Archive) -> str | None:
    """The folder that holds its `data.pkl`, or None."""
    for name in archive.members:
        folder, _, last = name.rpartition("/")
        if last == "data.pkl" and "/" not in folder:
            return folder
    return None


def read_zip(archive: Archive, folder: str) -> object:
    """What was saved, its tensors not yet read. Errors: Unreadable."""
    prefix = f"{folder}/" if folder else ""
    main = archive.members[f"{prefix}data.pkl"]
    if main.file_size > PICKLE:
        raise Unreadable(LARGE, SAVE)
    order = f"{prefix}byteorder"
    big = False
    if order in archive.members and archive.members[order].file_size < 16:
        data = archive.open(order)
        big = whole(data, 0, data.size) == b"big"
    storages: dict[str, Data] = {}

    def outside(identity: Any) -> object:
        kind, key, location, count = _identity(identity)
        if location == "meta":
            return Storage(None, STORAGES.get(kind.name, ""), meta=True)
        name = f"{prefix}data/{key}"
        if name not in archive.members:
            raise Unreadable(f"it lacks the numbers of a tensor: `{shown(name)}` is not in it")
        if name not in storages:
            storages[name] = archive.open(name)
        return storage_of(kind, storages[name], count, big=big)

    data = archive.open(main.filename)
    return Machine(Held(whole(data, 0, data.size)), outside).load()


def read_pickles(file: Data) -> tuple[object, bool]:
    """What a pickle holds, and whether PyTorch wrote it. Errors: Unreadable."""
    return _pickles(file, Meter(), lambda data, meter: _pickles(data, meter, None)[0])


def _pickles(file: Data, meter: Meter, nested: Nested | None) -> tuple[object, bool]:
    machine = Machine(file, _nothing, nested, meter)
    first = machine.load()
    if first != MAGIC:
        return first, False
    machine.load()  # the version of the protocol
    system = machine.load()
    big = isinstance(system, dict) and system.get("little_endian") is False
    waiting = _Waiting(file, big)
    machine.persistent = waiting.outside
    found = machine.load()
    keys = machine.load()
    if not isinstance(keys, list) or len(keys) > KEYS:
        raise Unreadable("its list of storages is damaged")
    waiting.place(keys, machine.at)
    return found, True


class _Waiting:
    """Storages that are named before it is known where they stand."""

    def __init__(self, file: Data, big: bool) -> None:
        self.file, self.big = file, big
        self.data: dict[str, _Later] = {}

    def outside(self, identity: Any) -> object:
        if isinstance(identity, tuple) and len(identity) > 1 and identity[0] == "module":
            return identity[1]  # a class, with its source, which is of no use here
        kind, key, location, count = _identity(identity)
        if location == "meta":
            return Storage(None, STORAGES.get(kind.name, ""), meta=True)
        if kind.name not in STORAGES:
            raise Unreadable(f"a tensor's storage is of unknown type `{shown(kind)}`")
        width = WIDTHS[STORAGES[kind.name]]
        if type(count) is not int or not 0 <= count * width <= self.file.size:
            raise Unreadable("it is cut off: a tensor claims more numbers than it holds")
        later = self.data.setdefault(key, _Later(count * width, width))
        view = identity[5] if len(identity) > 5 else None
        offset = 0
        if isinstance(view, tuple) and len(view) == 3 and type(view[1]) is int:
            offset = view[1]
        return Storage(later, STORAGES[kind.name], offset, self.big)

    def place(self, keys: list[Any], at: int) -> None:
        """Every storage follows: how many elements, then they themselves."""
        form = ">q" if self.big else "<q"
        for key in map(str, keys):
            later = self.data.get(key)
            if later is None:
                raise Unreadable("its list of storages is damaged")
            (count,) = struct.unpack(form, whole(Part(self.file, at, 8), 0, 8))
            later.data = Part(self.file, at + 8, count * later.width)
            later.size = later.data.size
            at += 8 + later.size


class _Later:
    """Bytes whose place is told later."""

    sequential = False

    def __init__(self, size: int, width: int) -> None:
        self.size, self.width = size, width
        self.data: Data | None = None

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        if self.data is None:
            raise Unreadable("it lacks the numbers of a tensor")
        return self.data.pieces(start, stop)


def _identity(identity: Any) -> tuple[Named, str, object, object]:
    """('storage', its type, its key, device, elements)."""
    if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
        raise Unreadable("it refers to something outside of it, which is not read")
    _, kind, key, location, count = identity[:5]
    if not isinstance(kind, Named) or not isinstance(key, str | int):
        raise Unreadable("a tensor's storage is damaged")
    return kind, str(key), location, count


def _nothing(identity: Any) -> object:
    raise Unreadable("it refers to something outside of it, which is not read")
