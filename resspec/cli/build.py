"""`resspec build`: compile, instantiate, run once, and say what was built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from resspec.api import Compiled
    from resspec.compile import LoadedSpec
    from resspec.ir import Graph
    from resspec.running import Running
    from resspec.weights.fitting import Stored
    from resspec.weights.given import Arrays

FILES = ("model.py", "weights.safetensors", "spec.yaml", "summary.json")
FOLDED = """\
# Built with --optimize inference: the network to train is this one, without it. The weights beside
# it are folded, and load with `--optimize inference` only.
"""


@common.loading
def build(
    spec: Annotated[str, Argument(metavar="SPEC")],
    backend: common.BackendName = "torch",
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help=f"Write {', '.join(FILES)} there, and what --export says; all or none.",
        ),
    ] = None,
    export: Annotated[
        str | None,
        Option(
            metavar="A,B",
            help="Also write, in evaluation mode, what loads without resspec. torch: state_dict "
            "(default), pt2, onnx, onnx_int8, openvino. tensorflow: keras (default), saved_model, "
            "tflite, tflite_int8. jax: nnx_state (default), orbax, stablehlo. Or: all, none.",
        ),
    ] = None,
    calibrate: common.Calibrate = None,
    seed: Annotated[int, Option(help="Of the first weights; the same on every backend.")] = 0,
    dtype: Annotated[
        str | None,
        Option(
            help="float32, float64, float16 or bfloat16; of the model (float32 otherwise) and of "
            "the weights written (otherwise what --weights holds)."
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Examples in the forward pass.")] = 1,
    options: LoadOptions = LoadOptions(),
    weights: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Weights instead of the seed's: in canonical names, or as saved from a model that "
            "resspec built, on any framework (.pth, .ckpt, .safetensors, .keras, .h5 …).",
        ),
    ] = None,
    key: common.Key = None,
    partial: Annotated[
        bool,
        Option(
            "--partial",
            help="Load what fits of --weights, as for another number of classes; draw and list "
            "the rest.",
        ),
    ] = False,
    adapt_input: Annotated[
        str | None,
        Option(
            metavar="HOW",
            help="Fit a first convolution of --weights to this input's channels: sum (to 1) or "
            "repeat (to N), as timm does.",
        ),
    ] = None,
    outputs: common.Outputs = None,
    optimize: common.Optimize = None,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    meta: Annotated[
        bool,
        Option(
            "--meta",
            help="The architecture alone, as --device meta: no memory, no weights (torch).",
        ),
    ] = False,
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
    from resspec import api, artifacts
    from resspec import export as exports

    backend, optimize = common.backend_name(backend), common.optimization(optimize)
    if dtype is not None:
        common.choice(dtype, api.DTYPES, "--dtype")
    if meta and device != "cpu":
        raise BadUse("it is a device of its own.", hint="--meta")
    device = api.META if meta else device
    bare = device == api.META  # without numbers there are none to load, to write or to export
    for option in [one for one, given in (("--weights", weights), ("--export", export))
                   if bare and given is not None]:  # fmt: skip
        raise BadUse("a model on the device `meta` has no numbers.", hint=option)
    told = {"--partial": partial, "--key": key is not None, "--adapt-input": adapt_input}
    for option in [option for option, given in told.items() if given and weights is None]:
        raise BadUse("it says how to load --weights.", hint=option)
    if adapt_input is not None:
        common.choice(adapt_input, ("sum", "repeat"), "--adapt-input")
    chosen = () if bare else _chosen(backend, export, out)
    coarse = [one for one in chosen if exports.rounds(backend, one)]
    if calibrate is not None and not coarse:
        raise BadUse("it is for --export onnx_int8 or tflite_int8.", hint="--calibrate")
    wanted = common.names(outputs)
    common.choice(format, ("text", "json"), "--format")
    clock, written = Clock(), list[str]()
    ours = (*FILES, *exports.owned()) if force else FILES
    staged = artifacts.folder(out, ours, force=force) if out else nullcontext()
    with staged as staging, common.progress() as doing:
        doing("compiling")
        with clock.measure("compile"):
            loaded = common.load(spec, options)
            compiled = api.compile_for(loaded, backend, wanted, optimize)
            common.batch(batch, compiled.graph.input.type.shape)
            examples = common.examples(calibrate, compiled.graph.input.type.shape)
        doing(f"instantiating on {backend}")
        with clock.measure("instantiate"):
            how = {"partial": partial, "key": key, "adapt_input": adapt_input}
            live, stored = compiled.live(device, dtype or "float32", seed, weights, **how)
        doing("running")
        with clock.measure("forward"):
            shapes = _forward(compiled.graph, live, batch, dtype or "float32")
        summary = api.summarize(compiled.graph)
        # what is not to be trained counts as its graph says
        frozen = compiled.graph.inference
        params, buffers = (summary.params, summary.buffers) if frozen else live.counts()
        if staging:
            doing(f"writing {out}")
            dtypes = dict.fromkeys(stored.weights, dtype) if dtype else dict(stored.dtypes)
            for name, data in _files(
                loaded, compiled, None if bare else stored.weights, dtypes
            ).items():
                staging.write(name, data)
                written.append(name)
            for format_ in chosen:
                doing(f"exporting {format_}")
                with clock.measure(format_):
                    given = examples if format_ in coarse else None
                    written.append(exports.write(compiled, live, format_, staging, dtypes, given))
    report: dict[str, Any] = {
        "name": compiled.graph.name,
        "backend": backend,
        "device": device,
        "dtype": dtype or "float32",
        "optimize": optimize,
        "params": params,
        "buffers": buffers,
        "macs": summary.macs,
        "flops": summary.flops,
        "input_shape": [batch, *summary.input],
        "output_shape": shapes,
        "sizes": summary.sizes.to_json(),
        "seconds": clock.seconds,
        "out": str(out) if out else None,
        "files": written,
        "calibrated": exports.calibrated(examples) if coarse else None,
        "left_out": [one.to_json() for one in stored.left_out],
    }
    if stored.left_out or stored.adapted or stored.taken:
        _tell(weights, stored)
    if format == "json":
        common.print_json(report)
    else:
        print(_text(report, compiled, str(summary.sizes)))


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


def _tell(weights: Path | None, stored: Stored) -> None:
    """What a load did not take, or not as it is."""
    from resspec.diagnostics import escape

    total, missing = len(stored.weights), sum(one.network is not None for one in stored.left_out)
    if stored.taken:
        common.say(f"note: {escape(str(weights))}: {stored.taken}")
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
    def measure(self, phase: str) -> Iterator[None]:
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

    graph, about, note = compiled.graph, {"spec": compiled.graph.name}, ""
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
