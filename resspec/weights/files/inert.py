"""What stands for the objects of a pickle: names and what was said of them, never the objects.

A class or function is its name. What one was called with is a `Made`, unless it is one of the few
that make tensors and plain containers, which are made here of what the pickle says. Nothing is
imported and nothing of the file's is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resspec.weights.files.source import Data, Held, Latin, Unreadable, shown
from resspec.weights.files.tensors import Lazy, extents, f_order, unreadable


@dataclass(frozen=True, slots=True)
class Named:
    """A class or function of someone's."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Made:
    """What a class or function would have made. `tensor`: if that is one that is understood."""

    by: object
    arguments: object = ()
    state: object = None
    items: dict[Any, Any] = field(default_factory=dict)
    elements: list[Any] = field(default_factory=list)
    tensor: Lazy | None = None

    def __str__(self) -> str:
        by = self.by
        while isinstance(by, Made):  # what was made by what was made, to any depth
            by = by.by
        return str(by) if isinstance(by, Named) else type(by).__name__


@dataclass(frozen=True, slots=True, eq=False)
class OddKey:
    """A key that is no text and no small number."""

    kind: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A torch storage. `dtype` is "" where its bytes have no type of their own."""

    data: Data | None
    dtype: str
    offset: int = 0
    big: bool = False
    meta: bool = False


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes of a pickle that are left where they are; `text`: the encoding, if they are text."""

    data: Data
    text: str = ""


STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "QInt8Storage": "qint8", "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4",
    "UntypedStorage": "", "_UntypedStorage": "",
}  # fmt: skip
WIDTHS = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
    "int8": 1, "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1, "complex64": 8,
    "complex128": 16, "qint8": 1, "quint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1, "": 1,
}  # fmt: skip
ALIASES = {"float": "float32", "double": "float64", "half": "float16", "long": "int64",
           "int": "int32", "short": "int16"}  # fmt: skip
DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
LISTS = ("builtins.list", "builtins.set", "builtins.frozenset", "builtins.tuple",
         "__builtin__.list", "__builtin__.set", "__builtin__.frozenset", "__builtin__.tuple",
         "collections.deque", "torch.Size")  # fmt: skip


def called(by: object, arguments: tuple[Any, ...]) -> object:
    """What calling it is taken for. Errors: Unreadable for a tensor that is damaged."""
    if not isinstance(by, Named):
        return Made(by, arguments)
    name = str(by)
    if name in DICTS:
        return _dict(arguments)
    if name in LISTS:
        first = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else ()
        return tuple(first) if name in ("torch.Size", "builtins.tuple") else list(first)
    if name == "_codecs.encode" and arguments:
        return _encoded(arguments[0])
    if (make := TENSORS.get(name)) is not None:
        try:
            return make(*arguments)
        except (TypeError, IndexError, AttributeError, RecursionError) as problem:
            raise Unreadable(f"a tensor in it is damaged: `{shown(name)}` was given "
                             f"{len(arguments)} things that do not fit") from problem  # fmt: skip
    if name in ("copy_reg._reconstructor", "copyreg._reconstructor") and arguments:
        return Made(arguments[0])
    return Made(by, arguments)


def _encoded(text: object) -> object:
    """Bytes that protocol 2 had to write as a text in Latin-1."""
    if isinstance(text, Blob) and text.text == "utf-8":
        return Blob(Latin(text.data))
    return text.encode("latin-1", "replace") if isinstance(text, str) else text


def key_of(found: object) -> object:
    """A key as a dict of ours may hold it: nothing whose hash a file could choose."""
    if isinstance(found, str | bytes | bool | Named) or found is None:
        return found
    if type(found) is int and abs(found) < 1 << 60:
        return found
    return OddKey(type(found).__name__)


def _dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Of nothing, of a dict, or of pairs; a default's factory is no content."""
    found: dict[Any, Any] = {}
    for given in arguments:
        if isinstance(given, dict):
            found.update(given)
        elif isinstance(given, list | tuple):
            for pair in given:
                if isinstance(pair, list | tuple) and len(pair) == 2:
                    found[key_of(pair[0])] = pair[1]
    return found


def dtype_of(found: object) -> str:
    """`torch.float16` by name."""
    if isinstance(found, Named) and found.module == "torch":
        return ALIASES.get(found.name, found.name)
    raise Unreadable("a tensor's type is damaged")


