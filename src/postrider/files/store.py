"""Files on disk: one folder for each kind and workspace, each file under its id, readable by this user alone.

An upload is kept under its id and the claim of whoever sent it: two senders never write to one name, and its row says
whose file counts.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Literal

from postrider.kernel.ids import check_id, random_text
from postrider.storage.leases import wall_ms_now

FileKind = Literal["upload", "export"]

FOLDER: Final = "files"
UNFINISHED: Final = "*/*/*.part"
"""Below the folder: what is still being received."""
_KEPT: Final = "*/*/file_*"
_STALE_MS: Final = 86_400_000


def path_of(data_dir: Path, kind: FileKind, workspace_id: str, file_id: str, claim: str | None = None) -> Path:
    """Where a file is kept. Only ids of ours become part of a path. Raises: InvalidInput."""
    name = check_id(file_id, "file", "uploadId")
    return _folder(data_dir, kind, workspace_id) / (name if claim is None else f"{name}.{claim}")


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

    def keep(self, data_dir: Path, kind: FileKind, workspace_id: str, file_id: str, claim: str | None = None) -> Path:
        """Gives the finished file its name; where it is."""
        path = path_of(data_dir, kind, workspace_id, file_id, claim)
        os.replace(self._path, path)
        _sync_folder(path.parent)
        return path

    def discard(self) -> None:
        """Forgets a file that was not kept."""
        self.file.close()
        self._path.unlink(missing_ok=True)


def remove(data_dir: Path, kind: FileKind, workspace_id: str, file_id: str) -> None:
    """Deletes a file, if it is there, whoever sent it."""
    path = path_of(data_dir, kind, workspace_id, file_id)
    for each in (path, *path.parent.glob(f"{path.name}.*")):
        each.unlink(missing_ok=True)


def old_files(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """Files of a day ago or longer, each with its id."""
    # Wall time, as the file system has it: the clock of the installation may be a virtual one.
    before_ms = wall_ms_now() - _STALE_MS
    for path in (data_dir / FOLDER).glob(_KEPT):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime_ns // 1_000_000 < before_ms:
                yield path, path.name.partition(".")[0]


def _folder(data_dir: Path, kind: FileKind, workspace_id: str) -> Path:
    return data_dir / FOLDER / kind / check_id(workspace_id, "ws", "workspace")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
