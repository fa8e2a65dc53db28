"""`resspec sweep`: costs over a design space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import error, escape
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from resspec.sweep import Found, Setting, Space
    from resspec.table import Cell

FORMATS = ("table", "json", "csv", "markdown")
SHOWN = {"params": "params", "macs": "MACs", "activations": "activations", "peak_bytes": "peak"}
Row = dict[str, Any]


@common.loading
def sweep(
    spec: Annotated[str, Argument(metavar="SPEC")],
    options: LoadOptions = LoadOptions(),
    random: Annotated[
        int | None, Option(metavar="N", min=1, help="So many settings, drawn at random.")
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of what is drawn.")] = 0,
    where: Annotated[
        str | None, Option(metavar="CONDITION", help="Keep these: `macs < 4e9 and width > 32`.")
    ] = None,
    sort: Annotated[
        str | None, Option(metavar="COLUMN", help="The smallest first; `-params`: the largest.")
    ] = None,
    pareto: Annotated[
        str | None,
        Option(
            metavar="A,B",
            help="Keep what nothing else beats in all of these: `macs,-params` for few MACs and "
            "many parameters.",
        ),
    ] = None,
    top: Annotated[int | None, Option(metavar="N", min=1, help="Show the first so many.")] = None,
    format: Annotated[str, Option(help=", ".join(FORMATS) + ".")] = "table",
    plot: Annotated[
        Path | None,
        Option(metavar="FILE", help="Draw them: a .png, .svg or .pdf file. Needs `resspec[plot]`."),
    ] = None,
    axes: Annotated[str, Option(metavar="X,Y", help="What is drawn.")] = "macs,params",
    jobs: Annotated[
        int, Option("--jobs", "-j", min=0, help="Processes; 0: one for each core.")
    ] = 0,
    ray: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Count on a Ray cluster, or `local`. Needs `resspec[ray]` there and here.",
        ),
    ] = None,
    force: common.Force = False,
) -> None:
    """Count the networks of a design space.

    Each --set gives a key and the values it may have, in a list or a range; all combinations are
    counted, or with --random some. `log` before a range draws such that logarithms are spread
    evenly. What is no network is counted and left out. JSON and CSV hold every count. Conditions
    and columns name a setting by the last part of its key. An interrupted sweep shows what it has.

    \b
    Examples:
      resspec sweep resnet50 --set stages.2.depth=1..40 --where "macs < 8e9"
      resspec sweep mine.yaml --set width=32,48,64 --set layers=18..50..4 --sort macs
      resspec sweep mine.yaml --set "width=log 8..256..8" --set stages.1.depth=1..9 \\
        --random 5000 --pareto macs,-params --plot front.svg
    """
    from resspec import sweep as sweeping
    from resspec.artifacts import write_file
    from resspec.sweep.plot import FORMATS as IMAGES
    from resspec.sweep.plot import plot as drawn
    from resspec.sweep.run import cores

    common.choice(format, FORMATS, "--format")
    if plot is not None:
        common.choice(plot.suffix, IMAGES, "--plot")
    space = sweeping.space(options.set)
    if not space.axes:
        raise BadUse("give a key some values: `--set width=32,48,64`.", hint="--set")
    names = _names(space)
    columns = [*names.values(), *sweeping.COSTS]
    numbers = [*_numeric(space, names), *sweeping.COSTS]
    holds = sweeping.keep(where, columns) if where else None
    fronted = common.names(pareto, "--pareto", numbers)
    pair = common.names(axes, "--axes", numbers) or []
    if len(pair) != 2:
        raise BadUse(f"'{escape(axes)}' is not X,Y.", hint="--axes")
    for key in [*pair, *(fronted or []), *([sort] if sort else [])]:
        sweeping.best(key, numbers)
    settings = _settings(space, random, seed)
    base = LoadOptions(space.fixed, options.search, options.input, options.limits)
    total = len(settings)
    workers = 1 if total <= 2 * 64 else (jobs or cores())
    found, interrupted = _gathered(sweeping.costs(spec, base, settings, workers, ray or ""), total)
    rows = [_row(one, names) for one in found if one.costs is not None]
    _tell(spec, base, found, total)
    kept = [row for row in rows if holds is None or holds(row)]
    front = sweeping.front(kept, fronted, numbers) if fronted else []
    chosen = front if fronted else kept
    if sort:
        chosen = sweeping.ordered(chosen, sort, numbers)
    _print(chosen[:top], names, format)
    if plot is not None:
        x, y = pair
        write_file(plot, drawn(kept, front, x, y, spec, plot.suffix), force=force)
        common.say(f"wrote {escape(str(plot))}")
    if interrupted:
        common.say(f"interrupted after {len(found):,} of {total:,}")
        raise SystemExit(130)


def _settings(space: Space, random: int | None, seed: int) -> Sequence[Setting]:
    from resspec.sweep.space import MAX_SETTINGS

    if random is None:
        return list(space.grid())
    if random > MAX_SETTINGS:
        raise BadUse(f"at most {MAX_SETTINGS:,}.", hint="--random")
    return list(space.sample(random, seed))


def _names(space: Space) -> dict[str, str]:
    """The name of each axis in conditions and columns: the last part of its key if that is one's
    alone, else the key with `_` between its parts."""
    keys = [one.key for one in space.axes]
    last = [key.rsplit(".", 1)[-1] for key in keys]
    return {
        key: end if last.count(end) == 1 else key.replace(".", "_")
        for key, end in zip(keys, last, strict=True)
    }


def _numeric(space: Space, names: dict[str, str]) -> list[str]:
    return [names[one.key] for one in space.axes if all(_is_number(_value(text)) for text in one)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(text: str) -> Any:
    """The value that a setting's text stands for; lists and mappings stay text."""
    from resspec.syntax import parse

    value = parse(text, "--set") if text.strip() else None
    return value if isinstance(value, int | float | str | bool | None) else text


