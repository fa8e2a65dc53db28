"""Hostile and odd files by name: how each is made, and what is said of it ("" where it is read).

`CANARY` in a payload is a file that appears where anything of it is executed.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.weights.crafted import (
    call,
    deflated_zeros,
    entry,
    map_,
    name,
    npy,
    npz,
    older,
    patched,
    plain,
    raw_zip,
    safetensors,
    sparse,
    storage,
    tensor,
    torch_file,
    tuple_,
    value,
    zipped,
)

Make = Callable[[Path], Path]
ATTACKS: dict[str, tuple[Make, str]] = {}
DAMAGED = "its pickle is damaged or cut off"
UNKNOWN = "it is no file of weights: neither PyTorch's"
TOO_MUCH = "it holds too much beside its tensors"
ZIP = "its zip archive is damaged or cut off"
DAMAGED_SHAPE = "a tensor's shape is damaged"
CANARY = "CANARY"
TOUCH = f"touch {CANARY}"
GOOD = map_({"fc.bias": tensor()})
GB = 1 << 30


def attack(says: str = "") -> Callable[[Make], Make]:
    def note(make: Make) -> Make:
        ATTACKS[make.__name__] = (make, says)
        return make

    return note


def simple(label: str, says: str, make: Make) -> None:
    ATTACKS[label] = (make, says)


def code(label: str, says: str, raw: bytes) -> None:
    """A pickle alone; that it is one shows where its protocol stands at its start."""
    if says == DAMAGED and not raw.startswith(b"\x80"):
        raw = b"\x80\x02" + raw
    simple(label, says, lambda folder: plain(folder, raw))


def root(label: str, says: str, piece: bytes) -> None:
    simple(label, says, lambda folder: torch_file(folder, piece))


# Code in a pickle.

SYSTEM = b"cposix\nsystem\n(S'" + TOUCH.encode() + b"'\ntR"
code("reduce_in_protocol_0", "it holds a `posix.system`, whose code is never run", SYSTEM + b".")
code("reduce_in_protocol_4", "it holds a `posix.system`, whose code is never run",
     b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([len(TOUCH)]) + TOUCH.encode()
     + b"\x85R.")  # fmt: skip
code("inst", "it holds a `posix.system`", b"(S'" + TOUCH.encode() + b"'\niposix\nsystem\n.")
code("obj", "it holds a `posix.system`", b"(cposix\nsystem\nS'" + TOUCH.encode() + b"'\no.")
code("new_object", "it holds a `evil_canary.Evil`", b"\x80\x02cevil_canary\nEvil\n)\x81.")
code("new_object_with_keywords", "it holds a `evil_canary.Evil`",
     b"\x80\x04cevil_canary\nEvil\n)}\x92.")  # fmt: skip
code("extension_registry", "it holds", b"\x80\x02\x82\x01)R.")
code("import_of_a_module_that_acts", "it holds", b"cevil_canary\nEvil\n.")
code("a_builtin_that_evaluates", "it holds a `builtins.exec`", call("builtins.exec", value(
    f"open({CANARY!r}, 'w')")) + b".")  # fmt: skip
code("getattr_chain", "it holds", call("builtins.getattr", name("os"), value("system")) + tuple_(
    value(TOUCH)) + b"R.")  # fmt: skip
root("code_beside_the_tensors", "", map_({"state_dict": GOOD, "args": SYSTEM}))
root("code_as_a_key", "", b"}(" + SYSTEM + value(1) + value("state_dict") + GOOD + b"u")
root("code_as_a_shape", DAMAGED_SHAPE, map_({"w": call(
    "torch._utils._rebuild_tensor_v2", storage(), value(0), SYSTEM, value((1,)))}))  # fmt: skip
root("code_as_a_storage", "a tensor in it is damaged", map_({"w": call(
    "torch._utils._rebuild_tensor_v2", SYSTEM, value(0), value((1,)), value((1,)))}))  # fmt: skip
root("code_as_a_storage_type", "a tensor's storage is damaged", map_({"w": tensor(stored=tuple_(
    value("storage"), SYSTEM, value("0"), value("cpu"), value(4)) + b"Q")}))  # fmt: skip
root("state_that_sets_attributes", "it holds no tensors",
     map_({"a": name("evil_canary.Evil") + value({"__class__": "x", "by": 1}) + b"b"}))  # fmt: skip
root("rebuilt_from_a_type_of_the_files", "", map_({"fc.bias": call(
    "torch._tensor._rebuild_from_type_v2", name("torch._utils._rebuild_tensor_v2"),
    name("evil_canary.Evil"),
    tuple_(storage(), value(0), value((4,)), value((1,)), value(False), value(None)),
    value({}))}))  # fmt: skip
root("rebuilt_by_a_function_of_the_files", "is a evil_canary.Evil", map_({"fc.bias": call(
    "torch._tensor._rebuild_from_type_v2", name("posix.system"), name("evil_canary.Evil"),
    value((TOUCH,)), value({}))}))  # fmt: skip
code("code_in_the_older_format", "it holds a `posix.system`",
     b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {})) + SYSTEM + b"."
     + pickle.dumps([], 2))  # fmt: skip

# Pickles that claim much.

code("text_that_claims_an_exabyte", DAMAGED, b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"ab.")
code("bytes_that_claim_an_exabyte", DAMAGED, b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"ab.")
code("bytearray_that_claims_an_exabyte", DAMAGED,
     b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b".")  # fmt: skip
code("number_of_two_gigabytes", DAMAGED, b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFFF) + b"1.")
code("number_of_negative_length", DAMAGED, b"\x80\x02\x8b" + struct.pack("<i", -5) + b"1.")
code("text_of_negative_length", DAMAGED, b"T" + struct.pack("<i", -5) + b".")
code(
    "frame_that_claims_an_exabyte", "it holds", b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"]."
)
code("memo_at_the_four_billionth_place", "it holds", b"]r\xff\xff\xff\xff.")
code("decimal_number_of_a_million_digits", DAMAGED, b"I" + b"9" * 1_000_000 + b"\n.")
code("line_without_an_end", TOO_MUCH, b"c" + b"a" * 3_000_000)
code("four_million_maps", TOO_MUCH, b"(" + b"}" * 4_000_000 + b"l.")
code("four_million_marks", TOO_MUCH, b"(" * 5_000_000)
code("eight_million_duplicates", TOO_MUCH, b"]" + b"2" * 8_000_000)
code("lists_nested_a_million_deep", TOO_MUCH, b"]" * 1_000_000 + b"a" * 999_999 + b".")
code("lists_nested_three_hundred_thousand_deep", "it holds",
     b"]" * 300_000 + b"a" * 299_999 + b".")  # fmt: skip
code("tuples_nested_deep_as_a_key", "it holds no tensors",
     b"}(" + b")" + b"\x85" * 200_000 + b"K\x01u.")  # fmt: skip
code("a_map_copied_again_and_again", TOO_MUCH,
     value({str(i): i for i in range(10_000)}) + b"q\x00" + b"0ccollections\nOrderedDict\nq\x01"
     + b"h\x01h\x00\x85R" * 100_000)  # fmt: skip
code("lists_that_hold_the_one_before_ten_times", "it holds",
     b"]" + b"".join(b"q%c](%se" % (i, b"h%c" % i * 10) for i in range(1, 100)) + b".")  # fmt: skip
code("a_list_that_holds_itself", "it holds", b"]q\x00h\x00a.")
code("a_map_that_holds_itself", "it holds no tensors", b"}q\x00(X\x01\0\0\0ah\x00u.")
code("a_tuple_that_holds_itself", "it holds", b"]q\x00h\x00\x85a.")
code("keys_that_collide", "it holds no tensors",
     b"}(" + b"".join(value(k * ((1 << 61) - 1)) + b"N" for k in range(20_000)) + b"u.")  # fmt: skip
root("a_module_that_holds_itself_twice_at_each_level", "its model nests without end", (
    b"".join(
        (b"cm\nM\n)\x81q%c}(" % i) + value("_parameters") + b"}" + value("_modules")
        + (b"}(" + value("a") + b"h%c" % (i - 1) + value("b") + b"h%c" % (i - 1) + b"u"
           if i > 1 else b"}") + b"ub"
        for i in range(1, 60))))  # fmt: skip
root("a_module_that_is_its_own_child", "its model nests without end",
     b"cm\nM\n)\x81q\x01}(" + value("_parameters") + b"}" + value("_modules") + b"}("
     + value("a") + b"h\x01uub")  # fmt: skip

# Pickles that are broken.

code("no_stop", DAMAGED, b"\x80\x02]")
code("only_stop", DAMAGED, b"\x80\x02.")
code("an_unknown_opcode", DAMAGED, b"\x80\x02\xff.")
code("a_memo_that_was_never_set", DAMAGED, b"\x80\x02h\x07.")
code("items_for_what_is_no_map", DAMAGED, b"](K\x01K\x02u.")
code("elements_for_what_is_no_list", DAMAGED, b"}K\x01a.")
code("an_odd_number_of_items", DAMAGED, b"}(K\x01u.")
code("a_global_without_names", DAMAGED, b"\x80\x04K\x01K\x02\x93.")
code("called_with_no_tuple", DAMAGED, b"cposix\nsystem\nK\x01R.")
code("a_mark_in_a_tuple", DAMAGED, b"((\x85.")
code("a_reference_to_outside", "it refers to something outside of it", b"\x80\x02K\x01Q.")
code("buffers_outside", "its arrays are stored outside of its pickle", b"\x80\x05\x97.")
root("names_that_are_no_utf8", "", b"}(X\x03\0\0\0\xff\xfe\xfd" + tensor() + b"u")
root("names_of_escape_codes", r"`\x1b[2J\x1b]0;evil\x07\n` is sparse", map_({
    "\x1b[2J\x1b]0;evil\x07\n": call("torch._utils._rebuild_sparse_tensor")}))  # fmt: skip
root("a_name_of_a_hundred_thousand_letters", "aaaa…` is sparse",
     map_({"a" * 3000: call("torch._utils._rebuild_sparse_tensor")}))  # fmt: skip

# Tensors that are not what they say.

FIVE = "claims more numbers than it holds"
root("a_negative_offset", "a tensor's place is damaged", map_({"w": tensor(offset=-1)}))
root("negative_strides", "a tensor's strides is damaged", map_({"w": tensor((2,), (-1,))}))
root("a_negative_extent", DAMAGED_SHAPE, map_({"w": tensor((-1,))}))
root("a_shape_of_truth_values", DAMAGED_SHAPE, map_({"w": tensor((True,))}))
root("a_shape_of_text", DAMAGED_SHAPE, map_({"w": tensor(("4",))}))
root("a_shape_that_is_no_list", DAMAGED_SHAPE, map_({"w": tensor(4)}))
root("a_shape_of_a_hundred_axes", DAMAGED_SHAPE, map_({"w": tensor((1,) * 100, (1,) * 100)}))
root("an_extent_of_a_thousand_bits", DAMAGED_SHAPE, map_({"w": tensor((1 << 1000,))}))
root("more_strides_than_axes", "has no place in the file", map_({"w": tensor((2, 2), (1,))}))
root("an_offset_beyond_the_storage", "reaches to byte 32 of 16", map_({"w": tensor(offset=4)}))
root("a_stride_beyond_the_storage", "reaches to byte", map_({"w": tensor((2, 2), (1 << 40, 1))}))
root("a_storage_that_claims_more", FIVE, map_({"w": tensor(stored=storage(count=5))}))
root("a_storage_that_claims_an_exabyte", FIVE, map_({"w": tensor(stored=storage(count=1 << 60))}))
root("a_storage_of_negative_size", FIVE, map_({"w": tensor(stored=storage(count=-1))}))
root("a_storage_that_is_missing", "is not in it", map_({"w": tensor(stored=storage(key="7"))}))
root("a_storage_outside_of_the_archive", "is not in it",
     map_({"w": tensor(stored=storage(key="../../../../etc/passwd"))}))  # fmt: skip
root("a_storage_of_an_unknown_type", "is of unknown type `torch.EvilStorage`",
     map_({"w": tensor(stored=storage(kind="EvilStorage"))}))  # fmt: skip
root("one_number_expanded_to_gigabytes", "its tensors claim 7.5 GB, `w` alone 7.5 GB",
     map_({"w": tensor((40_000, 50_000), (0, 0))}))  # fmt: skip
root("one_number_expanded_to_exabytes", "its tensors claim",
     map_({"w": tensor((1 << 60, 1 << 60), (0, 0))}))  # fmt: skip
root("windows_that_overlap", "its tensors claim",
     map_({"w": tensor((1 << 15, 1 << 15), (0, 0), 0)}))  # fmt: skip
root("ten_thousand_tensors_of_one_number", "its tensors claim 9.3 GB",
     map_({f"w{i}": tensor((250_000,), (0,)) for i in range(10_000)}))  # fmt: skip
root("a_few_numbers_expanded_within_bounds", "", map_({"w": tensor((4, 4), (0, 1))}))
root("an_expanded_tensor_of_the_optimiser", "",
     map_({"model": GOOD, "optimizer": map_({"m": tensor((1 << 40,), (0,))})}))  # fmt: skip
root("a_sparse_tensor", "`w` is sparse",
     map_({"w": call("torch._utils._rebuild_sparse_tensor", value(0), value(()))}))  # fmt: skip
root("a_quantised_tensor", "`w` is quantised", map_({"w": call("torch._utils._rebuild_qtensor")}))
root("a_nested_tensor", "`w` is a nested tensor",
     map_({"w": call("torch._utils._rebuild_nested_tensor")}))  # fmt: skip
root("a_tensor_without_numbers", "`w` is on the meta device, without any numbers", map_({"w": call(
    "torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"), value((1 << 50,)),
    value((1,)), value(False))}))  # fmt: skip
root("a_storage_without_numbers", "`w` is on the meta device",
     map_({"w": tensor(stored=storage(at="meta"))}))  # fmt: skip
root("a_conjugate_view", "`w` is a lazily conjugated or negated view", map_({"w": call(
    "torch._utils._rebuild_tensor_v2", storage(), value(0), value((4,)), value((1,)), value(False),
    value(None), value({"neg": True}))}))  # fmt: skip
root("a_tensor_of_another_library", "`w` is a some.library.DTensor",
     map_({"w": b"csome.library\nDTensor\n)\x81"}))  # fmt: skip
root("keys_of_every_kind", "have no names: a key is a number",
     b"}(K\x00" + tensor() + b"\x80\x03C\x01b" + tensor() + b"N" + tensor() + b")"
     + tensor() + b"\x88" + tensor() + b"u")  # fmt: skip
root(
    "a_list_of_tensors", "have no names: a key is its place in a list", b"](" + tensor() * 3 + b"e"
)
root("a_tensor_alone", "it holds one tensor without a name", tensor())
root("an_array_of_objects", "`w` is an array of", map_({"w": call(
    "numpy.core.multiarray._reconstruct", name("numpy.ndarray"), value((0,)), value("b"))
    + tuple_(value(1), value((1,)), call("numpy.dtype", value("O8"), value(False), value(True)),
             value(False), b"](" + SYSTEM + b"e") + b"b"}))  # fmt: skip
simple("a_storage_at_the_end_of_a_terabyte", ZIP, lambda folder: sparse(
    folder / "a.pth", 1 << 40, b"PK\x03\x04"))  # fmt: skip
simple("older_storage_that_claims_more", "it is cut off",
       lambda folder: older(folder, GOOD, data=struct.pack("<q", 1 << 40)))  # fmt: skip
simple("older_storage_of_negative_size", "it is cut off",
       lambda folder: older(folder, GOOD, data=struct.pack("<q", -1)))  # fmt: skip
simple("older_storages_of_other_keys", "its list of storages is damaged",
       lambda folder: older(folder, GOOD, ("7",)))  # fmt: skip
simple("older_storage_that_never_comes", "it lacks the numbers of a tensor",
       lambda folder: older(folder, GOOD, ()))  # fmt: skip

NESTS = "it nests too much beside its tensors to find them"
TENSOR = tensor() + b"q\x09" + b"0"  # kept in the memo, so that it can be had again
root("ten_thousand_sets", NESTS, TENSOR + b"](" + b"".join(
    b"}" + value(f"w{i}") + b"h\x09s" for i in range(10_000)) + b"e")  # fmt: skip
root("a_hundred_thousand_lists", NESTS, b"](" + b"]" * 120_000 + b"e")
root("names_of_megabytes_when_joined", NESTS, TENSOR + b"".join(
    b"}" + value(f"{i}" + "n" * 4000) for i in range(20)) + b"](" + b"".join(
    b"}" + value(f"w{i}") + b"h\x09s" for i in range(5_000)) + b"e" + b"s" * 20)  # fmt: skip
root("a_key_that_is_slow_to_match", "it holds no tensors", b"}(" + b"".join(
    value("opt_" * 900 + f"{i}\n") + b"}" for i in range(2_000)) + b"u")  # fmt: skip
simple("five_thousand_wide_views", "its tensors are spread over",
       lambda folder: _wide_views(folder, packed=False))  # fmt: skip
simple("five_thousand_views_of_the_end_of_what_is_packed", "its tensors are spread over",
       lambda folder: _wide_views(folder, packed=True))  # fmt: skip
root("modules_whose_names_grow", "its model nests without end", b"".join(
    b"cm\nM\n)\x81q%c}(" % (i + 1) + value("_parameters") + b"}" + value("_modules") + (
        b"}" + value("m" * 900) + b"h%c" % i + b"s" if i else b"}")
    + b"ub" for i in range(20)))  # fmt: skip


def _wide_views(folder: Path, *, packed: bool) -> Path:
    count = 16 << 20
    shape, strides, offset = ((1,), (1,), count - 1) if packed else ((2,), (count - 1,), 0)
    held = storage(count=count)
    views = {f"w{i}": tensor(shape, strides, offset, stored=held) for i in range(5_000)}
    body = b"\x80\x02" + map_(views) + b"."
    main = ("a/data.pkl", body, {"crc": zlib.crc32(body)})
    if packed:
        numbers = ("a/data/0", deflated_zeros(64 << 20), {"method": 8, "size": 64 << 20})
        return plain(folder, raw_zip([main, numbers]))
    return plain(folder, raw_zip([main, ("a/data/0", bytes(64 << 20), {})]))


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


# Safetensors.

ST = "it is no whole safetensors file: "
simple("a_header_of_an_exabyte", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b"{}", length=1 << 60))  # fmt: skip
simple("a_header_longer_than_the_file", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b"{}", length=500))  # fmt: skip
simple("a_header_of_five_megabytes", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b'{"a":' + b"[" * 5_000_000))  # fmt: skip
simple("a_header_nested_deep", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a":' + b"[" * 1_000_000))  # fmt: skip
simple("a_header_of_empty_lists", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, b'{"a":[' + b"[]," * 1_300_000 + b"[]]}"))  # fmt: skip
simple("a_header_that_is_no_utf8", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"\xff\xfe": 1}'))  # fmt: skip
simple("a_header_of_nan", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a": NaN}'))  # fmt: skip
simple("a_tensor_that_is_there_twice", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a": {}, "a": {}}'))  # fmt: skip
simple("places_that_overlap", f"{ST}`b` begins at 8, not at 16", lambda folder: safetensors(
    folder, {"a": entry(), "b": entry(shape=[2], begin=8)}))  # fmt: skip
simple("a_gap_between_tensors", f"{ST}`a` begins at 4, not at 0", lambda folder: safetensors(
    folder, {"a": entry(shape=[3], begin=4)}))  # fmt: skip
simple("bytes_after_the_last_tensor", f"{ST}it holds 16 bytes of numbers, not 8",
       lambda folder: safetensors(folder, {"a": entry(shape=[2], end=8)}))  # fmt: skip
simple("a_place_before_the_file", "place is damaged", lambda folder: safetensors(
    folder, {"a": entry(begin=-16)}))  # fmt: skip
simple("a_place_that_is_no_number", "place is damaged", lambda folder: safetensors(
    folder, {"a": entry(begin=0.5)}))  # fmt: skip
simple("a_place_beyond_the_file", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, {"a": entry(shape=[1 << 40], end=1 << 42)}))  # fmt: skip
simple("a_shape_that_takes_more", f"{ST}`a` of shape [9] takes 16 bytes", lambda folder: (
    safetensors(folder, {"a": entry(shape=[9])})))  # fmt: skip
simple("a_shape_whose_product_overflows", f"{ST}`a` of shape", lambda folder: safetensors(
    folder, {"a": entry(shape=[1 << 33, 1 << 33])}))  # fmt: skip
simple("a_type_that_is_a_list", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, {"a": entry(dtype=["F32"])}))  # fmt: skip
simple("a_type_of_float8", "`a` is stored as F8_E4M3", lambda folder: safetensors(
    folder, {"a": entry(dtype="F8_E4M3", shape=[16])}))  # fmt: skip
simple("metadata_that_is_no_map", f"{ST}its metadata", lambda folder: safetensors(
    folder, {"__metadata__": 7}, b""))  # fmt: skip
simple("a_sparse_file_of_a_terabyte", f"{ST}it claims a header", lambda folder: sparse(
    folder / "a.safetensors", 1 << 40, struct.pack("<Q", 1 << 30) + b"{"))  # fmt: skip
simple("a_sparse_tensor_of_a_terabyte", "its tensors claim", lambda folder: _zeros(
    folder, "F32", 1 << 38, 4))  # fmt: skip


simple("as_much_as_is_allowed", "", lambda folder: _zeros(folder, "BF16", 32 << 20, 2))
simple("more_than_is_allowed", "its tensors claim", lambda folder: _zeros(
    folder, "BF16", 34 << 20, 2))  # fmt: skip


def _zeros(folder: Path, dtype: str, count: int, width: int) -> Path:
    path = safetensors(folder, {"a": entry(dtype, [count], end=count * width)}, b"")
    return sparse(path, path.stat().st_size + count * width, path.read_bytes())


# What is no weight file, or no file.

simple("nothing", "it is empty", lambda folder: plain(folder, b""))
simple("one_byte", DAMAGED, lambda folder: plain(folder, b"\x80"))
simple("zeros", UNKNOWN, lambda folder: sparse(folder / "a.pth", 1 << 40))
simple("text", UNKNOWN, lambda folder: plain(folder, b"no checkpoint"))
simple("a_web_page", "it is a web page", lambda folder: plain(folder, b"<!doctype html><html>"))
simple("a_pointer_of_git_lfs", "it is the pointer of a file in Git LFS", lambda folder: plain(
    folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"))  # fmt: skip
simple("a_gzip_file", "it is compressed by gzip", lambda folder: plain(folder, b"\x1f\x8b\x08\0"))
simple("a_tar_archive", "it is a tar archive", lambda folder: plain(
    folder, bytes(257) + b"ustar\x0000" + bytes(248)))  # fmt: skip
simple("a_missing_file", "No such file", lambda folder: folder / "none.pth")
simple("a_name_with_a_null", "cannot read", lambda folder: folder / "a\0b.pth")
simple("a_device", "it is a device, not a file", lambda folder: Path("/dev/zero"))


@attack("it is a FIFO, not a file")
def a_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "a.pth")
    return folder / "a.pth"


@attack("cannot read")
def a_link_to_itself(folder: Path) -> Path:
    (folder / "a.pth").symlink_to(folder / "a.pth")
    return folder / "a.pth"


# Folders.


def index(folder: Path, text: str, held: bool = True) -> Path:
    inner = folder / "trained"
    inner.mkdir()
    (inner / "model.safetensors.index.json").write_text(text)
    if held:
        safetensors(inner, {"a": entry()}).rename(inner / "m-1.safetensors")
    return inner


MAP = '{"weight_map": {"a": "%s"}}'
simple("an_index", "", lambda folder: index(folder, MAP % "m-1.safetensors"))
simple("an_index_that_leads_out", "which is not in the folder", lambda folder: index(
    folder, MAP % "../a.safetensors"))  # fmt: skip
simple("an_index_to_the_root", "which is not in the folder", lambda folder: index(
    folder, MAP % "/etc/passwd"))  # fmt: skip
simple("an_index_to_the_folder", "which is not in the folder", lambda folder: index(
    folder, MAP % "."))  # fmt: skip
simple("an_index_to_what_is_missing", "No such file", lambda folder: index(folder, MAP % "m-2"))
simple("an_index_that_is_no_json", "is no JSON", lambda folder: index(folder, "[" * 100_000))
simple("an_index_of_nothing", "lists no tensors", lambda folder: index(folder, "[1, 2]"))
simple("an_empty_folder", "it is a folder without a file of weights", lambda folder: folder)


@attack("which is not in the folder")
def an_index_to_a_link(folder: Path) -> Path:
    inner = index(folder, MAP % "m-2.safetensors")
    safetensors(folder, {"a": entry()})
    (inner / "m-2.safetensors").symlink_to(folder / "a.safetensors")
    return inner


@attack("it is a folder of 2 weight files: `model.safetensors`, `model_1.safetensors`")
def a_folder_of_two_models(folder: Path) -> Path:
    for label in ("model.safetensors", "model_1.safetensors"):
        safetensors(folder, {"a": entry()}).rename(folder / label)
    return folder


@attack("")
def a_folder_of_a_trainer(folder: Path) -> Path:
    safetensors(folder, {"a": entry()}).rename(folder / "model.safetensors")
    for label in ("optimizer.bin", "training_args.bin", "rng_state.pth"):
        (folder / label).write_bytes(SYSTEM + b".")
    return folder
