"""`resspec build`: compile, instantiate, run once, and say what was built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from resspec.api import Compiled
    from resspec.artifacts import Staging
    from resspec.compile import LoadedSpec
    from resspec.ir import Graph
    from resspec.running import Running
    from resspec.summary import Summary
    from resspec.weights.fitting import Stored
    from resspec.weights.given import Arrays

FILES = ("model.py", "weights.safetensors", "spec.yaml", "summary.json")
FOLDED = """\
# Built with --optimize inference: the network to train is this one, without it. The weights beside
# it are folded, and load with `--optimize inference` only.
"""


Out = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        help=f"Write {', '.join(FILES)} there, and what --export says; all or none.",
    ),
]
Export = Annotated[
    str | None,
    Option(
        metavar="A,B",
        help="Also write, in evaluation mode, what loads without resspec. torch: state_dict "
        "(default), pt2, onnx, onnx_int8, openvino, executorch. tensorflow: keras (default), "
        "saved_model, tflite, tflite_int8. jax: nnx_state (default), orbax, stablehlo. "
        "Or: all, none.",
    ),
]
Dtype = Annotated[
    str | None,
    Option(
        help="float32, float64, float16 or bfloat16; of the model (float32 otherwise) and of "
        "the weights written (otherwise what --weights holds)."
    ),
]
Weights = Annotated[
    Path | None,
    Option(
        metavar="FILE",
        help="Weights instead of the seed's: in canonical names, or as saved from a model that "
        "resspec built, on any framework (.pth, .ckpt, .safetensors, .keras, .h5 …).",
    ),
]
Partial = Annotated[
    bool,
    Option(
        "--partial",
        help="Load what fits of --weights, as for another number of classes; draw and list "
        "the rest.",
    ),
]
AdaptInput = Annotated[
    str | None,
    Option(
        metavar="HOW",
        help="Fit a first convolution of --weights to this input's channels: sum (to 1) or "
        "repeat (to N), as timm does.",
    ),
]
Meta = Annotated[
    bool,
    Option(
        "--meta",
        help="The architecture alone, as --device meta: no memory, no weights (torch).",
    ),
]


@common.loading
def build(
    spec: Annotated[str, Argument(metavar="SPEC")],
    backend: common.BackendName = "torch",
    out: Out = None,
    export: Export = None,
    calibrate: common.Calibrate = None,
    seed: Annotated[int, Option(help="Of the first weights; the same on every backend.")] = 0,
    dtype: Dtype = None,
    batch: Annotated[int, Option(min=1, help="Examples in the forward pass.")] = 1,
    options: LoadOptions = LoadOptions(),
    weights: Weights = None,
    key: common.Key = None,
    partial: Partial = False,
    adapt_input: AdaptInput = None,
    outputs: common.Outputs = None,
    optimize: common.Optimize = None,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    meta: Meta = False,
    force: common.Force = False,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """Build a network and run it once.

    Compiles a spec, instantiates it, runs one forward pass and says what was built.

    \b
    Examples:
      resspec build resnet50
      resspec build mine.yaml --backend tensorflow --out built
      resspec build resnet50 --set stages.2.depth=23 --input 3x64x64 --format json
      resspec build resnet50 --weights w.safetensors --out built --export pt2,onnx
      resspec build resnet50 --set num_classes=10 --weights w.safetensors --partial
      resspec build resnet50 --backend tensorflow --weights trained.pth --out served --export all
      resspec build resnet50 --weights w.safetensors --optimize inference --out fast --export onnx
    """
    from resspec import api
    from resspec import export as exports

    backend, optimize = common.backend_name(backend), common.optimization(optimize)
    if dtype is not None:
        common.choice(dtype, api.DTYPES, "--dtype")
    device = _device(device, meta, weights, export)
    how = _loading(weights, {"partial": partial, "key": key, "adapt_input": adapt_input})
    formats = () if device == api.META else _chosen(backend, export, out)
    coarse = _coarse(backend, formats, calibrate)
    wanted = common.names(outputs)
    common.choice(format, ("text", "json"), "--format")
    clock, precision, files = Clock(), dtype or "float32", list[str]()
    with _staged(out, force) as staging, common.progress() as doing:
        with clock.measure("compile", doing, "compiling"):
            loaded = common.load(spec, options)
            compiled = api.compile_for(loaded, backend, wanted, optimize)
            shape = compiled.graph.input.type.shape
            common.batch(batch, shape)
            examples = common.examples(calibrate, shape)
        with clock.measure("instantiate", doing, f"instantiating on {backend}"):
            live, stored = compiled.live(device, precision, seed, weights, **how)
        with clock.measure("forward", doing, "running"):
            shapes = _forward(compiled.graph, live, batch, precision)
        summary = api.summarize(compiled.graph)
        facts = _facts(compiled, live, summary)
        if staging:
            doing(f"writing {out}")
            dtypes = dict.fromkeys(stored.weights, dtype) if dtype else dict(stored.dtypes)
            arrays = None if device == api.META else stored.weights
            for name, data in _files(loaded, compiled, arrays, dtypes).items():
                staging.write(name, data)
                files.append(name)
            for word in formats:
                with clock.measure(word, doing, f"exporting {word}"):
                    given = examples if word in coarse else None
                    files.append(exports.write(compiled, live, word, staging, dtypes, given))
    report: dict[str, Any] = {
        "name": compiled.graph.name,
        "backend": backend,
        "device": device,
        "dtype": precision,
        "optimize": optimize,
        **facts,
        "input_shape": [batch, *summary.input],
        "output_shape": shapes,
        "sizes": summary.sizes.to_json(),
        "seconds": clock.seconds,
        "out": str(out) if out else None,
        "files": files,
        "calibrated": exports.calibrated(examples) if coarse else None,
        "left_out": [one.to_json() for one in stored.left_out],
    }
    _tell(weights, stored)
    if format == "json":
        common.print_json(report)
    else:
        print(_text(report, compiled, str(summary.sizes)))


# -- what is asked for ---------------------------------------------------------------------------


def _device(device: str, meta: bool, weights: Path | None, export: str | None) -> str:
    """The device, or a usage error where it has no numbers to load or to export."""
    from resspec.api import META

    if meta and device != "cpu":
        raise BadUse("it is a device of its own.", hint="--meta")
    if meta or device == META:
        for option, given in (("--weights", weights), ("--export", export)):
            if given is not None:
                raise BadUse("a model on the device `meta` has no numbers.", hint=option)
        return META
    return device


def _loading(weights: Path | None, how: dict[str, Any]) -> dict[str, Any]:
    """How weights are loaded, or a usage error where there are none or a word is wrong."""
    for name, given in how.items():
        if given not in (None, False) and weights is None:
            option = f"--{name.replace('_', '-')}"
            raise BadUse("it says how to load --weights.", hint=option)
    if how["adapt_input"] is not None:
        common.choice(how["adapt_input"], ("sum", "repeat"), "--adapt-input")
    return how


def _chosen(backend: str, words: str | None, out: Path | None) -> tuple[str, ...]:
    """The formats to export, or a usage error."""
    from resspec import backend as backends
    from resspec import export

    known = backends.get(backend).formats
    if words is not None and out is None:
        raise BadUse("it needs --out DIR.", hint="--export")
    try:
        return export.chosen(common.names(words, "--export"), known)
    except ValueError as problem:
        common.choice(str(problem), (*known, export.ALL, export.NONE), "--export")
        raise BadUse(f"'{problem}' stands alone.", hint="--export") from None


def _coarse(backend: str, formats: tuple[str, ...], calibrate: Path | None) -> list[str]:
    """Those formats that are of eight bits, or a usage error where examples are for none."""
    from resspec import export as exports

    coarse = [one for one in formats if exports.rounds(backend, one)]
    if calibrate is not None and not coarse:
        raise BadUse("it is for --export onnx_int8 or tflite_int8.", hint="--calibrate")
    return coarse


# -- what is done --------------------------------------------------------------------------------


def _staged(out: Path | None, force: bool) -> AbstractContextManager[Staging | None]:
    """The folder in the making, where one is asked for."""
    from resspec import artifacts
    from resspec import export as exports

    ours = (*FILES, *exports.owned()) if force else FILES
    return artifacts.folder(out, ours, force=force) if out else nullcontext()


def _facts(compiled: Compiled, live: Running, summary: Summary) -> dict[str, int]:
    """What is counted on the live model; what is not to be trained counts as its graph says."""
    frozen = compiled.graph.inference
    params, buffers = (summary.params, summary.buffers) if frozen else live.counts()
    costs = {"macs": summary.macs, "flops": summary.flops}
    return {"params": params, "buffers": buffers, **costs}


def _tell(weights: Path | None, stored: Stored) -> None:
    """What a load did not take, or not as it is."""
    from resspec.diagnostics import escape

    total, missing = len(stored.weights), sum(one.network is not None for one in stored.left_out)
    if stored.taken:
        common.say(f"note: {escape(str(weights))}: {stored.taken}")
    if stored.other:
        common.say(f"warning: {stored.other}")
    for name in stored.adapted:
        common.say(f"{escape(str(weights))}: {name} was fitted to the input's channels")
    if not stored.left_out:
        return
    common.say(f"{escape(str(weights))}: {total - missing} of {total} tensors loaded; left out:")
    for one in stored.left_out:
        common.say(f"  {escape(str(one))}")


class Clock:
    """Seconds that each phase took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, phase: str, doing: common.Progress, what: str) -> Iterator[None]:
        doing(what)
        start = time.perf_counter()
        yield
        self.seconds[phase] = round(time.perf_counter() - start, 3)


