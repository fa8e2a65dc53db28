"""Frameworks that take their process with them: what was found before stands, and what comes after
is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from resspec.parity.aside import Child, Died
from tests import specs
from tests.commands import Result, python

# The toy backend under names of its own; the runtimes of two take their process with them.
MORTAL = """\
import os
from dataclasses import replace
from resspec_numpy import BACKEND as SOUND

OTHER = replace(SOUND, name="other")
ABORTING = replace(SOUND, name="aborting", runtime=os.abort)
KILLED = replace(SOUND, name="killed", runtime=lambda: os.kill(os.getpid(), 9))
"""
POINTS = """\
[resspec.backends]
numpy = resspec_numpy:BACKEND
other = mortal:OTHER
aborting = mortal:ABORTING
killed = mortal:KILLED
"""
PLUGIN = Path(__file__).parents[1] / "plugin"


def parity(tmp_path: Path, *words: str) -> Result:
    site = tmp_path / "site"
    (site / "mortal-1.dist-info").mkdir(parents=True)
    (site / "mortal-1.dist-info" / "METADATA").write_text("Name: mortal\nVersion: 1\n")
    (site / "mortal-1.dist-info" / "entry_points.txt").write_text(POINTS)
    (site / "mortal.py").write_text(MORTAL)
    paths = os.pathsep.join(map(str, [site, PLUGIN, *sys.path]))
    words = ("-m", "resspec", "parity", *words, "--mode", "eval")
    return python(*words, ok=False, env={"PYTHONPATH": paths})


def test_frameworks_that_die_are_a_line_each_and_the_rest_stands(tmp_path: Path) -> None:
    one, two = specs.write(tmp_path), specs.write(tmp_path, name="other.yaml")
    between = ("--between", "numpy,aborting,killed,other", "--format", "json")
    code, out, err = parity(tmp_path, one, two, *between)
    assert (code, err) == (1, "")
    for spec, report in zip((one, two), json.loads(out), strict=True):
        assert report["spec"] == spec
        assert "signal 6 (SIGABRT)" in report["failures"]["aborting"]
        assert "signal 9 (SIGKILL), as where memory runs out" in report["failures"]["killed"]
        (check,) = [one for one in report["checks"] if one["quantity"] == "outputs"]
        assert (check["backends"], check["ok"]) == (["numpy", "other"], True)


def test_where_the_first_dies_there_is_one_line(tmp_path: Path) -> None:
    code, out, err = parity(tmp_path, specs.write(tmp_path), "--between", "killed,other")
    assert (code, out) == (1, "")
    assert err.startswith("error[no-backend]: `killed` cannot run: ")
    assert "signal 9 (SIGKILL)" in err
    assert "Traceback" not in err


def nothing(say: Any) -> int:
    say("one")
    return os.getpid()


def runs(process: str) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


def trouble(what: str, say: Any) -> None:
    if what == "raise":
        raise TimeoutError("of a framework")
    if what == "start":
        process = subprocess.Popen(["sleep", "60"])
        say(str(process.pid))
        Path(os.environ["TMPDIR"], "left").write_text("there")
        say(os.environ["TMPDIR"])
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_child_works_on_until_it_dies() -> None:
    child, lines = Child(), []
    try:
        first = child.call(nothing, say=lines.append)
        with pytest.raises(Exception, match="of a framework") as caught:
            child.call(trouble, "raise")
        assert type(caught.value).__name__ == "TimeoutError"
        assert child.call(nothing) == first != os.getpid()
        assert lines == ["one"]
        with pytest.raises(Died, match=r"signal 11 \(SIGSEGV\)"):
            child.call(trouble, "start", say=lines.append)
        _, process, folder = lines
        end = time.monotonic() + 10
        while runs(process):
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not Path(folder).exists()
        assert child.call(nothing) != first
    finally:
        child.close()
