"""Files on disk: one folder for each kind and workspace, each file under its id, readable by this user alone."""

import os
from pathlib import Path
from typing import BinaryIO, Final, Literal

from postrider.kernel.ids import check_id, random_text

FileKind = Literal["upload", "export"]

FOLDER: Final = "files"
UNFINISHED: Final = "*/*/*.part"
"""Below the folder: what is still being received."""


def path_of(data_dir: Path, kind: FileKind, workspace_id: str, file_id: str) -> Path:
    """Where a file is kept. Only ids of ours become part of a path. Raises: InvalidInput."""
    return _folder(data_dir, kind, workspace_id) / check_id(file_id, "file", "uploadId")


class Incoming:
    """A file that is being written; it is there under its own name only once it is whole."""

    def __init__(self, data_dir: Path, kind: FileKind, workspace_id: str) -> None:
        folder = _folder(data_dir, kind, workspace_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = folder / f"{random_text(26)}.part"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.file: BinaryIO = os.fdopen(descriptor, "w+b")

    def finish(self) -> int:
        """Brings all of it to the disk; its size in bytes."""
        self.file.flush()
        os.fsync(self.file.fileno())
        size = self.file.tell()
        self.file.close()
        return size

    def keep(self, data_dir: Path, kind: FileKind, workspace_id: str, file_id: str) -> Path:
        """Gives the finished file its name; where it is."""
        path = path_of(data_dir, kind, workspace_id, file_id)
        os.replace(self._path, path)
        _sync_folder(path.parent)
        return path

    def discard(self) -> None:
        """Forgets a file that was not kept."""
        self.file.close()
        self._path.unlink(missing_ok=True)


def remove(data_dir: Path, kind: FileKind, workspace_id: str, file_id: str) -> None:
    """Deletes a file, if it is there."""
    path_of(data_dir, kind, workspace_id, file_id).unlink(missing_ok=True)


def _folder(data_dir: Path, kind: FileKind, workspace_id: str) -> Path:
    return data_dir / FOLDER / kind / check_id(workspace_id, "ws", "workspace")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
