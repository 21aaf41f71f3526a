"""Writes the bundle that desktop clients install with a double click: dist/postrider-VERSION.mcpb

python -m scripts.bundle [FOLDER]

A bundle is a zip file with a manifest; of the kind ``uv``, which brings Python itself, it holds the package's sources.
Source: the MANIFEST.md of the bundle format, version 0.4.
"""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.check_files import repository_files
from scripts.generated import ROOT

MANIFEST: Final = "manifests/mcpb/manifest.json"
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""The same sources give the same octets."""


def bundled_files(root: Path) -> Iterator[tuple[str, Path]]:
    """What goes into the bundle: the name inside, and the file."""
    yield "manifest.json", root / MANIFEST
    for name in repository_files(root):
        if name in ("pyproject.toml", "README.md", "LICENSE") or name.startswith("src/"):
            yield name, root / name


def write_bundle(root: Path, folder: Path) -> Path:
    """The bundle's path."""
    manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    path = folder / f"{manifest['name']}-{manifest['version']}.mcpb"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, file in bundled_files(root):
            bundle.writestr(zipfile.ZipInfo(name, _EARLIEST), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{write_bundle(ROOT, Path(sys.argv[1] if len(sys.argv) > 1 else 'dist'))}\n")
