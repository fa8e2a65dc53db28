"""What backends say alike of live models: outputs by name, what each is weighed with, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from resspec.weights.start import cotangent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resspec.rule import Variable

T = TypeVar("T")
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def levelled(found: Mapping[str, T] | T, levels: Mapping[str, int] | None) -> dict[str, list[T]]:
    """What an emitted class gives, by output, the levels of a pyramid together; `levels` is how
    many each output has, where that is known."""
    flat: Mapping[str, T] = found if isinstance(found, Mapping) else {"out": found}
    if levels is None:
        return {name: [value] for name, value in flat.items()}
    return {
        name: [flat[name]] if count == 1 else [flat[f"{name}.{i}"] for i in range(count)]
        for name, count in levels.items()
    }


def flat(outputs: Mapping[str, Sequence[T]]) -> dict[str, T]:
    """Outputs by name; the levels of a pyramid by name and number."""
    return {
        name if len(values) == 1 else f"{name}.{level}": value
        for name, values in outputs.items()
        for level, value in enumerate(values)
    }


def channels_first(array: NDArray[Any]) -> NDArray[Any]:
    """A map as the graph has it, of one that has its channels last; others as they are."""
    return array.transpose(NCHW) if array.ndim == 4 else array


def weighed(
    outputs: Mapping[str, Sequence[Any]], *, channels_last: bool = False
) -> Iterator[tuple[str, Any, NDArray[Any]]]:
    """Each output, or level of a pyramid: its name, the value, and its cotangent in its layout."""
    for name, y in flat(outputs).items():
        shape = tuple(y.shape)
        if channels_last and len(shape) == 4:
            c = cotangent(name, tuple(shape[axis] for axis in NCHW)).transpose(NHWC)
        else:
            c = cotangent(name, shape)
        yield name, y, c


def settings(
    variables: Mapping[str, Variable], shown: Callable[[str], Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Numbers that the layer of each variable shows, by canonical path; `shown` gives them by the
    variable's own name, of which those count that are numbers."""
    found: dict[str, dict[str, float]] = {}
    for name, variable in variables.items():
        told = {key: one for key, one in shown(variable.name).items() if isinstance(one, float)}
        if told:
            found.setdefault(name.rpartition(".")[0], {}).update(told)
    return found
