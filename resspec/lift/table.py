"""The names that a front end knows, and what each is in ops of the language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Table(dict[str, Callable[..., Any]]):
    """A function for each name: of an operation, a layer."""

    def of(self, *names: str) -> Callable[[Function], Function]:
        """The function below says what these are."""

        def register(function: Function) -> Function:
            self.update(dict.fromkeys(names, function))
            return function

        return register
