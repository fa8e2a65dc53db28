"""What Python code calls: load, source, summarize, build, and the weights of live models."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from resspec import asked
from resspec import compile as driver
from resspec.compile import LoadedSpec
from resspec.diagnostics import SpecError, error, escape
from resspec.ir import Graph
from resspec.options import Limits, LoadOptions
from resspec.summary import Summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resspec.backend import Backend, Source
    from resspec.differ import Difference
    from resspec.passes import Pass
    from resspec.running import Running
    from resspec.weights.fitting import Stored

Spec = str | Path | LoadedSpec | Graph
Weights = Any  # a file's path, a mapping of tensors or arrays by name, or a live model
META = "meta"  # the device of a model that is its architecture alone: torch's own word
DTYPES = ("float32", "float64", "float16", "bfloat16")
FOREIGN = frozenset({".bin", ".ckpt", ".h5", ".keras", ".npz", ".onnx", ".pkl", ".pt", ".pth"})


def load(
    spec: str | Path,
    *,
    overrides: Sequence[str] = (),
    search: Sequence[str | Path] = (),
    limits: Limits | None = None,
) -> LoadedSpec:
    """Read, check and lower a spec: a path, `path.yaml#variant`, or a name in the library.

    overrides: `stages.2.depth=23`, one or a list, applied before anything is checked.
    search: folders to look for blocks in, before the shipped ones.
    limits: on nodes, parameters, elements of a tensor, turns and nesting.
    Errors: SpecError with every problem found.
    """
    if not isinstance(spec, str | PathLike):
        raise asked.refused("a spec", "a name or a path", spec)
    if "\n" in (name := fspath(spec)):
        message = "a spec is a name or a path, found a text of several lines"
        raise error("bad-value", message, help="write it to a file, and give that")
    if not isinstance(limits, Limits | None):
        raise asked.refused("`limits`", "resspec.options.Limits", limits)
    changes, folders = asked.texts(overrides, "`overrides`"), asked.paths(search, "`search`")
    return driver.load(name, LoadOptions(changes, folders, limits=limits))


def graph_of(spec: Spec, outputs: Sequence[str] | None = None) -> Graph:
    """The graph of a spec; with `outputs`, only those, and only what they need."""
    if not isinstance(spec, Graph):
        spec = (spec if isinstance(spec, LoadedSpec) else load(spec)).graph
    if outputs is None:
        return spec
    from resspec.passes.outputs import select

    return select(spec, asked.texts(outputs, "`outputs`"))


def summarize(spec: Spec) -> Summary:
    """Parameters, MACs, activations and shapes; no framework is needed."""
    from resspec.summary import summarize as count

    return count(graph_of(spec))


def diff(a: Spec, b: Spec, outputs: Sequence[str] | None = None) -> Difference:
    """What differs in two networks, in their own terms; printed, and shown in a notebook."""
    from resspec.differ import difference

    graphs = graph_of(a, outputs), graph_of(b, outputs)
    names = [str(one) if isinstance(one, str | Path) else one.name for one in (a, b)]
    return difference(*graphs, (names[0], names[1]))


@dataclass(frozen=True, slots=True)
class Compiled:
    """A graph as source for one backend: what `build` runs, before a framework is touched.

    steps: the passes that made it of `trained`, the graph that weights are drawn and saved for.
    """

    graph: Graph
    backend: Backend
    source: Source
    trained: Graph
    steps: tuple[Pass, ...] = ()

    def running(
        self,
        device: str = "cpu",
        dtype: str | None = None,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> Running:
        """A live model with these weights, of all parameters; without any, they are not yet set
        to anything. device, dtype: the framework's words. Errors: `no-backend`, `no-device`."""
        return self._loaded(self._bare(device, dtype), weights)

    def live(
        self,
        device: str = "cpu",
        dtype: str | None = None,
        seed: int = 0,
        stored: Weights | Literal[False] | None = None,
        **how: Any,
    ) -> tuple[Running, Stored]:
        """A live model and its weights: those that `weights` gives, drawn right into the model
        where that can be. None, and every number 0, where `stored` is False, or on `meta`.

        Errors: those of `running` and `weights`.
        """
        from resspec import weights

        if device == META and stored is not None and stored is not False:
            message = "a model on the device `meta` has no numbers, so it takes no weights"
            raise error("bad-value", message, help="leave out one of the two")
        if stored is False or device == META:
            live = self._bare(device, dtype)
            return self._loaded(live, weights.zeros(self.graph, live.room())), weights.Stored({})
        if stored is None and not self.steps:
            live = self._bare(device, dtype)
            found = weights.Stored(weights.draw(self.graph, seed, live.room()))
        else:
            found = self.weights(seed, stored, **how)
            weights.must_hold(dtype or "float32", found.weights)
            live = self._bare(device, dtype)
        return self._loaded(live, found.weights), found

    def _bare(self, device: str, dtype: str | None) -> Running:
        from resspec.running import Running

        model = self.backend.runtime().instantiate(self.graph, self.source, device, dtype)
        return Running(self.backend, self.source, model)

    def _loaded(self, live: Running, weights: Mapping[str, NDArray[Any]] | None) -> Running:
        from resspec.weights import models

        if weights is not None:
            live.load(weights)
        models.remember(live.model, self.graph, self.backend, self.source)
        return live

    def weights(
        self,
        seed: int = 0,
        stored: Weights | None = None,
        *,
        partial: bool = False,
        key: str | None = None,
        adapt_input: str | None = None,
    ) -> Stored:
        """The stored weights, or those drawn for the seed, which a partial load starts from; they
        went through the same passes as the graph, unless what is stored already has.

        Errors: `weights-format`, `weights-mismatch`, `bad-value`, `io-error`.
        """
        from resspec import passes, weights

        def taken(graph: Graph) -> Stored:
            if stored is None:
                return weights.Stored(weights.draw(graph, seed))
            start = weights.draw(graph, seed) if partial else None
            if isinstance(stored, str | PathLike):
                return weights.read(
                    asked.path(stored, "`weights`"), graph, start, key=key, adapt=adapt_input
                )
            if isinstance(stored, Mapping):
                return weights.fit(stored, graph, start, adapt_input, key)
            return weights.take(weights.model_of(stored), graph, start, adapt_input)

        if not self.steps:
            return taken(self.graph)
        try:
            found = taken(self.trained)
        except SpecError:
            with suppress(SpecError):
                return taken(self.graph)
            raise
        _, arrays = passes.run(self.trained, found.weights, self.steps)
        return found.made(arrays or {})


