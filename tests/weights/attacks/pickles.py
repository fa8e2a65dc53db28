"""Pickles: code in them, what claims much, and what is broken."""

from __future__ import annotations

import pickle
import struct

import numpy as np

from tests.weights.attacks.names import (
    CANARY,
    DAMAGED,
    DAMAGED_SHAPE,
    GOOD,
    SYSTEM,
    TOO_MUCH,
    TOUCH,
    code,
    root,
)
from tests.weights.crafted import call, map_, name, storage, tensor, tuple_, value

# Code in a pickle.

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

for number, maker in enumerate(
    ("torch._tensor._rebuild_from_type_v2", "jax._src.array._reconstruct_array")
):
    # each is the arguments of the one around it; memo 0: the function, memo 1: what is inside
    code(f"rebuilt_within_itself_{number}", "a tensor in it is damaged", b"\x80\x02" + name(maker)
         + b"q\x000)q\x010" + b"h\x00h\x01h\x01\x87q\x010" * 20_000 + b"h\x00h\x01R.")  # fmt: skip
code(
    "called_by_what_it_called",
    "it holds",
    b"\x80\x02" + name("builtins.print") + b")R" * 20_000 + b".",
)

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

# Odd opcodes.

NO_DICT = "it holds no state dict: it is"
ROUND = b"\x80\x02](" + b"K\x01" * 100_000 + b"eq\x00"
PUT = np.zeros(2_000_000, [("opcode", "S1"), ("place", "<u4")])
PUT["opcode"], PUT["place"] = b"r", np.arange(0, 4_000_000_000, 2000)
code("memo_places_two_million_of_them", TOO_MUCH, b"\x80\x02]" + PUT.tobytes() + b".")
code("memo_places_of_thousands_of_digits", NO_DICT, b"\x80\x02]" + b"".join(
    b"p%d\n" % 10**power for power in range(0, 4000, 70)) + b".")  # fmt: skip
code("a_memo_place_of_five_thousand_digits", DAMAGED, b"]g" + b"9" * 5000 + b"\n.")
code("a_reference_to_outside_by_name", "it refers to something outside", b"\x80\x00Pid\xff\n.")
code("storages_without_a_file", "it refers to something outside of it", b"\x80\x02}(" + (
    value("w") + storage(key="0" * 100_000)) * 30 + b"u.")  # fmt: skip
code("an_extension_of_negative_number", NO_DICT, b"\x80\x02\x84\xff\xff\xff\xff.")
code("a_global_named_by_five_thousand_letters", DAMAGED, b"\x80\x04\x8d" + struct.pack(
    "<Q", 5000) + b"a" * 5000 + b"\x8c\x06system\x93.")  # fmt: skip
code("a_frozen_set_that_holds_itself", DAMAGED, b"\x80\x04(h\x00\x91\x94.")
code("set_items_for_a_map", DAMAGED, b"\x80\x04}(K\x01\x90.")
code("a_number_that_is_called", "it holds a `int`", b"\x80\x02K\x01)R.")
code("state_in_slots_that_sets_attributes", "it holds a `m.C`, whose code", b"\x80\x02cm\nC\n)\x81"
     + tuple_(value({"a": 1}), value({"__class__": 1, "by": 2, "tensor": 3})) + b"b.")  # fmt: skip
code("only_a_mark", f"{NO_DICT} an object", b"\x80\x02(.")
code("pairs_of_pairs_three_hundred_thousand_deep", NO_DICT,
     b"\x80\x02K\x01" + b"q\x00h\x00h\x00\x86" * 300_000 + b".")  # fmt: skip
code("a_text_a_million_times", NO_DICT,
     b"\x80\x02" + value("x" * 4000) + b"q\x00(" + b"h\x00" * 1_000_000 + b"l.")  # fmt: skip
code("a_list_copied_again_and_again", TOO_MUCH,
     ROUND + b"cbuiltins\nlist\nq\x01(" + b"h\x01h\x00\x85R0" * 20_000 + b"l.")  # fmt: skip
code("a_shape_copied_again_and_again", TOO_MUCH,
     ROUND + b"ctorch\nSize\nq\x01(" + b"h\x01h\x00\x85R" * 20_000 + b"t.")  # fmt: skip
code("bytes_encoded_again_and_again", TOO_MUCH, b"\x80\x02" + value("\xe9" * 4000)
     + b"q\x00c_codecs\nencode\nq\x01(" + b"h\x01h\x00X\x06\0\0\0latin1\x86R" * 200_000 + b"l.")  # fmt: skip


def _files_in_files(depth: int) -> bytes:
    found = b"\x80\x02]."
    for _ in range(depth):
        by = b"\x80\x03ctorch.storage\n_load_from_bytes\nB"
        found = by + struct.pack("<I", len(found)) + found + b"\x85R."
    return found


code("files_in_files", "it holds a `torch.storage._load_from_bytes`", _files_in_files(3000))
