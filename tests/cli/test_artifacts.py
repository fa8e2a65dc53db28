"""Single files: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resspec import artifacts
from resspec.diagnostics import SpecError


def test_folders_above_are_made(tmp_path: Path) -> None:
    artifacts.write_file(tmp_path / "a" / "b" / "file", [b"one", b"two"])
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"onetwo"


def test_an_existing_file_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(SpecError, match="exists"):
        artifacts.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    artifacts.write_file(path, b"new", force=True)
    assert path.read_bytes() == b"new"


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    artifacts.write_file(tmp_path / "link", b"new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(SpecError, match="Permission denied") as caught:
        artifacts.write_file(path, b"new", force=True)
    assert caught.value.diagnostics[0].code == "io-error"
    assert path.read_bytes() == b"old"
    with pytest.raises(SpecError):
        artifacts.write_file(tmp_path / "new" / "file", b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_folder_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with artifacts.folder(tmp_path / "link", ("a",)) as staging:
        staging.write("a", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"1"


def test_what_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def meet() -> None:
        with artifacts.folder(out, ("a",)) as staging:
            staging.write("a", b"1")
            out.mkdir()
            (out / "a").write_bytes(b"theirs")

    with pytest.raises(SpecError, match="exists"):
        meet()
    assert (out / "a").read_bytes() == b"theirs"
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
