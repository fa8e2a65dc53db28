"""Networks of keras.applications, and models saved by Keras, for `resspec port`."""

from __future__ import annotations

import ast
import contextlib
import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from resspec import artifacts
from resspec.diagnostics import SpecError, error, listed
from resspec.ir import Graph
from resspec.port import origins
from resspec.weights import files

from . import archive
from .frameworks import keras, tf
from .trace import results, trace
from .variables import names, ordered

SHOWN = 20


class KerasOriginal:
    """A functional Keras model whose variables are read and written."""

    formats = (".weights.h5", ".h5", ".keras")
    rounds = taken = ""

    def __init__(self, model: Any, name: str) -> None:
        self.model, self.name = model, name
        self.trace = trace(model, name)
        self._names = names(model)

    def read(
        self, path: Path, key: str | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        if key is not None:
            raise error("weights-format", f"`{path}` holds one set of weights, as Keras saves them",
                        help="leave out --key")  # fmt: skip
        try:
            # what it claims and what it links to, before Keras opens it
            if files.check(path, budget=4 * self.model.count_params()) not in files.OF_KERAS:
                raise error("weights-format", f"`{path}` is neither HDF5 nor a `.keras` archive")
            unset = np.nan  # so that a tensor that the file lacks shows
            for variable in ordered(self.model):
                variable.assign(np.full(variable.shape, unset, variable.dtype))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it raises as well, or the tensor stays unset
                self.model.load_weights(path)
        except OSError as problem:
            if problem.errno is not None:
                raise artifacts.io_error("read", path, problem) from problem
            raise _unreadable(path, problem) from problem
        except SpecError:
            raise
        except ValueError as problem:
            raise self._mismatch(path, _line(problem)) from problem
        except Exception as problem:
            # a damaged archive surfaces as whatever h5py or zipfile meets first
            raise _unreadable(path, problem) from problem
        arrays = self.arrays()
        if any(array.size and np.isnan(array).all() for array in arrays.values()):
            raise self._mismatch(path, "some of its tensors are not in the file")
        return arrays, {}

    def _casts(self, shape: tuple[int, ...]) -> int:
        """Numbers that the model's code holds in float32 (√2 in TensorFlow's GELU) when the
        model computes in float64."""
        count, channels, height, width = shape
        spec = tf.TensorSpec((count, height, width, channels), tf.float64)
        graph = (
            tf.function(lambda x: self.model(x, training=False)).get_concrete_function(spec).graph
        )
        return sum(
            operation.type == "Cast" and operation.get_attr("SrcT") == tf.float32
            for operation in graph.get_operations()
        )

    def _mismatch(self, path: Path, why: str) -> SpecError:
        """Both sides, by shape: the two formats of Keras name nothing alike."""
        own: dict[tuple[int, ...], list[str]] = {}
        for variable in ordered(self.model):
            own.setdefault(tuple(variable.shape), []).append(self._names[id(variable)])
        theirs = _shapes(path)
        lines = [
            f"{'×'.join(map(str, shape))}: the network has {_few(own.get(shape, []))}, "
            f"the file has {_few(theirs.get(shape, []))}"
            for shape in dict.fromkeys([*own, *theirs])
            if len(own.get(shape, [])) != len(theirs.get(shape, []))
        ]
        return error("weights-mismatch", f"`{path}` is no checkpoint of {self.name}: {why}",
                     notes=listed(lines, SHOWN))  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {self._names[id(one)]: one.numpy() for one in ordered(self.model)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for variable in ordered(self.model):
            if (array := arrays.get(self._names[id(variable)])) is not None:
                variable.assign(array)
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # it computes with copies of its variables

    def encode(
        self, arrays: Mapping[str, NDArray[Any]], dtypes: Mapping[str, str], ending: str
    ) -> bytes:
        self.load(arrays)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{ending}"
            if ending == ".weights.h5":
                self.model.save_weights(path)
            elif ending == ".h5":
                from keras.src.legacy.saving import legacy_h5_format

                with h5py.File(path, "w") as file:
                    legacy_h5_format.save_weights_to_hdf5_group(file, self.model)
            else:
                self.model.save(path)
            return path.read_bytes()

    def forward(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        values = self.model(np.ascontiguousarray(x.transpose(0, 2, 3, 1)), training=False)
        if x.dtype == np.float64:
            self.rounds = "kept" if self._casts(x.shape) else ""
        return [_nchw(one) for one in keras.tree.flatten(values)]

    def results(self, x: NDArray[Any]) -> dict[int, tuple[NDArray[Any], NDArray[Any] | None]]:
        seen = results(self.model, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        return {
            at: (_nchw(read), None if gave is None else _nchw(gave))
            for at, (read, gave) in seen.items()
        }


def _nchw(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def _few(names: list[str]) -> str:
    more = ", …" if len(names) > 1 else ""
    return f"{len(names)} ({names[0]}{more})" if names else "none"


def _shapes(path: Path) -> dict[tuple[int, ...], list[str]]:
    """Names of a file's tensors by shape; empty where it cannot be read at all."""
    found: dict[tuple[int, ...], list[str]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer", "_optimizer")):
            found.setdefault(item.shape, []).append(name)

    unreadable = contextlib.suppress(OSError, KeyError, zipfile.BadZipFile)
    with unreadable, contextlib.ExitStack() as stack:
        source: Any = path
        if zipfile.is_zipfile(path):
            held = stack.enter_context(zipfile.ZipFile(path))
            source = io.BytesIO(held.read("model.weights.h5"))
        stack.enter_context(h5py.File(source, "r")).visititems(note)
    return found


def _line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]


def _unreadable(path: Path, problem: Exception) -> SpecError:
    return error("weights-format", f"`{path}` is damaged: {_line(problem)}")


@contextlib.contextmanager
def _computing_in(dtype: str) -> Iterator[None]:
    """While inside, layers are made with this type."""
    usual, policy = keras.config.floatx(), keras.config.dtype_policy()
    if policy.name == dtype:
        yield
        return
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(usual)
        keras.config.set_dtype_policy(policy)


def _called(name: str) -> tuple[str, dict[str, Any]]:
    """A name and what it is called with, literals only: `MobileNet(alpha=0.5)`."""
    try:
        call = ast.parse(name, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args:
            given = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg}
            return call.func.id, given
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        pass
    return name, {}


def _known(name: str, option: str, help: str) -> tuple[str, dict[str, Any]]:
    """A name as keras.applications has it, and what it is called with. Errors: `not-found`."""
    known = [
        key
        for key, value in vars(keras.applications).items()
        if callable(value) and not key.startswith("_")
    ]
    name, options = _called(name)
    return origins.spelt(name, known, "keras.applications", option, help), options


def _made(name: str, options: Mapping[str, Any], dtype: str = "float32") -> Any:
    """One of keras.applications, its tensors drawn. Errors: `not-found`."""
    try:
        with _computing_in(dtype):
            return getattr(keras.applications, name)(**{"weights": None, **options})
    except (TypeError, ValueError) as problem:
        raise error(
            "not-found", f"keras.applications cannot make {name}: {_line(problem)}"
        ) from problem


def application(name: str) -> Any:
    """One of keras.applications by its name, as it is, its tensors drawn: `MobileNet(alpha=0.5)`.
    Errors: `not-found`."""
    return _made(*_known(name, "keras:", "write it as keras.applications lists it"))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong with a file that describes a network, in words."""
    try:
        yield
    except SpecError:
        raise
    except OSError as problem:
        if problem.errno is not None:
            raise artifacts.io_error("read", path, problem) from problem
        raise _unreadable(path, problem) from problem
    except Exception as problem:
        # a damaged archive, or layers that are no stock layers: Keras raises many types
        raise error(
            "weights-format", f"`{path}` cannot be read as a network: {_line(problem)}"
        ) from problem


def saved(path: Path) -> Any:
    """The model of a `.keras` archive, whose weights stand in it as they are. Nothing of it runs.
    Errors: `io-error`, `weights-format`."""
    with _told(path):
        return archive.load(path, path.stat().st_size)


class Applications:
    """keras.applications."""

    name = "keras"
    backend = "tensorflow"

    def open(
        self, name: str, graph: Graph, *, dtype: str = "float32", empty: bool = False
    ) -> KerasOriginal:
        name, options = _known(name, "--model ", "name it with --model")
        (_, values), *_ = graph.outputs
        if not values[0].type.is_map:
            options["classes"] = values[0].type.channels
        channels, height, width = graph.input.type.shape
        if channels != 3 or (height, width) != (224, 224):
            options["input_shape"] = (height, width, channels)
        return KerasOriginal(_made(name, options, dtype), f"keras's {name}")

    def described(self, path: Path, budget: int) -> KerasOriginal | None:
        if path.suffix != ".keras":
            return None
        with _told(path):
            return KerasOriginal(archive.load(path, budget), str(path))


KERAS = Applications()