def _forward(graph: Graph, live: Running, batch: int, dtype: str) -> Any:
    """One forward pass on a seeded batch; the shape of the output, or of each by name."""
    from resspec.weights import example

    x = example((batch, *graph.input.type.shape))
    if dtype != "bfloat16":  # which NumPy lacks; the backend narrows
        x = x.astype(dtype)
    found = {
        name: [list(value.shape) for value in values] for name, values in live.forward(x).items()
    }
    expected = {
        name: [[batch, *value.type.shape] for value in values] for name, values in graph.outputs
    }
    if found != expected:
        raise RuntimeError(f"the model gives {found}, its graph says {expected}")
    (first, *others) = found.values()
    return first[0] if len(first) == 1 and not others else found


def _files(
    loaded: LoadedSpec, compiled: Compiled, arrays: Arrays | None, dtypes: dict[str, str]
) -> dict[str, bytes]:
    from resspec import weights
    from resspec.language.version import LANGUAGE
    from resspec.summary import summarize
    from resspec.syntax import dump
    from resspec.weights.purpose import metadata

    graph, about, note = compiled.graph, metadata(compiled.graph), ""
    counted = summarize(graph).to_json()
    if graph.inference:
        about["optimize"] = counted["optimize"] = "inference"
        note = FOLDED
    spec = dump({"resspec": LANGUAGE, **loaded.data})
    summary = json.dumps([counted], indent=2, ensure_ascii=False)
    tensors = {}
    if arrays is not None:
        tensors = {"weights.safetensors": weights.encode(arrays, about, dtypes)}
    return {
        "model.py": compiled.source.text.encode(),
        **tensors,
        "spec.yaml": f"{note}{spec}".encode(),
        "summary.json": f"{summary}\n".encode(),
    }


