"""What only a process of its own can show: what is imported, and how pipes end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import specs
from tests.commands import python

HEAVY = ("torch", "tensorflow", "keras", "numpy", "rich", "safetensors")
SCRIPT = """\
import contextlib, io, sys
from resspec.cli import main
for line in sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(line.split())
print(*(name for name in {heavy!r} if name in sys.modules))
"""


def modules(*lines: str) -> list[str]:
    return python("-c", SCRIPT.format(heavy=HEAVY), *lines).out.split()


def test_the_command_line_loads_no_framework() -> None:
    assert modules() == []


def test_commands_that_need_no_framework_or_numpy_load_none(tmp_path: Path) -> None:
    lines = (f"summarize {specs.write(tmp_path)}", "validate resnet18", "list", "show conv2d")
    assert modules(*lines) == []


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_source_loads_no_framework(tmp_path: Path, backend: str) -> None:
    loaded = modules(f"source {specs.write(tmp_path)} --backend {backend}")
    assert not {"torch", "tensorflow", "keras"} & set(loaded)


def test_import_resspec_is_lazy() -> None:
    script = "import sys, resspec; print(*(m for m in sys.modules if m.startswith('resspec')))"
    assert python("-c", script).out.split() == ["resspec"]


def test_a_reader_that_stops_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from resspec.cli import main; main(['list'])"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""


STUCK = """\
import signal, sys, time
from pathlib import Path
from resspec import artifacts, cli
from resspec.cli import build
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would have it ignored
def wait(*_, **__):
    print("here", flush=True)
    time.sleep(60)
build.common.load = wait
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "-c", STUCK, "build", "resnet18", "--out", str(tmp_path / "a" / "b")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        assert list(tmp_path.iterdir()) == [tmp_path / "a"]
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_unicode_is_no_error() -> None:
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = python("-m", "resspec", "summarize", "resnet18", env=environment)
    assert "3\\xd7224\\xd7224" in done.out
