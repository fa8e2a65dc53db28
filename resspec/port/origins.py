"""Where other people's networks come from: by name, with their code, to read and write their files.

Found by the entry-point group `resspec.origins`; the code of an origin lives in a backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from resspec.diagnostics import did_you_mean, error, suggest

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.port.dataflow import Trace

GROUP = "resspec.origins"
BARE = "torch"  # tensors without code, whatever wrote them
Arrays = Mapping[str, NDArray[Any]]


class Original(Protocol):
    """One network of an origin. Tensors have the names and the layout that the origin uses."""

    model: Any  # as the library makes it
    trace: Trace
    formats: tuple[str, ...]  # endings of the files that it writes
    # after `forward` in float64, whether the code rounds to float32 on the way: "" where not,
    # "kept" where it did, "lifted" where it was kept from doing so
    rounds: str
    taken: str  # after `read`, which of a file's sets of tensors it was, in words

    def read(
        self, path: Path, key: str | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """The tensors of a checkpoint that this network accepts strictly, half precision widened,
        and the types that they are stored in. Nothing in the file is run. `key`: which of several
        sets in the file.
        Errors: `io-error`, `weights-format`, `weights-mismatch`."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The tensors that it holds now."""
        ...

    def load(self, arrays: Arrays) -> None:
        """Set the tensors that are named."""
        ...

    def encode(self, arrays: Arrays, dtypes: Mapping[str, str], ending: str) -> bytes:
        """A checkpoint that the origin's own loader accepts strictly, in one of `formats`, of these
        types where the format holds others than float32."""
        ...

    def forward(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        """Outputs in eval mode for x (N, C, H, W), each NCHW or (N, C)."""
        ...

    def results(self, x: NDArray[Any]) -> dict[int, tuple[NDArray[Any], NDArray[Any] | None]]:
        """What each operation of `trace` reads of the data and gives for x, in eval mode, by its
        number; NCHW, or as the operation has it. None where that cannot be seen, and nothing of an
        operation of which neither can."""
        ...


class Origin(Protocol):
    """A library of networks."""

    name: str
    backend: str  # of the same framework

    def open(
        self, name: str, graph: Graph, *, dtype: str = "float32", empty: bool = False
    ) -> Original:
        """The network that the library has under a name, with the classes and channels of the
        graph. `empty`: its tensors need not hold anything, so they take no memory where the
        framework can do that. Errors: `not-found`, `no-backend`."""
        ...

    def described(self, path: Path, budget: int) -> Original | None:
        """The network that a file describes by itself, if it is of such a kind (a `.keras`
        archive); built of stock layers, without running code from the file. budget: bytes of
        weights that there is use for.
        Errors: `io-error`, `weights-format`."""
        ...


def names() -> tuple[str, ...]:
    """Origins that are installed with this Python."""
    return tuple(sorted({BARE, *(point.name for point in entry_points(group=GROUP))}))


def get(name: str) -> Origin:
    """The origin of that name. Errors: `not-found`; `no-backend` without its framework."""
    for point in entry_points(group=GROUP):
        if point.name == name != BARE:
            try:
                origin: Origin = point.load()
            except ModuleNotFoundError as missing:
                raise error(
                    "no-backend",
                    f"`{name}` needs {missing.name}, which is not installed",
                    help=f"pip install {missing.name}",
                ) from missing
            return origin
    raise error(
        "not-found",
        f"no origin is called `{name}`; there are {', '.join(names()) or 'none'}",
        help=did_you_mean(name, names()),
    )


def spelt(name: str, known: Sequence[str], library: str, option: str, help: str) -> str:
    """The name as a library has it. `option` is where one is given. Errors: `not-found`."""
    same = [one for one in known if plain(one) == plain(name)]
    if not same:
        near = suggest(name, known)
        message = f"{library} has no `{name}`"
        raise error("not-found", message, help=f"did you mean {option}{near}?" if near else help)
    return name if name in same else same[0]


def plain(name: str) -> str:
    """A network's name without what libraries and specs spell differently."""
    name = name.lower().removeprefix("keras_").removeprefix("tv_").removesuffix("_tv")
    return name.replace("_", "").replace("-", "")
