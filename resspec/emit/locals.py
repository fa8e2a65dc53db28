"""Names of the values in one emitted body: few, short, and never one that is still needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from resspec.emit.names import Numbers, unique


class Locals:
    """Gives names to values; a name is free again after the last line that reads its value.

    last: for each value that is read, the position of the line that reads it last. reserved: what
    no value may be called; whoever names other things in the body may add to it. `open` are the
    values that a later line reads, `live` their names, `given` all names so far.
    """

    def __init__(self, last: Mapping[int, int], reserved: Collection[str]) -> None:
        self.last, self.reserved = last, reserved
        self.names: dict[int, str] = {}
        self.open: set[int] = set()
        self.live: set[str] = set()
        self.given: set[str] = set()
        self.numbers = Numbers()
        self._ending: dict[int, list[int]] = {}
        for value, position in last.items():
            self._ending.setdefault(position, []).append(value)

    def __getitem__(self, value: int) -> str:
        return self.names[value]

    def give(self, value: int, name: str) -> None:
        """Call the value so from here on."""
        self.names[value] = name
        self.given.add(name)
        if value in self.last:
            self.open.add(value)
            self.live.add(name)

    def pass_line(self, position: int) -> None:
        """Free the names of what the line at this position reads last, for what it makes."""
        for value in self._ending.pop(position, ()):
            if value in self.open:
                self.open.remove(value)
                self.live.discard(self.names[value])
                self.numbers.free(self.names[value])

    def free(self, *choices: str, besides: Collection[str] = ()) -> str:
        """The first of the choices that is a free name, else a new one like the first."""
        numbers = None if besides else self.numbers
        return unique(choices, self.reserved, self.live, besides, numbers=numbers)
