# As where onnx is not installed.
from unittest.mock import patch

from resspec_torch.export import _require

with patch("importlib.util.find_spec", return_value=None):
    _require("onnx")
