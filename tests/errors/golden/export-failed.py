# A .keras file that would need somebody's own class to be loaded.
import json
import zipfile
from pathlib import Path

from resspec_tensorflow.export import require_stock

layer = {"module": "my_layers", "class_name": "Swirl", "config": {"name": "stem.swirl"}}
with zipfile.ZipFile("model.keras", "w") as file:
    file.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
require_stock(Path("model.keras"))
