"""A spec with the files beside it, as data: for a machine that has resspec and no more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from resspec import zoo
from resspec.diagnostics import error
from resspec.files import content
from resspec.options import LoadOptions

MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Parcel:
    """Texts by their place in a folder; in it the spec, and the folders that `--path` gave."""

    spec: str
    options: LoadOptions
    files: dict[str, bytes]

    @contextmanager
    def opened(self) -> Iterator[tuple[str, LoadOptions]]:
        """The spec's name and options while its files are on disk."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in self.files.items():
                place = Path(folder, name)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            search = tuple(Path(folder, str(one)) for one in self.options.search)
            spec = str(Path(folder, self.spec)) if self.files else self.spec
            yield spec, replace(self.options, search=search)


def pack(spec: str, options: LoadOptions) -> Parcel:
    """Every model and block in the spec's folder, in its `blocks/` and on `--path`; a shipped spec
    travels by name. Errors: SpecError where it is not found, `file-too-large`."""
    path, _ = zoo.locate(spec)
    folders = [path.parent, *options.search]
    names = [f"folder{number}" for number in range(len(folders))]
    files = {
        f"{name}/{file.relative_to(folder)}": content(file)
        for name, folder in zip(names, folders, strict=True)
        if not zoo.ships(path) or folder != path.parent
        for file in sorted([*folder.glob("*.yaml"), *folder.glob("blocks/*.yaml")])
        if zoo.holds(file, "model") or zoo.holds(file, "block")
    }
    if sum(map(len, files.values())) > MAX_BYTES:
        raise error("file-too-large", f"the models and blocks beside `{spec}` are over 16 MiB")
    if not zoo.ships(path):
        _, mark, variant = spec.partition("#")
        spec = f"{names[0]}/{path.name}{mark}{variant}"
    return Parcel(spec, replace(options, search=tuple(map(Path, names[1:]))), files)
