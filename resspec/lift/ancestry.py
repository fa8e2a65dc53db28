"""What a value was made of: the nearest step of a kind behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from resspec.ir import Value

FAR = 60  # values that are looked through


class Recorder(Protocol):
    """Knows what made a value: `resspec.lift.record`."""

    def maker(self, value: Value) -> Any: ...


def cut_from(recorder: Recorder, value: Value, size: tuple[int, int] | None = None) -> Any:
    """The step that cut a map into what this was made of; size: of the pieces, by default its."""
    return nearest(recorder, value, ("tokens", "windows"), size or value.type.spatial)


def nearest(
    recorder: Recorder, value: Value, names: Sequence[str], size: tuple[int, int] | None = None
) -> Any:
    """The nearest step of such a name that a value was made by; size: of what it gives."""
    rest, seen = [value], {value}
    while rest:
        step = recorder.maker(rest.pop(0))
        if step is None or step.op.NAME in ("grid", "join_windows"):
            continue
        if step.op.NAME in names:
            if size is None or step.outputs[0].type.spatial == size:
                return step
            continue
        for one in step.inputs:
            if one not in seen and len(seen) < FAR:
                seen.add(one)
                rest.append(one)
    return None