def compile_for(
    spec: Spec, backend: str, outputs: Sequence[str] | None = None, optimize: str | None = None
) -> Compiled:
    """Emit a spec's source. Errors: `no-backend`; `unsupported`, one for each such layer;
    `bad-value` for an optimisation that there is not."""
    from resspec import backend as backends
    from resspec import passes

    target = backends.get(asked.text(backend, "`backend`"))
    steps = passes.optimization(asked.text(optimize, "`optimize`")) if optimize is not None else ()
    trained = graph_of(spec, outputs)
    graph, _ = passes.run(trained, None, steps) if steps else (trained, None)
    return Compiled(graph, target, target.emit(graph), trained, steps)


def source(spec: Spec, backend: str = "torch", *, optimize: str | None = None) -> str:
    """The source that `build` runs; the framework need not be installed."""
    return compile_for(spec, backend, optimize=optimize).source.text


def build(
    spec: Spec,
    backend: str = "torch",
    device: str = "cpu",
    dtype: str | None = None,
    seed: int = 0,
    weights: Weights | Literal[False] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    partial: bool = False,
    key: str | None = None,
    adapt_input: str | None = None,
    optimize: str | None = None,
) -> Any:
    """A live model: an `nn.Module` that reads NCHW, or a `keras.Model` that reads NHWC.

    dtype: float32, float64, float16 or bfloat16; else what the framework has in force: float32, or
    Keras' dtype policy (`mixed_float16`).
    weights: a file, in canonical names or saved from a model of either framework that resspec
    built; a state dict, or arrays by canonical name; or such a live model itself, trained or not,
    in whatever wraps it. Otherwise they are drawn from `seed`, the same for every backend. False:
    nothing is drawn and every number is 0, for a model whose weights are set later; with the device
    `meta` (torch) no memory is taken either.
    key: which set of tensors, where there are several. With `partial`, tensors that are missing or
    have another shape keep what was drawn, and a warning lists them. adapt_input: `sum` or
    `repeat` fits a first convolution to this input's channels.
    outputs: what to give instead: names of its outputs, or parts (`stages.2`).
    optimize: `inference` gives the same in fewer steps, norms folded into the layers before them,
    from the same weights; such a model refuses to be trained. Errors: SpecError.
    """
    device, dtype, seed = asked.device(device), asked.dtype(dtype), asked.whole(seed, "`seed`")
    if key is not None:
        asked.text(key, "`key`")
    if weights is None or weights is False:
        for name, given in (("partial", partial), ("key", key), ("adapt_input", adapt_input)):
            if given:
                raise error("bad-value", f"`{name}` says how to load weights, and there are none",
                            help="give `weights=`")  # fmt: skip
    compiled = compile_for(spec, backend, outputs, optimize)
    how = {"partial": partial, "key": key, "adapt_input": adapt_input}
    live, stored = compiled.live(device, dtype, seed, weights, **how)
    lines = "".join(f"\n  {one}" for one in stored.left_out)
    left = f"weights left out: {len(stored.left_out)}{lines}" if lines else ""
    for said in filter(None, (left, stored.other)):
        warnings.warn(said, stacklevel=2)
    return live.model


