"""`resspec summarize`, `validate` and `source`: what a spec says, without any framework."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from resspec.cli import common
from resspec.cli.options import Argument, Option
from resspec.diagnostics import escape
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resspec.diagnostics import Diagnostic
    from resspec.ir import Graph
    from resspec.summary import Level, Summary
    from resspec.table import Cell

FORMATS = ("table", "json", "csv", "markdown")
Specs = Annotated[list[str], Argument(metavar="SPEC")]


@common.loading
def summarize(
    specs: Specs,
    level: Annotated[
        str | None,
        Option(help="model, stage, block or layer; by default one row a model."),
    ] = None,
    format: Annotated[
        str | None,
        Option(help=", ".join(FORMATS) + "; by default a table, and at a terminal one with bars."),
    ] = None,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
) -> None:
    """Count parameters, MACs and memory.

    All counts are for one example, and FLOPs are 2 × MACs. Activations are the elements that
    convolutions and linear layers put out. Memory is for float32: weights and buffers, and an
    estimate of the most that inference holds beside them. JSON lists every layer of every spec.

    \b
    Examples:
      resspec summarize resnet18 resnet34 resnet50
      resspec summarize resnet50 --level stage --format markdown
      resspec summarize mine.yaml --format json
    """
    from resspec import api
    from resspec.summary import Level

    if format is not None:
        common.choice(format, FORMATS, "--format")
    if level is not None:
        common.choice(level, get_args(Level), "--level")
    chosen = common.names(outputs)
    graphs = [api.graph_of(common.load(spec, options), chosen) for spec in specs]
    summaries = [api.summarize(graph) for graph in graphs]
    at: Any = level
    if format is None and sys.stdout.isatty():
        print(_seen(graphs, summaries, at))
    elif format == "json":
        common.print_json([summary.to_json(at or "layer") for summary in summaries])
    else:
        print(_table(summaries, at or "model", format or "table"))
        if format in (None, "table"):
            print(f"\n{_sizes(summaries)}")
            for one in summaries:
                if one.other_macs:
                    what = "products of values and fixed filters, beside MACs"
                    print(f"{escape(one.name)}: {one.other_macs:,} multiply-accumulates in {what}")


def _seen(graphs: list[Graph], summaries: list[Summary], level: Level | None) -> str:
    """For a person at a terminal: one network by its stages, several in a row each."""
    from resspec.draw import terminal

    look = terminal.Look(
        width=min(max(shutil.get_terminal_size().columns, 40), terminal.WIDTH),
        color=common.colored(sys.stdout),
        blocks=common.shows(sys.stdout, terminal.BARS),
    )
    if level == "model" or (level is None and len(summaries) > 1):
        return f"{terminal.several(summaries, look)}\n\n{_sizes(summaries)}"
    return "\n\n".join(
        terminal.one(graph, summary, level or "stage", look)
        for graph, summary in zip(graphs, summaries, strict=True)
    )


def _sizes(summaries: list[Summary]) -> str:
    """At which input sizes the networks work, on a line each where they differ."""
    told = {escape(one.name): escape(str(one.sizes)) for one in summaries}
    if len(set(told.values())) == 1:
        return f"input sizes: {next(iter(told.values()))}"
    return "input sizes:\n" + "\n".join(f"  {name}: {text}" for name, text in told.items())


def _table(summaries: list[Summary], level: Level, format: str) -> str:
    from resspec import table

    text = format != "csv"
    rows: list[list[Cell]] = []
    if level == "model":
        head = ["name", "input", "params", "buffers", "MACs", "FLOPs", "activations"]
        head += ["weights", "peak activations"] if text else ["weight_bytes", "peak_bytes"]
        head += ["output"]
        for one in summaries:
            memory = (one.weight_bytes, one.peak_bytes)
            rows.append(
                [
                    one.name,
                    table.shape(one.input),
                    *(one.params, one.buffers, one.macs, one.flops, one.activations),
                    *(map(table.size, memory) if text else memory),
                    table.shape(one.output_shape),
                ]
            )
    else:
        several = len(summaries) > 1
        head = ["name"] if several else []
        head += ["path", "op", "params", "buffers", "MACs", "FLOPs", "activations", "output"]
        for one in summaries:
            totals = one.rows("model") if text else ()
            for row in (*one.rows(level), *totals):
                last = row in totals
                counts = (row.params, row.buffers, row.macs, row.flops, row.activations)
                path, op = ("total", "") if last else (row.path, row.op)
                shape = table.shape(row.output_shape)
                rows.append([*([one.name] if several else []), path, op, *counts, shape])
    write = {"table": table.text, "csv": table.csv_text, "markdown": table.markdown}[format]
    return write(head, rows)


@common.loading
def validate(
    specs: Specs,
    format: Annotated[str, Option(help="text, json or sarif.")] = "text",
    backend: Annotated[
        str | None,
        Option(
            "--backend",
            "-b",
            metavar="NAME",
            help="What this one cannot express is an error, and no other is asked.",
        ),
    ] = None,
    strict: Annotated[bool, Option("--strict", help="Warnings fail, too.")] = False,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
) -> None:
    """Check specs, every problem at once.

    Each problem is shown with its file, line and column. A file is checked with all its variants;
    a block's file is tried with its defaults. What an installed backend cannot express is a
    warning; with --backend, an error. SARIF is for code scanning, which shows each problem beside
    its line in a review.

    \b
    Examples:
      resspec validate mine.yaml
      resspec validate family.yaml#deep my_block.yaml
      resspec validate specs/*.yaml --format json
    """
    from resspec import api
    from resspec import backend as backends
    from resspec.validate import validate as check

    common.choice(format, ("text", "json", "sarif"), "--format")
    named = common.backend_name(backend) if backend else None
    targets = [backends.get(name) for name in ([named] if named else backends.names())]
    wanted = common.names(outputs)

    def judge(graph: Graph) -> Iterator[Diagnostic]:
        part = api.graph_of(graph, wanted)
        for target in targets:
            for found in target.check(part):
                yield found if named else replace(found, severity="warning")

    verdicts = [check(spec, options, judge) for spec in specs]
    fatal = ("error", "warning") if strict else ("error",)
    wrong = [one for one in verdicts if any(it.severity in fatal for it in one.diagnostics)]
    if format == "json":
        common.print_json([one.to_json() | {"ok": one not in wrong} for one in verdicts])
    elif format == "sarif":
        from importlib.metadata import version

        from resspec.sarif import sarif

        found = ((one.spec, one.diagnostics) for one in verdicts)
        common.print_json(sarif(found, version("resspec")))
    else:
        for one in verdicts:
            if one.diagnostics:
                common.show(one.diagnostics)
            if one not in wrong:
                print(f"{escape(one.spec)}: ok" + (f" ({one.remark})" if one.remark else ""))
        if wrong:
            count = sum(it.severity in fatal for one in verdicts for it in one.diagnostics)
            problems = "1 problem" if count == 1 else f"{count} problems"
            common.say(f"\n{problems} in {escape(', '.join(one.spec for one in wrong))}")
    if wrong:
        raise SystemExit(1)


@common.loading
def source(
    spec: Annotated[str, Argument(metavar="SPEC")],
    backend: common.BackendName = "torch",
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="FILE", help="Write it there instead.")
    ] = None,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    optimize: common.Optimize = None,
    force: common.Force = False,
) -> None:
    """Print the source of a network.

    It is what `build` would run; the framework need not be installed.

    \b
    Examples:
      resspec source resnet50 > model.py
      resspec source mine.yaml --backend tensorflow --out model.py
    """
    from resspec import api, artifacts

    backend, optimize = common.backend_name(backend), common.optimization(optimize)
    wanted = common.names(outputs)
    loaded = common.load(spec, options)
    text = api.compile_for(loaded, backend, wanted, optimize).source.text
    if out is None:
        print(text, end="")
    else:
        artifacts.write_file(out, text.encode(), force=force)
        common.say(f"wrote {escape(str(out))}")
