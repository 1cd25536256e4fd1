"""How a storage engine says no: these, as failures of the Deferreds it returned."""

from __future__ import annotations


class StorageError(Exception):
    """The storage could not do what it was asked for; the text says why."""


class Unavailable(StorageError):
    """The database cannot take writes now: disk full, I/O error, locked, too many waiting, closed."""


class SchemaTooNew(StorageError):
    """A later version of the server has already migrated this database."""


class DuplicateName(StorageError):
    """Another channel has the name already, ignoring case (decisions 4.1)."""


class UnknownChannel(StorageError):
    """No channel has this id."""


class UnknownParent(StorageError):
    """No message has the id that a reply names as its parent (decisions 4.5)."""


class ForeignParent(StorageError):
    """The message that a reply names as its parent is in another channel, *channel_id* (decisions 4.5)."""

    def __init__(self, text: str, channel_id: int) -> None:
        super().__init__(text)
        self.channel_id = channel_id


class UnknownMessage(StorageError):
    """No message has this id."""


class AlreadyDeleted(StorageError):
    """The message was deleted before."""


class NameTaken(StorageError):
    """An account has that name already, ignoring case, or had it when its password was set (decisions 2.3, 2.5)."""


class UnknownAccount(StorageError):
    """No account has this id."""


class Renamed(StorageError):
    """The account goes by another nickname by now, and what was asked for goes with the one before."""


class KeyTaken(StorageError):
    """The SSH key is somebody's already."""


class UnknownKey(StorageError):
    """The account has no SSH key with this id."""


class LastKey(StorageError):
    """The account would have neither a password nor an SSH key left to log in with."""


class UnknownInvite(StorageError):
    """No direct conversation with this id waits for consent."""


class InvitePending(StorageError):
    """The same direct conversation waits for the same target's consent already (decisions 6.1)."""


class TooManyInvites(StorageError):
    """The initiator, or the target, has as many pending invites as anybody may have."""
