"""Zip archives, PyTorch's and NumPy's."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from tests.weights.attacks.names import (
    DAMAGED_SHAPE,
    GB,
    GOOD,
    SYSTEM,
    TOO_MUCH,
    TOUCH,
    ZIP,
    attack,
    simple,
)
from tests.weights.crafted import (
    deflated_zeros,
    map_,
    npy,
    npz,
    patched,
    plain,
    raw_zip,
    sparse,
    storage,
    tensor,
    torch_file,
    zipped,
)

# Zip archives.


@attack("it is damaged: `a/data/0` in it has another checksum")
def a_bit_that_flipped(folder: Path) -> Path:
    numbers = struct.pack("<4f", 1, 2, 3, 4)
    return patched(torch_file(folder, GOOD), numbers, numbers[:-1] + b"\x41")


@attack("its tensors claim 8.0 GB")
def a_deflated_storage_of_gigabytes(folder: Path) -> Path:
    return _packed_storage(folder, 8 * GB, deflated_zeros(64 << 20))


@attack("`a/data/0` in it holds less than it claims")
def a_deflated_storage_that_holds_less(folder: Path) -> Path:
    return _packed_storage(folder, 8 << 20, deflated_zeros(1 << 20))


@attack("another checksum")
def a_deflated_storage_that_holds_more(folder: Path) -> Path:
    return _packed_storage(folder, 4 << 20, deflated_zeros(1 * GB))


def _packed_storage(folder: Path, claimed: int, packed: bytes) -> Path:
    count = claimed // 4
    body = b"\x80\x02" + map_({"w": tensor((count,), stored=storage(count=count))}) + b"."
    said = {"method": 8, "size": min(claimed, 0xFFFFFFFE)}
    if claimed > 0xFFFFFFFE:
        said["size"] = 0xFFFFFFFE
        count = 0xFFFFFFFE // 4
        place = tensor((2 * count,), (0,), stored=storage(count=count))
        body = b"\x80\x02" + map_({"w": place}) + b"."
    return plain(folder, raw_zip([("a/data.pkl", body, {"crc": zlib.crc32(body)}),
                                  ("a/data/0", packed, said)]))  # fmt: skip


@attack(TOO_MUCH)
def a_pickle_that_inflates_to_a_gigabyte(folder: Path) -> Path:
    packed = deflated_zeros(1 * GB)
    return plain(folder, raw_zip([("a/data.pkl", packed, {"method": 8, "size": 1 * GB})]))


@attack("in its zip archive `a/data/1` overlaps another file")
def members_that_overlap(folder: Path) -> Path:
    body = b"\x80\x02" + GOOD + b"."
    return plain(folder, raw_zip([("a/data.pkl", body, {}), ("a/data/0", bytes(16), {}),
                                  ("a/data/1", bytes(16), {"begin": len(body) + 42})]))  # fmt: skip


@attack("its zip archive holds `a/data.pkl` twice")
def a_member_that_is_there_twice(folder: Path) -> Path:
    return plain(folder, raw_zip([("a/data.pkl", SYSTEM, {}), ("a/data.pkl", b"N.", {})]))


simple("an_encrypted_member", "is encrypted", lambda folder: plain(folder, raw_zip(
    [("a/data.pkl", b"N.", {"flags": 1})])))  # fmt: skip
simple("a_method_of_compression_that_is_unknown", "is compressed by a method that is not read",
       lambda folder: plain(folder, raw_zip([("a/data.pkl", b"N.", {"method": 99})])))  # fmt: skip
simple("a_directory_beyond_the_end", ZIP, lambda folder: plain(folder, raw_zip(
    [("a/data.pkl", b"N.", {})], start=1 << 30)))  # fmt: skip
simple("a_directory_that_is_no_directory", ZIP, lambda folder: plain(folder, raw_zip(
    [("a/data.pkl", b"N.", {})], start=0, directory=20)))  # fmt: skip
simple("a_member_beyond_the_end", "it is cut off", lambda folder: plain(folder, raw_zip(
    [("a/data.pkl", b"N.", {"begin": 1 << 30})])))  # fmt: skip
simple("a_member_that_begins_elsewhere", ZIP, lambda folder: plain(folder, raw_zip(
    [("a/data.pkl", b"N." * 40, {"begin": 3})])))  # fmt: skip
simple("a_zip_that_is_cut_off", ZIP, lambda folder: plain(folder, torch_file(
    folder, GOOD).read_bytes()[:-40]))  # fmt: skip
simple("an_empty_zip", "it is a zip archive, but no checkpoint: it holds nothing",
       lambda folder: zipped(folder, {}))  # fmt: skip
simple("a_zip_of_other_files", "it is a zip archive, but no checkpoint: it holds `../../x`",
       lambda folder: zipped(folder, {"../../x": b"a"}))  # fmt: skip
simple("a_torchscript_archive", "it is a TorchScript archive, which holds code",
       lambda folder: torch_file(folder, GOOD, **{"code/__torch__.py": b"evil"}))  # fmt: skip
simple("an_exported_program", "it is an exported program (`.pt2`), which holds code",
       lambda folder: zipped(folder, {"a/archive_format": b"pt2", "a/models/model.json": b"{}"}))  # fmt: skip


@attack("its zip archive lists")
def a_directory_of_megabytes(folder: Path) -> Path:
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, 1 << 30, 100, 0)
    return sparse(folder / "a.pth", (1 << 30) + 122, b"PK\x03\x04", end)


@attack("its zip archive lists more than 65,536 files")
def a_hundred_thousand_members(folder: Path) -> Path:
    one = b"PK\x01\x02" + bytes(24) + struct.pack("<HHH", 3, 0, 0) + bytes(12)
    listed = b"".join(one + b"%c%c%c" % (i >> 14, i >> 7 & 127, i & 127) for i in range(100_000))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(listed), 4, 0)
    return plain(folder, b"PK\x03\x04" + listed + end)


# NumPy's files.

F4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
simple("an_array", "", lambda folder: npz(folder, F4))
simple("an_array_in_fortran_order", "", lambda folder: npz(
    folder, F4.replace("False", "True").replace("(4,)", "(2, 2)")))  # fmt: skip
simple("a_big_endian_array", "", lambda folder: npz(folder, F4.replace("<", ">")))
simple("an_array_of_pickled_objects", "`a` is an array of Python objects", lambda folder: npz(
    folder, F4.replace("<f4", "|O"), SYSTEM + b"."))  # fmt: skip
simple("an_array_of_records", "`a` is an array of records", lambda folder: npz(
    folder, F4.replace("'<f4'", "[('x', '<f4')]")))  # fmt: skip
simple("an_array_of_text", "`a` is an array of", lambda folder: npz(
    folder, F4.replace("<f4", "<U4")))  # fmt: skip
simple("an_array_that_claims_a_trillion_numbers", "array `a` in it is cut off", lambda folder: npz(
    folder, F4.replace("(4,)", "(1000000000000,)")))  # fmt: skip
simple("an_array_of_negative_extent", DAMAGED_SHAPE, lambda folder: npz(
    folder, F4.replace("(4,)", "(-4,)")))  # fmt: skip
simple("a_header_that_is_code", "array `a` in it is damaged", lambda folder: npz(
    folder, f"__import__('os').system({TOUCH!r})"))  # fmt: skip
simple("a_header_of_parentheses", "array `a` in it is damaged", lambda folder: npz(
    folder, "(" * 9_000 + ")" * 900))  # fmt: skip
simple("a_header_that_claims_gigabytes", "array `a` in it is damaged", lambda folder: zipped(
    folder, {"a.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31)}))  # fmt: skip
simple("a_member_that_is_no_array", "array `a` in it is damaged",
       lambda folder: zipped(folder, {"a.npy": b"no array"}))  # fmt: skip
simple("an_array_without_a_name", "it is one array without a name", lambda folder: plain(
    folder, npy(F4)))  # fmt: skip


@attack("its tensors claim 8.0 GB")
def an_array_that_inflates_to_gigabytes(folder: Path) -> Path:
    header = npy(F4.replace("(4,)", f"({1 << 31},)"), b"")
    return _packed_array(folder, header, 8 * GB)


def _packed_array(folder: Path, header: bytes, size: int) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header + bytes(1 << 20))
    # the directory says that it is as large as the header says
    found = path.read_bytes()
    at = found.rfind(b"PK\x01\x02")
    entry_, end = bytearray(found[at : at + 46]), bytearray(found[-22:])
    packed = struct.unpack_from("<I", entry_, 20)[0]
    struct.pack_into("<II", entry_, 20, packed, 0xFFFFFFFF)
    wide = struct.pack("<HHQ", 1, 8, len(header) + size)
    struct.pack_into("<H", entry_, 30, len(wide))
    listed = bytes(entry_) + b"a.npy" + wide
    struct.pack_into("<I", end, 12, len(listed))
    path.write_bytes(found[:at] + listed + bytes(end))
    return path


simple("nothing_of_an_extent_beyond_numpy", DAMAGED_SHAPE, lambda folder: npz(
    folder, F4.replace("(4,)", f"(0, {1 << 61}, {1 << 61})")))  # fmt: skip
for label, header in {
    "a_key_that_cannot_be_one": "{{}: 1}",
    "a_number_of_six_thousand_digits": F4.replace("4,", "9" * 6000 + ","),
    "a_number_negated_nine_thousand_times": "{'shape': " + "-" * 9000 + "1}",
    "a_header_with_a_null": F4.replace(", ", ", \0", 1),
    "a_type_that_is_a_product": F4.replace("'<f4'", "['<f4'] * 3"),
}.items():
    simple(label, "array `a` in it is damaged", lambda folder, header=header: npz(folder, header))
simple(
    "an_extent_without_end", DAMAGED_SHAPE, lambda folder: npz(folder, F4.replace("4,", "1e400,"))
)
simple("a_shape_that_is_a_set", DAMAGED_SHAPE, lambda folder: npz(
    folder, F4.replace("(4,)", "{4}")))  # fmt: skip


@attack("its zip archive is damaged or cut off")
def a_locator_that_leads_to_itself(folder: Path) -> Path:
    found = npz(folder, F4).read_bytes()
    at = found.rfind(b"PK\x05\x06")
    return plain(folder, found[:at] + struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1) + found[at:])


@attack("it is a zip archive, but no checkpoint: it holds nothing")
def an_end_in_a_comment(folder: Path) -> Path:
    found = npz(folder, F4).read_bytes()
    return plain(folder, found[:-2] + struct.pack("<H", 22) + b"PK\x05\x06" + bytes(18))
