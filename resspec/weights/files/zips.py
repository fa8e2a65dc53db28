"""Zip archives of strangers: what is listed is bounded, and inflates to no more than it claims."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from resspec.weights.files.source import PIECE, Opened, Part, Unreadable, shown

DIRECTORY = 16 << 20  # bytes of a central directory
MEMBERS = 65_536
HEAD = 1 << 16
ENCRYPTED = 1  # of a member's flags
DAMAGED = "its zip archive is damaged or cut off"
BAD = (BadZipFile, NotImplementedError, ValueError, EOFError, OverflowError,
       struct.error, zlib.error)  # fmt: skip


class Archive:
    """The members of a zip archive by name. Errors: Unreadable."""

    def __init__(self, file: Opened) -> None:
        self.file, self.members = file, dict[str, ZipInfo]()
        with _told():
            self.zip = ZipFile(_Stream(file))
        end = 0
        for member in sorted(self.zip.infolist(), key=lambda one: one.header_offset):
            name = member.filename
            if member.header_offset < 0:
                raise Unreadable(DAMAGED)
            if name in self.members:
                raise Unreadable(f"its zip archive holds `{shown(name)}` twice")
            if member.header_offset < end:
                raise Unreadable(f"in its zip archive `{shown(name)}` overlaps another file")
            self.members[name] = member
            end = member.header_offset + 30 + member.compress_size

    def place(self, name: str) -> tuple[int, int]:
        """Where a member's bytes begin in the file, and how many they are as stored there.

        Errors: Unreadable.
        """
        member = self.members[name]
        if member.flag_bits & ENCRYPTED:
            raise Unreadable("its zip archive is encrypted")
        header = self.file.read(member.header_offset, 30)
        if not header.startswith(b"PK\x03\x04"):
            raise Unreadable(DAMAGED)
        begin = member.header_offset + 30 + sum(struct.unpack_from("<HH", header, 26))
        return begin, member.compress_size

    def open(self, name: str) -> Member:
        """A member's bytes, not yet read. Errors: Unreadable."""
        member = self.members[name]
        stored = Part(self.file, *self.place(name))
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise Unreadable(f"`{shown(name)}` in it is compressed by a method that is not read")
        if member.compress_type == ZIP_STORED and stored.size != member.file_size:
            raise Unreadable(DAMAGED)
        return Member(self.zip, member, stored)


class Member:
    """A member's bytes. Their checksum is compared wherever they are read to their end, from near
    their start: an array's header stands before its numbers."""

    def __init__(self, archive: ZipFile, info: ZipInfo, stored: Part) -> None:
        self.zip, self.info, self.stored, self.size = archive, copy(info), stored, info.file_size
        self.sequential, self.checksum = info.compress_type != ZIP_STORED, info.CRC
        del self.info.CRC  # zipfile does not say whether a member is damaged or too short

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        if not self.sequential and (start > HEAD or stop < self.size):
            yield from self.stored.pieces(start, stop)
            return
        name, at, total = shown(self.info.filename), 0, 0
        with _told(), self.zip.open(self.info) as stream:
            while at < stop:
                found = stream.read(min(PIECE, (start if at < start else stop) - at))
                if not found:
                    raise Unreadable(f"`{name}` in it holds less than it claims, or is damaged")
                if at >= start:
                    yield found
                at, total = at + len(found), zlib.crc32(found, total)
        if stop == self.size and total != self.checksum:
            raise Unreadable(f"it is damaged: `{name}` in it has another checksum")


class _Stream(io.RawIOBase):
    """A file as zipfile reads it, which takes the whole directory at once."""

    def __init__(self, file: Opened) -> None:
        self.file, self.at = file, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset + (0, self.at, self.file.size)[whence]
        if self.at < 0:
            raise OSError("before the start of the file")
        return self.at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self.file.size - self.at)
        size = left if size is None or size < 0 else min(size, left)
        if size > DIRECTORY:
            raise Unreadable(f"its zip archive lists {size:,} bytes of names")
        found = self.file.read(self.at, size)
        if size > 46 * MEMBERS and found.count(b"PK\x01\x02") > MEMBERS:
            raise Unreadable(f"its zip archive lists more than {MEMBERS:,} files")
        self.at += size
        return found


@contextmanager
def _told() -> Iterator[None]:
    """Whatever zipfile finds wrong, in a line."""
    try:
        yield
    except BAD as problem:
        raise Unreadable(DAMAGED) from problem