def storage_of(kind: object, data: Data, count: object, *, big: bool = False,
               meta: bool = False, offset: int = 0) -> Storage:  # fmt: skip
    """A storage of `count` elements, which `data` must hold. Errors: Unreadable."""
    name = kind.name if isinstance(kind, Named) else ""
    if name not in STORAGES:
        raise Unreadable(f"a tensor's storage is of unknown type `{shown(kind)}`")
    dtype = STORAGES[name]
    if type(count) is not int or count < 0 or (offset + count) * WIDTHS[dtype] > data.size:
        raise Unreadable("it is cut off, or damaged: a tensor claims more numbers than it holds")
    return Storage(data, dtype, offset, big, meta)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Lazy:
    """rest: requires_grad, hooks, and whether conjugate or negative bits are set."""
    if not isinstance(storage, Storage):
        raise TypeError
    return _placed(storage, storage.dtype, offset, size, stride, rest[2] if len(rest) > 2 else None)


def _tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any,
    bits: Any = None,
) -> Lazy:  # fmt: skip
    if not isinstance(storage, Storage):
        raise TypeError
    return _placed(storage, dtype_of(dtype), offset, size, stride, bits)


def _placed(storage: Storage, dtype: str, offset: Any, size: Any, stride: Any, bits: Any) -> Lazy:
    shape, strides = extents(size), extents(stride, "strides")
    (start,) = extents((offset,), "place")
    if storage.meta:
        return Lazy(dtype, shape, trouble="is on the meta device, without any numbers")
    if isinstance(bits, dict) and any(bits.values()):
        return Lazy(dtype, shape, trouble="is a lazily conjugated or negated view")
    return Lazy(dtype, shape, storage.data, storage.offset + start, strides, storage.big)


def _first(*arguments: Any) -> object:
    return arguments[0]


def _from_type(by: Any, kind: Any, arguments: Any, state: Any = None) -> object:
    found = called(by, tuple(arguments))
    return found if isinstance(found, Lazy) else unreadable(f"a {shown(kind)}")


def _array(*arguments: Any) -> Made:
    """A NumPy array whose numbers follow as its state."""
    return Made(Named("numpy", "ndarray"), arguments)


def _buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Lazy:
    name, big = numpy_dtype(dtype)
    return _numpy(data, name, big, extents(shape), fortran=order == "F")


def filled(array: Made, state: Any) -> None:
    """A NumPy array gets its state: version, shape, dtype, whether in Fortran order, bytes."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise Unreadable("an array in it is damaged")
    _, shape, dtype, fortran, data = state
    name, big = numpy_dtype(dtype)
    array.tensor = _numpy(data, name, big, extents(shape), fortran=bool(fortran))


def _numpy(data: Any, dtype: str, big: bool, shape: tuple[int, ...], *, fortran: bool) -> Lazy:
    if dtype not in WIDTHS:
        return Lazy(dtype, shape, trouble=f"is an array of {shown(dtype)}")
    source = data.data if isinstance(data, Blob) else Held(bytes(data)) if isinstance(
        data, bytes | bytearray) else None  # fmt: skip
    if source is None:
        return unreadable("an array of Python objects", shape)
    strides = f_order(shape) if fortran else None
    return Lazy(dtype, shape, source, 0, strides, big)


NUMPY = {"f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16",
         "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32",
         "u8": "uint64", "b1": "bool", "c8": "complex64", "c16": "complex128"}  # fmt: skip


def numpy_dtype(found: object) -> tuple[str, bool]:
    """The name of a pickled `numpy.dtype`, and whether it is big-endian."""
    arguments = found.arguments if isinstance(found, Made) else ()
    code = arguments[0] if isinstance(arguments, tuple) and arguments else "?"
    state = found.state if isinstance(found, Made) else None
    big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
    return NUMPY.get(code, code) if isinstance(code, str) else "objects", big


def _of_jax(by: Any, arguments: Any, state: Any, *_: Any) -> object:
    """A JAX array: what NumPy's would be reduced to."""
    found = called(by, tuple(arguments))
    if isinstance(found, Made) and str(found.by) == "numpy.ndarray":
        filled(found, state)
    return found


TENSORS: dict[str, Callable[..., object]] = {
    "jax._src.array._reconstruct_array": _of_jax,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_numpy": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch._utils._rebuild_xla_tensor": _first,
    "torch._utils._rebuild_meta_tensor_no_storage": lambda dtype, size, *_: Lazy(
        dtype_of(dtype), extents(size), trouble="is on the meta device, without any numbers"
    ),
    "torch._utils._rebuild_sparse_tensor": lambda *_: unreadable("sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": lambda *_: unreadable("sparse"),
    "torch._utils._rebuild_qtensor": lambda *_: unreadable("quantised"),
    "torch._utils._rebuild_nested_tensor": lambda *_: unreadable("a nested tensor"),
    "torch._utils._rebuild_wrapper_subclass": lambda kind, *_: unreadable(f"a {shown(kind)}"),
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.tensor._rebuild_from_type": _from_type,
    "torch.tensor._rebuild_from_type_v2": _from_type,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.numeric._frombuffer": _buffer,
    "numpy._core.numeric._frombuffer": _buffer,
}  # fmt: skip
