"""`resspec bench`: how fast a network is, beside the original's own model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from resspec.bench.contest import Contest, Row
    from resspec.timing import How

FORMATS = ("table", "json")


@common.loading
def bench(
    specs: Annotated[list[str], Argument(metavar="SPEC")],
    backend: common.BackendName = "torch",
    device: Annotated[str, Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    dtype: Annotated[str, Option(help="float32, float64, float16 or bfloat16.")] = "float32",
    batch: Annotated[int, Option(min=1, help="Examples of a pass; latency is that of one.")] = 8,
    compile: Annotated[
        bool, Option("--compile", help="By the framework's own compiler (torch.compile, XLA).")
    ] = False,
    channels_last: Annotated[
        bool, Option("--channels-last", help="Tensors lie so in memory (torch).")
    ] = False,
    optimize: common.Optimize = None,
    against: Annotated[
        str | None,
        Option(
            metavar="SOURCE",
            help="The original's own model, too: torchvision, timm or keras; `timm:NAME` where it "
            "is called otherwise.",
        ),
    ] = None,
    work: Annotated[
        str, Option(metavar="A,B", help="What is measured.")
    ] = "forward,latency,training",
    seconds: Annotated[int, Option(min=1, help="For each work of each spec.")] = 5,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    format: Annotated[str, Option(help="table or json.")] = "table",
) -> None:
    """Measure how fast networks are.

    Forward passes, single examples and steps of training, by turns with the original's model, as
    medians of rounds. With --optimize the network is measured as it is and so. Memory is what a
    first turn takes at most, the model included; the peak is the device's own product of large
    matrices. Exit code 1 where memory did not suffice for all of it.

    \b
    Examples:
      resspec bench resnet50 --against torchvision
      resspec bench resnet50 --device cuda --dtype bfloat16 --batch 256 --channels-last --compile
      resspec bench resnet18 resnet34 --optimize inference --work forward --format json
    """
    from resspec import api, timing
    from resspec import backend as backends
    from resspec.bench import report, subjects
    from resspec.bench.contest import WORKS

    backend, optimize = common.backend_name(backend), common.optimization(optimize)
    common.choice(dtype, api.DTYPES, "--dtype")
    common.choice(format, FORMATS, "--format")
    works = tuple(dict.fromkeys(common.names(work, "--work", WORKS) or ()))
    for one in works:
        common.choice(one, WORKS, "--work")
    how = timing.How(device, dtype, compile, channels_last=channels_last)
    source = _source(against)
    timed = subjects.timing_of(backends.get(backend))
    machine, found = timed.machine(how), list[dict[str, Any]]()
    short = False
    try:
        with common.progress() as doing:
            doing("the device's matrix product")
            rate = _rate(timed, how)
            for spec in specs:
                doing(f"{spec}: building")
                contest = _contest(spec, backend, how, batch, seconds, optimize, source,
                                   options, common.names(outputs), rate)  # fmt: skip
                rows: list[Row] = []
                about = {"name": spec, "backend": backend, "device": device, "machine": machine,
                         "dtype": dtype, "compile": compile, "channels_last": channels_last,
                         "optimize": optimize, "macs": contest.macs,
                         "matmul_flops_per_second": rate}  # fmt: skip
                try:
                    for row in contest.rows(works):
                        rows.append(row)
                        doing(f"{spec}: {row.work} of {row.model} measured")
                        if row.problem:
                            common.say(f"{spec}: {row.work} of {row.model}: {row.problem}")
                            short = True
                finally:
                    found.append({**about, "rows": [report.to_json(row) for row in rows]})
                    if format == "table" and rows:
                        title = f"{spec} on {backend}, {machine}, {dtype}"
                        print(report.text(title, rows), flush=True)
                del contest
                subjects.forget(timed)
    finally:
        if format == "json" and found:
            common.print_json(found)
    if short:
        raise SystemExit(1)


def _source(against: str | None) -> tuple[str, str] | None:
    """Library and name (empty: the spec's) of the original, or a usage error."""
    from resspec.port import origins

    if against is None:
        return None
    source, _, name = against.partition(":")
    known = [one for one in origins.names() if one != origins.BARE]
    if source == origins.BARE:
        raise BadUse(f"Name a library: {', '.join(known)}.", hint="--against")
    return common.choice(source, known, "--against"), name


def _rate(timed: Any, how: How) -> float:
    from resspec.timing import interleave

    work, operations = timed.product(how)
    return float(operations / interleave({"": work}, 1.0)[""].median)


def _contest(
    spec: str,
    backend: str,
    how: How,
    batch: int,
    seconds: int,
    optimize: str | None,
    source: tuple[str, str] | None,
    options: LoadOptions,
    outputs: list[str] | None,
    rate: float,
) -> Contest:
    from resspec import api
    from resspec.bench import subjects
    from resspec.bench.contest import OURS, Contest

    loaded = common.load(spec, options)
    compiled = api.compile_for(loaded, backend, outputs)
    graph = compiled.graph
    common.batch(batch, graph.input.type.shape)
    makers, folded = {OURS: subjects.ours(compiled)}, f"{OURS}, {optimize}"
    if optimize is not None:
        makers[folded] = subjects.ours(api.compile_for(loaded, backend, outputs, optimize))
    if source is not None:
        library, name = source
        makers[library] = subjects.original(library, name or graph.name, graph)
    macs = api.summarize(graph).macs
    return Contest(makers, how, batch, macs, float(seconds), rate, frozenset({folded}))