def _gathered(counting: Iterable[Found], total: int) -> tuple[list[Found], bool]:
    """What was found, and whether it was interrupted."""
    found: list[Found] = []
    try:
        with common.progress() as tell:
            for one in counting:
                found.append(one)
                tell(f"{len(found):,} of {total:,}")
    except KeyboardInterrupt:
        return found, True
    return found, False


def _row(one: Found, names: dict[str, str]) -> Row:
    data = one.to_json()
    return {names[key]: _value(text) for key, text in data.pop("set").items()} | data


def _tell(spec: str, options: LoadOptions, found: Sequence[Found], total: int) -> None:
    """Say which settings are no networks. Errors: SpecError where none is one."""
    wrong = [one for one in found if one.costs is None]
    if not wrong:
        return
    first = wrong[0]
    if len(wrong) == total:  # the cause, with its place
        common.load(spec, options.having(*first.setting))
        raise error("not-found", "no setting gives a network")
    common.say(
        f"{len(wrong):,} of {total:,} settings give no network, `{' '.join(first.setting)}` the "
        f"first: {first.problem}"
    )


def _print(rows: Sequence[Row], names: dict[str, str], format: str) -> None:
    from resspec import table
    from resspec.sweep import COSTS

    if format == "json":
        settings = set(names.values())
        common.print_json(
            [
                {"set": {key: row[key] for key in row if key in settings}}
                | {key: row[key] for key in COSTS}
                for row in rows
            ]
        )
        return
    plain = format == "csv"
    shown = dict.fromkeys(names.values(), "") | (dict.fromkeys(COSTS, "") if plain else SHOWN)
    head = [title or key for key, title in shown.items()]
    lines = [[_cell(key, row[key], plain) for key in shown] for row in rows]
    write = {"table": table.text, "csv": table.csv_text, "markdown": table.markdown}[format]
    print(write(head, lines))


def _cell(key: str, value: Any, plain: bool) -> Cell:
    from resspec import table

    if key == "peak_bytes" and not plain:
        return table.size(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)
