"""Whether a network is the same on several backends: outputs, gradients, statistics, training.

The weights, the data and the optimiser are the same everywhere. float64 is the gate; float32 is
judged by how far each backend is from float64 itself.
"""

from __future__ import annotations

from resspec.parity.compare import Options as Options
from resspec.parity.compare import Report as Report
from resspec.parity.compare import compare as compare
from resspec.parity.runners import Runner as Runner
from resspec.parity.runners import reason as reason
from resspec.parity.runners import runner as runner
