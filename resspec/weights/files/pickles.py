"""A reader of pickles that executes nothing: every class and function is an inert name.

Opcodes: Lib/pickletools.py of CPython, protocols 0 to 5. What is made is metered, so that a short
file cannot claim much memory; long bytes are left in the file (`inert.Blob`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from resspec.weights.files.inert import Blob, Made, Named, called, filled, key_of
from resspec.weights.files.source import SAVE, Data, Held, Part, Unreadable, whole

STEPS = 2_000_000  # opcodes
MEMORY = 64 << 20  # bytes that everything made may take, beside what stays in the file
TEXT = 1 << 20  # bytes of one text or number
LEFT = 4096  # bytes of this length and above stay in the file
SIZED = (list, tuple, dict)
EACH = 80  # bytes that an object is taken for
MARK: Any = object()
LARGE = "it holds too much beside its tensors"
DAMAGED = "its pickle is damaged or cut off"
Persistent = Callable[[Any], object]
Nested = Callable[[Data, "Meter"], object]
LOAD = Named("torch.storage", "_load_from_bytes")


class Meter:
    """What may still be done for a file."""

    def __init__(self) -> None:
        self.steps, self.memory = STEPS, MEMORY


class Machine:
    """Pickles that follow each other in `data`, read one at a time.

    persistent: what stands for an object that is stored outside of the pickle. nested: for bytes
    that hold a file of PyTorch's, as `pickle.dump(model.state_dict())` leaves them.
    """

    def __init__(
        self, data: Data, persistent: Persistent, nested: Nested | None = None,
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.data, self.at, self.persistent, self.nested = data, 0, persistent, nested
        self._window, self._begin = b"", 0
        self.meter = meter or Meter()
        self._stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> object:
        """The next pickle's object. Errors: Unreadable."""
        self._stack, self.memo = [], {}
        try:
            while True:
                self.meter.steps -= 1
                if self.meter.steps < 0:
                    raise Unreadable(LARGE, SAVE)
                code = self.take(1)[0]
                if code == 0x2E:  # STOP
                    found: object = self._stack.pop()
                    return found
                OPCODES[code](self)
        except Unreadable:
            raise
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error) as bad:
            raise Unreadable(DAMAGED) from bad
        finally:
            self._stack, self.memo = [], {}

    def spend(self, count: int) -> None:
        self.meter.memory -= count
        if self.meter.memory < 0:
            raise Unreadable(LARGE, SAVE)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        first = self.at - self._begin
        if count < 0 or not 0 <= first <= first + count <= len(self._window):
            if not 0 <= count <= self.data.size - self.at:
                raise Unreadable(DAMAGED)
            stop = min(self.data.size, self.at + max(count, 1 << 16))
            self._window, self._begin, first = whole(self.data, self.at, stop), self.at, 0
        self.at += count
        return self._window[first : first + count]

    def number(self, form: str) -> int:
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(found)

    def read_line(self) -> bytes:
        """The next bytes up to a newline, without it."""
        found = b""
        while len(found) <= TEXT:
            piece = self.take(max(1, min(256 + len(found), self.data.size - self.at)))
            end = piece.find(b"\n")
            if end >= 0:
                self.at -= len(piece) - end - 1
                return found + piece[:end]
            found += piece
        raise Unreadable(LARGE, SAVE)

    def push(self, found: object, size: int = EACH) -> None:
        self.spend(size)
        self._stack.append(found)

    def marked(self) -> list[Any]:
        """What lies above the last mark."""
        stack = self._stack
        for place in range(len(stack) - 1, -1, -1):
            if stack[place] is MARK:
                found = stack[place + 1 :]
                del stack[place:]
                self.spend(8 * len(found))
                return found
        raise Unreadable(DAMAGED)

    # What opcodes do, by what they leave on the stack.

    def text(self, form: str, encoding: str = "utf-8") -> None:
        """A text of a length that is said before it."""
        length = self.number(form)
        if length < LEFT:
            self.push(self.take(length).decode(encoding, "backslashreplace"), EACH + 4 * length)
            return
        start = self.at
        self._skip(length)
        self.push(Blob(Part(self.data, start, length), text=encoding))

    def octets(self, form: str) -> None:
        """Bytes of a length that is said before them."""
        length = self.number(form)
        if length < LEFT:
            self.push(self.take(length), EACH + length)
            return
        start = self.at
        self._skip(length)
        self.push(Blob(Part(self.data, start, length)))

    def _skip(self, length: int) -> None:
        if not 0 <= length <= self.data.size - self.at:
            raise Unreadable(DAMAGED)
        self.at += length

    def line(self, convert: Callable[[bytes], object]) -> None:
        line = self.read_line()
        self.push(convert(line), EACH + 4 * len(line))

    def integer(self, form: str) -> None:
        """A number of as many bytes as is said before it; one that no shape has stays there."""
        length = self.number(form)
        if length > LEFT:
            start = self.at
            self._skip(length)
            self.push(Blob(Part(self.data, start, length)))
        elif length >= 0:
            self.push(int.from_bytes(self.take(length), "little", signed=True), EACH + length)
        else:
            raise Unreadable(DAMAGED)

    def named(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Unreadable(DAMAGED)
        self.push(Named(module, name))

    def global_(self) -> None:
        module, name = (self.read_line().decode("utf-8", "replace") for _ in range(2))
        self.push(Named(module, name), EACH + len(module) + len(name))

    def extension(self, form: str) -> None:
        self.push(Named("copyreg extension", str(self.number(form))))

    def reduce(self) -> None:
        arguments, by = self._stack.pop(), self._stack.pop()
        self.push(self._called(by, arguments))

    def _called(self, by: object, arguments: object) -> object:
        """Paid for before it is made: what is given may be copied."""
        if not isinstance(arguments, tuple):
            raise Unreadable(DAMAGED)
        size = sum(len(one) for one in arguments if isinstance(one, SIZED))
        self.spend(4 * EACH + 16 * len(arguments) + EACH * size)
        if by == LOAD and self.nested and len(arguments) == 1:
            given = arguments[0]
            if isinstance(given, bytes | Blob):
                data = given.data if isinstance(given, Blob) else Held(given)
                return self.nested(data, self.meter)
        return called(by, arguments)

    def new(self, *, keywords: bool = False) -> None:
        options = self._stack.pop() if keywords else None
        arguments, by = self._stack.pop(), self._stack.pop()
        found = self._called(by, arguments)
        if isinstance(options, dict) and isinstance(found, Made):
            found.items.update(options)
        self.push(found)

    def inst(self) -> None:
        self.global_()
        by = self._stack.pop()
        self.push(self._called(by, tuple(self.marked())))

    def obj(self) -> None:
        by, *arguments = self.marked()
        self.push(self._called(by, tuple(arguments)))

    def build(self) -> None:
        state, found = self._stack.pop(), self._stack[-1]
        if isinstance(found, Made):
            found.state = state
            if isinstance(found.by, Named) and str(found.by) == "numpy.ndarray":
                filled(found, state)

    def outside(self, identity: object) -> None:
        self.push(self.persistent(identity), 2 * EACH)

    def set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        items = target.items if isinstance(target, Made) else target
        if not isinstance(items, dict) or len(pairs) % 2:
            raise Unreadable(DAMAGED)
        self.spend(EACH * len(pairs) // 2)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            items[key_of(key)] = value

    def extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        elements = target.elements if isinstance(target, Made) else target
        if not isinstance(elements, list):
            raise Unreadable(DAMAGED)
        self.spend(16 * len(values))
        elements.extend(values)

    def dict_(self) -> None:
        pairs = self.marked()
        self.push({}, 2 * EACH)
        self.set_items(pairs)

    def tuple_(self, count: int) -> None:
        values = tuple(self._stack[-count:])
        if len(values) != count or any(value is MARK for value in values):
            raise Unreadable(DAMAGED)
        del self._stack[-count:]
        self.push(values)

    def put(self, place: int) -> None:
        if place not in self.memo:
            self.spend(EACH)
        self.memo[place] = self._stack[-1]

    def get(self, place: int) -> None:
        self.push(self.memo[place], 8)

    def repeat(self) -> None:
        self.push(self._stack[-1], 8)

    def popped(self) -> Any:
        return self._stack.pop()

    def pop_pair(self) -> list[Any]:
        value, key = self._stack.pop(), self._stack.pop()
        return [key, value]

    def frozen(self) -> None:
        self.push(self.marked())

    def buffer(self) -> None:
        raise Unreadable("its arrays are stored outside of its pickle, which is not read")


def _old_int(line: bytes) -> object:
    return {b"00": False, b"01": True}.get(line) if line in (b"00", b"01") else int(line)


def _quoted(line: bytes) -> str:
    return line.strip()[1:-1].decode("unicode_escape")


Step = Callable[[Machine], object]
OPCODES: dict[int, Step] = {
    ord("("): lambda m: m.push(MARK, 8),
    ord("0"): lambda m: m.popped(),
    ord("1"): lambda m: m.marked(),
    ord("2"): lambda m: m.repeat(),
    ord("F"): lambda m: m.line(float),
    ord("I"): lambda m: m.line(_old_int),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B"), 8),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("L"): lambda m: m.line(lambda line: int(line.removesuffix(b"L"))),
    ord("N"): lambda m: m.push(None, 8),
    ord("P"): lambda m: m.outside(m.read_line().decode("ascii", "replace")),
    ord("Q"): lambda m: m.outside(m.popped()),
    ord("R"): lambda m: m.reduce(),
    ord("S"): lambda m: m.line(_quoted),
    ord("T"): lambda m: m.text("<i", "latin-1"),
    ord("U"): lambda m: m.text("<B", "latin-1"),
    ord("V"): lambda m: m.line(lambda line: line.decode("raw_unicode_escape")),
    ord("X"): lambda m: m.text("<I"),
    ord("a"): lambda m: m.extend([m.popped()]),
    ord("b"): lambda m: m.build(),
    ord("c"): lambda m: m.global_(),
    ord("d"): lambda m: m.dict_(),
    ord("}"): lambda m: m.push({}),
    ord("e"): lambda m: m.extend(m.marked()),
    ord("g"): lambda m: m.get(int(m.read_line())),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("i"): lambda m: m.inst(),
    ord("l"): lambda m: m.frozen(),
    ord("]"): lambda m: m.push([]),
    ord("o"): lambda m: m.obj(),
    ord("p"): lambda m: m.put(int(m.read_line())),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    ord("s"): lambda m: m.set_items(m.pop_pair()),
    ord("t"): lambda m: m.push(tuple(m.marked())),
    ord(")"): lambda m: m.push((), 8),
    ord("u"): lambda m: m.set_items(m.marked()),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("B"): lambda m: m.octets("<I"),
    ord("C"): lambda m: m.octets("<B"),
    0x80: lambda m: m.take(1),
    0x81: lambda m: m.new(),
    0x82: lambda m: m.extension("<B"),
    0x83: lambda m: m.extension("<H"),
    0x84: lambda m: m.extension("<i"),
    0x85: lambda m: m.tuple_(1),
    0x86: lambda m: m.tuple_(2),
    0x87: lambda m: m.tuple_(3),
    0x88: lambda m: m.push(True, 8),
    0x89: lambda m: m.push(False, 8),
    0x8A: lambda m: m.integer("<B"),
    0x8B: lambda m: m.integer("<i"),
    0x8C: lambda m: m.text("<B"),
    0x8D: lambda m: m.text("<Q"),
    0x8E: lambda m: m.octets("<Q"),
    0x8F: lambda m: m.push([]),  # a set, whose elements nobody looks up
    0x90: lambda m: m.extend(m.marked()),
    0x91: lambda m: m.frozen(),
    0x92: lambda m: m.new(keywords=True),
    0x93: lambda m: m.named(),
    0x94: lambda m: m.put(len(m.memo)),
    0x95: lambda m: m.take(8),
    0x96: lambda m: m.octets("<Q"),
    0x97: lambda m: m.buffer(),
    0x98: lambda m: None,
}
