"""Zip archives of strangers: what is listed is bounded, and inflates to no more than it claims."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from resspec.weights.files.source import PIECE, Data, Opened, Part, Unreadable, shown, whole

DIRECTORY = 16 << 20  # bytes of a central directory
MEMBERS = 65_536
HEAD = 1 << 16
STORED, DEFLATED = 0, 8
END, END64, LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
WIDE = 0xFFFFFFFF
DAMAGED = "its zip archive is damaged or cut off"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive. `begin`: where its local header stands."""

    name: str
    method: int
    packed: int
    size: int
    crc: int
    begin: int
    encrypted: bool


class Archive:
    """The members of a zip archive by name. Errors: Unreadable."""

    def __init__(self, file: Opened) -> None:
        self.file = file
        start, size, self._shift = _directory(file)
        if size > DIRECTORY:
            raise Unreadable(f"its zip archive lists {size:,} bytes of names")
        self.members: dict[str, Member] = {}
        for member in _entries(file.read(start, size)):
            if member.name in self.members:
                raise Unreadable(f"its zip archive holds `{shown(member.name)}` twice")
            self.members[member.name] = member
        end = 0
        for member in sorted(self.members.values(), key=lambda one: one.begin):
            if member.begin < end:
                raise Unreadable(f"in its zip archive `{shown(member.name)}` overlaps another file")
            end = member.begin + 30 + member.packed

    def place(self, name: str) -> tuple[int, int]:
        """Where a member's bytes begin in the file, and how many they are as stored there.

        Errors: Unreadable.
        """
        member = self.members[name]
        if member.encrypted:
            raise Unreadable("its zip archive is encrypted")
        begin = member.begin + self._shift
        header = self.file.read(begin, 30)
        if not header.startswith(b"PK\x03\x04"):
            raise Unreadable(DAMAGED)
        name_size, extra_size = struct.unpack_from("<HH", header, 26)
        return begin + 30 + name_size + extra_size, member.packed

    def open(self, name: str) -> Data:
        """A member's bytes, not yet read. Errors: Unreadable."""
        member = self.members[name]
        packed = Part(self.file, *self.place(name))
        if member.method == STORED:
            if member.packed != member.size:
                raise Unreadable(DAMAGED)
            return Checked(packed, member)
        if member.method == DEFLATED:
            return Checked(Inflated(packed, member), member)
        raise Unreadable(f"`{shown(name)}` in it is compressed by a method that is not read")


class Inflated:
    """A deflated member: sequential, and cut at the size that it claims."""

    sequential = True

    def __init__(self, packed: Part, member: Member) -> None:
        self.packed, self.size, self.name = packed, member.size, member.name

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        if start == stop:
            return
        engine, at = zlib.decompressobj(-15), 0
        for packed in self.packed.pieces(0, self.packed.size):
            while True:  # a piece that is full may not be the last of what was packed
                try:
                    piece = engine.decompress(packed, PIECE)
                except zlib.error as problem:
                    raise Unreadable(DAMAGED) from problem
                packed = engine.unconsumed_tail
                low, high = max(start, at), min(stop, at + len(piece))
                if low < high:
                    yield piece[low - at : high - at]
                at += len(piece)
                if at >= stop:
                    return
                if engine.eof or (not packed and len(piece) < PIECE):
                    break
            if engine.eof:
                break
        raise Unreadable(f"`{shown(self.name)}` in it holds less than it claims, or is damaged")


class Checked:
    """A member whose checksum is compared wherever it is read to its end, from near its start."""

    def __init__(self, data: Data, member: Member) -> None:
        self.data, self.size, self.member = data, data.size, member
        self.sequential = data.sequential

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        # an array's header stands before its numbers
        checked, total = stop == self.size and start <= HEAD, 0
        if checked:
            total = zlib.crc32(whole(self.data, 0, start))
        for piece in self.data.pieces(start, stop):
            total = zlib.crc32(piece, total)
            yield piece
        if checked and total != self.member.crc:
            raise Unreadable(
                f"it is damaged: `{shown(self.member.name)}` in it has another checksum"
            )


def _directory(file: Opened) -> tuple[int, int, int]:
    """Where the central directory begins, its size, and by how much every place is shifted by
    what stands before the archive."""
    tail_size = min(file.size, 65_557)
    tail = file.read(file.size - tail_size, tail_size)
    at = tail.rfind(END)
    if at < 0 or at + 22 > len(tail):
        raise Unreadable(DAMAGED)
    size, start = struct.unpack_from("<II", tail, at + 12)
    end = file.size - tail_size + at
    locator = file.read(end - 20, 20) if end >= 20 else b""
    if locator.startswith(LOCATOR):  # PyTorch writes it whether or not it is needed
        (place,) = struct.unpack_from("<Q", locator, 8)
        record = file.read(place, 56)
        if not record.startswith(END64) or place + 56 > end:
            raise Unreadable(DAMAGED)
        size, start = struct.unpack_from("<QQ", record, 40)
        end = place
    if start + size > end:
        raise Unreadable(DAMAGED)
    shift = end - size - start
    return start + shift, size, shift


def _entries(directory: bytes) -> Iterator[Member]:
    at = count = 0
    while at < len(directory):
        if directory[at : at + 4] != b"PK\x01\x02" or at + 46 > len(directory):
            raise Unreadable(DAMAGED)
        flags, method = struct.unpack_from("<HH", directory, at + 8)
        crc, packed, size, name_size, extra_size, comment_size = struct.unpack_from(
            "<IIIHHH", directory, at + 16
        )
        (begin,) = struct.unpack_from("<I", directory, at + 42)
        name = directory[at + 46 : at + 46 + name_size]
        extra = directory[at + 46 + name_size : at + 46 + name_size + extra_size]
        size, packed, begin = _wide(extra, [size, packed, begin])
        yield Member(
            name.decode("utf-8" if flags & 0x800 else "cp437", "replace"),
            method, packed, size, crc, begin, bool(flags & 1),
        )  # fmt: skip
        at += 46 + name_size + extra_size + comment_size
        count += 1
        if count > MEMBERS:
            raise Unreadable(f"its zip archive lists more than {MEMBERS:,} files")


def _wide(extra: bytes, numbers: list[int]) -> list[int]:
    """The zip64 field holds those of the three numbers that did not fit, in this order."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        if tag == 1:
            field = extra[at + 4 : at + 4 + length]
            for index, number in enumerate(numbers):
                if number == WIDE:
                    if len(field) < 8:
                        raise Unreadable(DAMAGED)
                    (numbers[index],) = struct.unpack_from("<Q", field)
                    field = field[8:]
            break
        at += 4 + length
    return numbers
