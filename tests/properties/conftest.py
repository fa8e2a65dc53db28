"""How much is tried: a sample in CI, ten times that with `HYPOTHESIS_PROFILE=fuzz` (`make fuzz`)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
SCALE = 10 if FUZZ else 1
COMMON = settings(
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
settings.register_profile("ci", COMMON, derandomize=True)
settings.register_profile("fuzz", COMMON)
settings.load_profile("fuzz" if FUZZ else "ci")
