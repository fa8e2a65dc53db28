"""`resspec parity`: whether a network is the same on several backends."""

from __future__ import annotations

import gc
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.artifacts import io_error
from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import SpecError, escape
from resspec.files import kind
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from resspec.compile import LoadedSpec
    from resspec.parity import Options, Runner
    from resspec.parity.aside import Child

FORMATS = ("table", "json", "markdown", "csv")
# Frameworks run in a process of their own, so that reports outlive them. Not in tests, which have
# them loaded, and change them.
APART = True


@common.loading
def parity(
    specs: Annotated[list[str] | None, Argument(metavar="SPEC")] = None,
    backends: Annotated[
        str, Option(metavar="A,B", help="All are compared with the first.")
    ] = "torch,tensorflow",
    between: Annotated[
        str | None,
        Option(
            metavar="A,B",
            help="In place of --backends: also devices, dtypes and exported files, "
            "`torch,torch@cuda,torch:bfloat16,onnx,tflite:int8`.",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        Option(
            help="eval: outputs. grad: gradients, statistics. train: steps. Otherwise eval,grad; "
            "with --optimize, eval."
        ),
    ] = None,
    dtype: Annotated[str, Option(help="float64, float32 or both.")] = "float64",
    steps: Annotated[int, Option(min=1, help="Of the optimiser, in train.")] = 1,
    optimizer: Annotated[str, Option(help="sgd (momentum 0.9), adam or adamw.")] = "sgd",
    lr: Annotated[float | None, Option(min=0, help="Its rate; sgd 0.01, the others 0.001.")] = None,
    batch: Annotated[int, Option(min=1, help="Examples in a batch.")] = 4,
    seed: Annotated[int, Option(help="Of weights and data.")] = 0,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    options: LoadOptions = LoadOptions(),
    small: Annotated[
        bool, Option("--small", help="At the smallest input that each spec allows.")
    ] = False,
    outputs: common.Outputs = None,
    optimize: common.Optimize = None,
    calibrate: common.Calibrate = None,
    python: Annotated[
        list[str] | None,
        Option(
            metavar="BACKEND=FILE",
            help="Run a backend with another Python, where resspec is installed. Repeatable.",
        ),
    ] = None,
    everything: Annotated[bool, Option("--all", help="Every shipped spec.")] = False,
    most: Annotated[
        int,
        Option("--max-params", min=0, metavar="PARAMS", help="Leave larger networks out; 0: none."),
    ] = 0,
    resume: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Keep each finished report there, and do not repeat it while the network and what "
            "the backends write for it are the same.",
        ),
    ] = None,
    budget: Annotated[
        int | None, Option(min=0, metavar="SECONDS", help="Start no network after that.")
    ] = None,
    format: Annotated[str, Option(help=", ".join(FORMATS) + ".")] = "table",
) -> None:
    """Compare a network between backends.

    Every backend gets the same weights, with statistics drawn at random, and the same data.
    float64 is exact to 1e-12; float32 is judged by each backend's own distance from float64. What
    falls short is traced to the first layer that departs. Exit code 1 where anything does.

    \b
    Examples:
      resspec parity resnet18 --input 3x64x64
      resspec parity mine.yaml --mode eval,grad,train --steps 10 --dtype float64,float32
      resspec parity resnet18 --between torch,torch@cuda,onnx:int8 --calibrate photos
      resspec parity resnet18 --optimize inference --dtype float64,float32
      resspec parity resnet50 --python tensorflow=tf/bin/python --format json
      resspec parity --all --small --max-params 100000000 --resume parity.jsonl --format markdown
    """
    from resspec.parity import reason
    from resspec.parity import report as reports
    from resspec.parity.aside import Child

    common.choice(format, FORMATS, "--format")
    if bool(specs) == everything:
        raise BadUse("Name some specs, or give --all.", hint="SPEC")
    optimize = common.optimization(optimize)
    mode = ("eval" if optimize else "eval,grad") if mode is None else mode
    measured = _options(mode, dtype, steps, optimizer, lr, batch, seed, device, optimize)
    option, places = ("--backends", backends) if between is None else ("--between", between)
    runners = _runners(places, python or [], option)
    wanted = common.names(outputs)
    child = Child() if APART and not os.environ.get("RESSPEC_DEBUG") else None
    comparison = _Comparison(
        runners, measured, options, wanted, small, most, calibrate, child, between is not None
    )
    if calibrate is not None and not any("int8" in one.name for one in runners):
        raise BadUse(
            "it is for files of eight bits: --between torch,onnx:int8.", hint="--calibrate"
        )
    chosen = specs or list(_shipped())
    kept = _finished(resume, comparison.key)
    found: list[dict[str, Any]] = []
    start = time.monotonic()
    with common.progress() as doing, closing(child) if child else nullcontext():
        for number, spec in enumerate(chosen):
            spent = budget is not None and time.monotonic() - start >= budget
            data, digests = kept.get(spec, ({}, []))
            if not data or digests != comparison.digests(spec):

                def say(line: str, at: str = f"{spec} ({number + 1} of {len(chosen)})") -> None:
                    doing(f"{at}: {line}")

                try:
                    data = comparison.of(spec, spent, say)
                except Exception as problem:  # one network that cannot be run is one row
                    if len(chosen) == 1:
                        raise
                    if isinstance(problem, SpecError):
                        common.show(problem.diagnostics)
                    data = {"spec": spec, "ok": False, "error": reason(problem)}
                if resume is not None and "error" not in data:
                    parts = {"key": comparison.key, "digests": comparison.digests(spec)}
                    _keep(resume, {**parts, "spec": spec, "report": data})
                gc.collect()
            found.append(data)
            if format == "table":
                _print(reports.text(found[-1]), last=number + 1 == len(chosen))
    if format == "json":
        common.print_json(found)
    elif format != "table":
        print(reports.csv_text(found) if format == "csv" else reports.markdown(found))
        for one in found:
            if not one["ok"] and "error" not in one:
                common.say("\n".join([f"\n{escape(one['spec'])}:", *reports.where(one)]))
    if not all(one["ok"] for one in found):
        raise SystemExit(1)


