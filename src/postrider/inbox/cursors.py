"""What of a folder is left to read, and the cursor behind each part of it (pure)."""

from dataclasses import dataclass

from postrider.inbox.ports import FolderCursor, FolderRole


@dataclass(frozen=True, slots=True)
class Remainder:
    """The mail of a folder above UID ``after``.

    ``dated_to``: up to this UID only mail since a day counts, because what was read before cannot be told by UIDs:
    a first look or a rescan. None: all of it is new.
    """

    uid_validity: int
    after: int
    dated_to: int | None

    @property
    def rescan(self) -> bool:
        """Whether some of the mail may have been seen before."""
        return self.dated_to is not None

    @property
    def new_from(self) -> int:
        """The first UID from which on everything counts, whatever its date."""
        return max(self.after, self.dated_to or 0) + 1

    def cursor_behind(self, folder: str, role: FolderRole, uid: int) -> FolderCursor:
        """The cursor to keep once everything up to ``uid`` has been read."""
        dated_to = self.dated_to if self.dated_to is not None and uid < self.dated_to else None
        return FolderCursor(folder, role, self.uid_validity, uid, dated_to)


def remainder_of(cursor: FolderCursor | None, uid_validity: int, uid_next: int) -> Remainder:
    """What is left to read of a folder that now has this validity and next UID.

    A folder that counts differently than the cursor is read again by date. So is one that was restored from a backup
    and counts from a lower number again, though it may have kept its validity.
    """
    if cursor is None or cursor.uid_validity != uid_validity or cursor.last_uid >= uid_next:
        return Remainder(uid_validity, 0, uid_next - 1)
    return Remainder(uid_validity, cursor.last_uid, cursor.rescan_to)