def _text(report: dict[str, Any], compiled: Compiled, sizes: str) -> str:
    from resspec import table

    shapes = report["output_shape"]
    if isinstance(shapes, dict):
        shown = table.shape({name: tuple(map(tuple, values)) for name, values in shapes.items()})
    else:
        shown = table.shape(tuple(shapes))
    seconds = report["seconds"]
    phases = ", ".join(f"{phase} {taken:.2f}" for phase, taken in seconds.items())
    rows = [
        ("name", report["name"]),
        ("backend", report["backend"]),
        ("device", f"{report['device']}, {report['dtype']}"),
        ("params", f"{report['params']:,}"),
        ("MACs", f"{report['macs']:,} an example"),
        ("input", table.shape(tuple(report["input_shape"]))),
        ("output", shown),
        ("sizes", sizes),
        ("seconds", f"{sum(seconds.values()):.2f} ({phases})"),
    ]
    if report["optimize"]:
        before, after = len(compiled.trained.nodes), len(compiled.graph.nodes)
        what = f"for {report['optimize']}: {after:,} operations of {before:,}; not to be trained"
        rows.insert(2, ("optimized", what))
    if report["calibrated"]:
        rows.append(("eight bits", f"ranges from {report['calibrated']}"))
    if report["out"]:
        rows.append(("wrote", f"{report['out']}: {', '.join(report['files'])}"))
    return table.pairs(rows)
