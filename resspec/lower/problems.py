"""Problems of a network, collected while it is lowered as far as it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from resspec.diagnostics import Diagnostic, Span, SpecError
from resspec.lower.builder import Builder
from resspec.lower.env import Env, failure
from resspec.lower.values import POISON, Failed, Poison, Val
from resspec.types import TensorType

P = ParamSpec("P")
FATAL = ("node-limit", "param-limit", "recursion-limit")


class Stop(SpecError):
    """Enough problems: nothing further is lowered."""


class Problems:
    """Collects what is wrong; work goes on with values that are poisoned."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.problems: list[Diagnostic] = []

    def guard(self, work: Callable[P, Val], *args: P.args, **kwargs: P.kwargs) -> Val:
        """Run; on failure report and go on with a poisoned value."""
        depth = len(self.builder.stack)
        try:
            return work(*args, **kwargs)
        except (SpecError, Failed) as caught:
            return self.failed(caught, depth)

    def failed(self, caught: SpecError | Failed, depth: int) -> Poison:
        """Report; nothing comes of what was open above `depth`. Raises Stop."""
        if isinstance(caught, Stop):
            raise caught
        if isinstance(caught, SpecError):
            self.report(*caught.diagnostics)
        del self.builder.stack[depth:]
        return POISON

    def report(self, *diagnostics: Diagnostic) -> None:
        """Keep a problem; the same place fails for the same reason in every instance: once."""
        for found in diagnostics:
            if all((d.code, d.span) != (found.code, found.span) for d in self.problems):
                self.problems.append(found)
            if found.code in FATAL or len(self.problems) >= self.builder.limits.problems:
                raise Stop(*self.problems)


def nothing(what: str, env: Env, span: Span) -> SpecError:
    """The error where a value is needed and `from: []` left none."""
    help = "`from: []` takes no value at all: name one"
    return failure(env, "tuple-unexpected", f"{what} takes a value, here is none", span, help)


def mismatch_help(body: TensorType, shortcut: TensorType) -> str:
    """What would make a residual's branches agree."""
    if body.channels != shortcut.channels and body.shape[1:] == shortcut.shape[1:]:
        channels = shortcut.channels
        return f"use `shortcut: projection`, or make the body end with {channels} channels"
    return "use `shortcut: projection`, or make the body keep the size"