def _print(text: str, last: bool) -> None:
    print(text + ("" if last else "\n"), flush=True)


def _options(
    mode: str,
    dtype: str,
    steps: int,
    optimizer: str,
    lr: float | None,
    batch: int,
    seed: int,
    device: str,
    optimize: str | None,
) -> Options:
    from resspec import optim
    from resspec.parity import Options
    from resspec.parity.compare import DTYPES
    from resspec.parity.measure import MODES

    modes = common.names(mode, "--mode", MODES) or []
    dtypes = common.names(dtype, "--dtype", DTYPES) or []
    for words, known, option in ((modes, MODES, "--mode"), (dtypes, DTYPES, "--dtype")):
        for word in words:
            common.choice(word, known, option)
    common.choice(optimizer, tuple(optim.OPTIMIZERS), "--optimizer")
    rule: dict[str, Any] = {"name": optimizer}
    if optimizer == "sgd":
        rule |= {"lr": 0.01, "momentum": 0.9}
    if lr is not None:
        rule["lr"] = lr
    unique = tuple(dict.fromkeys(modes)), tuple(dict.fromkeys(dtypes))
    if optimize and unique[0] != ("eval",):
        raise BadUse("A network for inference is not trained: eval.", hint="--mode")
    return Options(*unique, batch, seed, steps, device, rule, optimize)


def _runners(text: str, pythons: list[str], option: str) -> list[Runner]:
    from resspec.parity import runner
    from resspec.parity.endpoints import words
    from resspec.parity.runners import Nowhere

    named = common.names(text, option) or []
    names = list(dict.fromkeys(named))
    if len(names) < 2:
        twice = f"'{escape(names[0])}' is named {len(named)} times; two" if named[1:] else "Two"
        raise BadUse(f"{twice} different ones are compared: torch,torch@cuda,onnx.", hint=option)
    where: dict[str, str] = {}
    for one in pythons:
        name, equals, path = one.partition("=")
        if not equals or not path:
            raise BadUse(f"'{escape(one)}' is not BACKEND=FILE.", hint="--python")
        # a shell leaves `~` as it is, behind an equals sign
        where[common.choice(name, names, "--python")] = os.path.expanduser(path)  # noqa: PTH111
    known = tuple({re.split("[@:]", one)[0]: None for one in words()})

    def found(name: str) -> Runner:
        other = option == "--between" and name != names[0]
        if name not in where and not other:
            common.choice(re.split("[@:]", name)[0], known, option)
        try:
            return runner(name, where.get(name))
        except SpecError as problem:
            if not other:
                raise
            return Nowhere(name, problem)  # the rest of the report stands

    return [*map(found, names)]


