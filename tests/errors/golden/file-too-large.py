from pathlib import Path

import resspec

Path("spec.yaml").write_bytes(b"#" * 2**20 + b"\nmodel: tiny\n")
resspec.load("spec.yaml")