def read_weights(model: Any, spec: Spec | None = None) -> dict[str, NDArray[Any]]:
    """The weights of a live model by canonical name and in canonical layout, half precision as
    float32: of a model that resspec built in this process, trained or not, in whatever wraps it.

    spec: what another model is: one that was loaded from a file that `build` wrote, say.
    Errors: `bad-value` for a model of other origin; with a spec, `weights-mismatch`.
    """
    return _weights_of(model, spec)[0]


def save_weights(
    model: Any,
    path: str | Path,
    spec: Spec | None = None,
    *,
    dtype: str | None = None,
    force: bool = False,
) -> None:
    """Write the weights of a live model as safetensors in canonical names, which every backend
    loads; `spec` as for `read_weights`. dtype: float32, or float64 where the model computes in it,
    unless told. Errors: also `weights-format`, of a name that ends as other files do, `exists`,
    unless `force`, and `io-error`."""
    from resspec import weights

    path, dtype = asked.path(path, "the file"), asked.dtype(dtype)
    if dtype not in (None, *DTYPES):
        raise asked.refused("`dtype`", f"one of {', '.join(DTYPES)}", dtype)
    if path.suffix.lower() in FOREIGN:
        message = f"{escape(str(path))}: a name of other files; weights are safetensors"
        raise error("weights-format", message, help="end it in `.safetensors`")
    arrays, graph = _weights_of(model, spec)
    dtypes = {one: dtype or array.dtype.name for one, array in arrays.items()}
    weights.save(path, arrays, graph, dtype=dtypes, force=force)


def optimizer(name: str, model: Any, **settings: Any) -> Any:
    """An optimiser for a live model, of its framework's own kind; all take the same steps.

    name: `sgd` (momentum, nesterov, weight_decay, decoupled), `adam` or `adamw` (betas, eps,
    weight_decay); `lr`; `schedule`: one of `optim.Schedule`, its kind, or its settings.
    Errors: SpecError; TypeError where no installed backend knows the model.
    """
    from resspec import backend, optim
    from resspec.weights.models import backend_of

    rule = optim.make(name, **settings)
    owner = backend_of(model)
    if owner is None or owner.training is None:
        raise TypeError(f"{type(model).__name__} is no model of {', '.join(backend.names())}")
    return owner.training().optimizer(model, rule)


def _weights_of(model: Any, spec: Spec | None) -> tuple[dict[str, NDArray[Any]], Graph]:
    from resspec import weights
    from resspec.weights import models

    if spec is None:
        return models.read(model)
    graph = graph_of(spec)
    return weights.take(weights.model_of(model), graph).weights, graph