def _shipped() -> Iterator[str]:
    from resspec import zoo

    for entry in zoo.models():
        yield entry.name


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is done with each spec."""

    runners: list[Runner]
    measured: Options
    options: LoadOptions
    outputs: list[str] | None
    small: bool
    most: int
    calibrate: Path | None = None
    child: Child | None = None
    stands: bool = False  # a place that there is not is a row, if it is the only one, too

    @property
    def key(self) -> dict[str, Any]:
        """What a report depends on beside its spec, as JSON gives it back."""
        parts = {
            "backends": [one.name for one in self.runners],
            "options": asdict(self.measured),
            "input": "small" if self.small else self.options.input,
            "sets": self.options.set,
            **({"outputs": self.outputs} if self.outputs else {}),
            **({"calibrate": str(self.calibrate)} if self.calibrate else {}),
        }
        key: dict[str, Any] = json.loads(json.dumps(parts))
        return key

    def digests(self, spec: str) -> list[str]:
        """Of the network and of what each backend writes for it; none where it cannot be said."""
        from resspec import api, digests

        backends = dict.fromkeys(one.endpoint.backend for one in self.runners)
        backends.pop("", None)  # of what there is not
        optimize = self.measured.optimize
        try:
            graph = api.graph_of(common.load(spec, self.options), self.outputs)
            written = [api.source(graph, one, optimize=optimize) for one in backends]
        except SpecError:
            return []
        return [digests.of_graph(graph), *map(digests.of_source, written)]

    def of(self, spec: str, spent: bool, say: Callable[[str], None]) -> dict[str, Any]:
        """The report of one spec, or why there is none. Errors: SpecError."""
        from resspec import api, compile
        from resspec.parity import aside, compare
        from resspec.parity.small import enough
        from resspec.parity.small import small as smallest

        say("loading")
        loaded = common.load(spec, self.options)
        graph = api.graph_of(loaded, self.outputs)
        params = sum(param.size for param in graph.parameters().values() if param.trainable)
        if self.most and params > self.most:
            return {"spec": spec, "ok": True, "error": f"left out: {params:,} params"}
        if spent:
            return {"spec": spec, "ok": True, "error": "not run: the time was spent"}
        measured, options = self.measured, self.options
        if self.small:

            def tried(more: Sequence[str]) -> LoadedSpec:
                return compile.load(spec, options.having(*more))

            _, extra = smallest(lambda more: tried(more).graph, measured.batch)
            loaded = tried(extra)
            graph = api.graph_of(loaded, self.outputs)
            measured = replace(measured, batch=enough(graph, measured.batch))
        common.batch(measured.batch, graph.input.type.shape)
        examples = common.examples(self.calibrate, graph.input.type.shape)
        given = graph, self.runners, measured, loaded.data, say, examples
        report = (
            compare(*given, stands=self.stands)
            if self.child is None
            else aside.compare(self.child, *given, stands=self.stands)
        )
        return {**report.to_json(), "spec": spec}


def _finished(
    path: Path | None, key: dict[str, Any]
) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Reports of an earlier run with the same options by spec, and the digests of what was run; a
    last line cut short is left."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    other = kind(path) if path is not None else None
    if other is not None:
        raise BadUse(f"'{escape(str(path))}' is {other}.", hint="--resume")
    if path is None:
        return found
    fresh = not path.exists()
    try:
        path.open("a").close()  # told before hours of work, not after
        if fresh:
            path.unlink()  # nothing is kept yet
    except OSError as problem:
        raise io_error("write", path, problem) from problem
    if fresh:
        return found
    for line in path.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
            if entry["key"] == key and entry["digests"] and "error" not in entry["report"]:
                found[entry["spec"]] = entry["report"], entry["digests"]
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _keep(path: Path, entry: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
