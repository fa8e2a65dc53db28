# As where mini-racer is not installed.
import sys
from unittest.mock import patch

from resspec.draw.layout import engine

with patch.dict(sys.modules, {"py_mini_racer": None}):
    engine.__wrapped__()
