"""What was measured, as CSV: a line is written when it is known, and replaces the one before."""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path

from benchmarks import rows
from resspec.timing import Times

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "torchvision", "timm", "tensorflow", "keras", "onnxruntime", "torchinfo")


@dataclass(frozen=True, slots=True)
class Line:
    """One work and its peer. Numbers are seconds a turn; `examples` are done in a turn.

    ratio: how many times faster than the peer, the median over the rounds. note: why there is no
    number, or no peer.
    """

    key: str
    device: str = ""
    examples: int = 1
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    peer: str = ""
    peer_seconds: float | None = None
    peer_low: float | None = None
    peer_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    rounds: int = 0
    note: str = ""
    versions: str = ""
    commit: str = ""
    measured: str = ""


HEAD = [one.name for one in fields(Line)]
NUMBERS = {one.name for one in fields(Line) if "float" in str(one.type)}
COUNTS = {one.name for one in fields(Line) if str(one.type) == "int"}


def line(
    key: str, own: Times, peer: Times | None, name: str = "", *, examples: int = 1, note: str = ""
) -> Line:
    """What two works come to."""
    low, high = own.spread
    found = Line(key, "", examples, own.median, low, high, rounds=len(own.rounds), note=note)
    if peer is None:
        return found
    ratio, (peer_low, peer_high) = own.against(peer), peer.spread
    ratio_low, ratio_high = ratio.spread
    return replace(
        found,
        peer=name,
        peer_seconds=peer.median,
        peer_low=peer_low,
        peer_high=peer_high,
        ratio=ratio.median,
        ratio_low=ratio_low,
        ratio_high=ratio_high,
    )


class Record:
    """A file of lines, by key; those of other runs stay until theirs are measured again."""

    def __init__(self, path: Path, device: str = "", commit: str = "") -> None:
        self.path, self.device, self.commit = path, device, commit or head()
        self.lines = {one.key: one for one in read(path)}

    def keep(self, found: Line) -> Line:
        found = replace(
            found,
            device=found.device or self.device,
            versions=versions(),
            commit=self.commit,
            measured=time.strftime("%Y-%m-%d", time.gmtime()),
        )
        self.lines[found.key] = found
        cells = [asdict(one) for one in self.lines.values()]
        rows.write(self.path, HEAD, [{k: _cell(v) for k, v in one.items()} for one in cells])
        return found


def read(path: Path) -> list[Line]:
    """The lines of a file; none where there is no file."""
    return [Line(**{k: _value(k, text) for k, text in row.items()}) for row in rows.read(path)]


def _value(key: str, text: str) -> object:
    if key in NUMBERS:
        return float(text) if text else None
    return int(text) if key in COUNTS else text


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else value


def versions() -> str:
    """Of the libraries that are installed here."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def head() -> str:
    """The commit of this checkout, where that can be told."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],  # noqa: S607
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
