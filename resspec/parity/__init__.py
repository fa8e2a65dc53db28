"""Whether a network is the same on several backends: outputs, gradients, statistics, training.

The weights, the data and the optimiser are the same everywhere. float64 is the gate; float32 is
judged by how far each backend is from float64 itself.
"""

from __future__ import annotations

from resspec.parity.compare import Options, Report, compare, reason
from resspec.parity.judge import Check, Fault
from resspec.parity.locate import Departure
from resspec.parity.runners import Runner, runner

__all__ = [
    "Check",
    "Departure",
    "Fault",
    "Options",
    "Report",
    "Runner",
    "compare",
    "reason",
    "runner",
]
