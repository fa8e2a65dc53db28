"""Weight files put together byte by byte, so that they can say what no library would write."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDTH = {"FloatStorage": 4, "HalfStorage": 2, "LongStorage": 8, "DoubleStorage": 8}


def value(found: Any) -> bytes:
    """Opcodes that make plain data."""
    return pickle.dumps(found, 2)[2:-1]


def name(dotted: str) -> bytes:
    """A class or function."""
    module, _, last = dotted.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def tuple_(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def call(dotted: str, *parts: bytes) -> bytes:
    return name(dotted) + tuple_(*parts) + b"R"


def map_(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(value(key) + part for key, part in items.items()) + b"u"


def storage(key: Any = "0", count: Any = 4, kind: str = "FloatStorage", at: Any = "cpu") -> bytes:
    parts = value("storage"), name(f"torch.{kind}"), value(key), value(at), value(count)
    return tuple_(*parts) + b"Q"


def tensor(
    shape: Any = (4,), strides: Any = (1,), offset: Any = 0, stored: bytes | None = None
) -> bytes:
    """As torch saves it."""
    place = storage() if stored is None else stored
    hooks = call("collections.OrderedDict")
    parts = place, value(offset), value(shape), value(strides), value(False), hooks
    return call("torch._utils._rebuild_tensor_v2", *parts)


def zipped(folder: Path, members: Mapping[str, bytes], packed: bool = False) -> Path:
    """A zip archive."""
    path = folder / "a.pth"
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def torch_file(
    folder: Path, root: bytes, storages: Mapping[str, bytes] | None = None, *,
    packed: bool = False, **more: bytes,
) -> Path:  # fmt: skip
    """PyTorch's zip format; one storage of four numbers where none are given."""
    held = {"0": struct.pack("<4f", 1, 2, 3, 4)} if storages is None else storages
    members = {"a/data.pkl": b"\x80\x02" + root + b".", "a/byteorder": b"little"}
    members |= {f"a/data/{key}": data for key, data in held.items()}
    members |= {f"a/{key}": data for key, data in more.items()}
    return zipped(folder, members, packed)


def plain(folder: Path, code: bytes) -> Path:
    """A file of just these bytes."""
    path = folder / "a.pth"
    path.write_bytes(code)
    return path


def older(folder: Path, root: bytes, keys: Any = ("0",), data: bytes | None = None) -> Path:
    """PyTorch's format before 1.6."""
    numbers = struct.pack("<q4f", 4, 1, 2, 3, 4) if data is None else data
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    parts = [pickle.dumps(one, 2) for one in head]
    parts += [b"\x80\x02" + root + b".", pickle.dumps(list(keys), 2), numbers]
    return plain(folder, b"".join(parts))


def safetensors(
    folder: Path, header: Any, data: bytes = bytes(16), length: int | None = None
) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    count = len(text) if length is None else length
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", count) + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (4,), begin: Any = 0, end: Any = 16) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def npy(header: str, data: bytes = bytes(16), version: int = 1) -> bytes:
    text = header.encode("latin-1", "replace") + b"\n"
    form = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(text)) + text + data


def npz(folder: Path, header: str, data: bytes = bytes(16), **options: Any) -> Path:
    return zipped(folder, {"a.npy": npy(header, data)}, **options)


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """The same file with some bytes replaced, wherever they stand."""
    found = path.read_bytes()
    assert old in found
    path.write_bytes(found.replace(old, new))
    return path


def sparse(path: Path, size: int, start: bytes = b"", end: bytes = b"") -> Path:
    """A file of that size that takes no room."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
        file.seek(size - len(end))
        file.write(end)
    return path


def deflated_zeros(count: int) -> bytes:
    """A raw deflate stream of so many zeros, without holding them."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    return block * (count >> 20) + engine.flush()


def raw_zip(members: list[tuple[str, bytes, dict[str, int]]], **end: int) -> bytes:
    """A zip archive whose headers say what they are told: method, crc, packed, size, begin,
    flags; `count`, `directory` (its size) and `start` of the end record."""
    body, directory = bytearray(), bytearray()
    for member, data, said in members:
        label = member.encode()
        fields = {"method": 0, "crc": 0, "packed": len(data), "size": len(data),
                  "begin": len(body), "flags": 0} | said  # fmt: skip
        common = struct.pack("<HHHHHIIIHH", 20, fields["flags"], fields["method"], 0, 0,
                             fields["crc"], fields["packed"], fields["size"], len(label), 0)  # fmt: skip
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, fields["begin"]) + label
        body += b"PK\x03\x04" + common + label + data
    said_end = {"count": len(members), "directory": len(directory), "start": len(body)} | end
    record = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, said_end["count"], said_end["count"],
                         said_end["directory"], said_end["start"], 0)  # fmt: skip
    return bytes(body + directory + record)
