"""What is refused: the problems that a call raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resspec.diagnostics import Diagnostic, SpecError


def problems(call: Callable[..., object], /, *given: Any, **named: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        call(*given, **named)
    return caught.value.diagnostics


def refused(call: Callable[..., object], /, *given: Any, **named: Any) -> Diagnostic:
    """The one problem that there is."""
    (found,) = problems(call, *given, **named)
    return found


def codes(call: Callable[..., object], /, *given: Any, **named: Any) -> list[str]:
    return [found.code for found in problems(call, *given, **named)]
