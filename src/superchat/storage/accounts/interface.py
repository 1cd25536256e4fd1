"""What the services may ask of a storage engine about accounts."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from superchat.model import Account, NewAccount, NewAct, NewSSHKey, SSHKey


class IAccounts(Interface):
    """Accounts, their names, passwords and keys. Times are Unix milliseconds.

    A name belongs to at most one account, ignoring case; an account has its nickname and, after a rename, the one
    that its password is salted with (decisions 2.3, 2.5). What changes an account returns it as it is then, and
    fails with ``UnknownAccount`` without one; an account that was deleted does not exist any more. An ``act`` is
    recorded in the same transaction (decisions 7.3).
    """

    def create_account(new: NewAccount, key: NewSSHKey | None = None, act: NewAct | None = None) -> Deferred[Account]:
        """Make an account, with its first SSH key if there is one. A ban of its nickname becomes a ban of it.

        An ``act`` is recorded with the account's id as its ``target_id``. Fails with ``NameTaken`` or ``KeyTaken``.
        """

    def account(account_id: int) -> Deferred[Account | None]:
        """One account."""

    def account_named(name: str) -> Deferred[Account | None]:
        """The account to which a name belongs, ignoring case."""

    def accounts(limit: int, after: str = "") -> Deferred[list[Account]]:
        """At most ``limit`` accounts by nickname, ignoring case, from the one that follows the name ``after``."""

    def rename_account(account_id: int, nickname: str) -> Deferred[Account]:
        """Give an account another nickname. Of its names that and the one its password is salted with remain.

        A ban of the new nickname becomes a ban of the account. Fails with ``NameTaken``.
        """

    def set_password(
        account_id: int, password_hash: str, act: NewAct | None = None, *, named: str | None = None
    ) -> Deferred[Account]:
        """Set the password, salted with the nickname of today, or remove it with an empty hash; older names are
        free again (decisions 2.5).

        Fails with ``Renamed`` when the nickname is not ``named``, and with ``LastKey`` when it would leave the account
        nothing to log in with.
        """

    def set_flags(account_id: int, user_flags: int, act: NewAct | None = None) -> Deferred[Account]:
        """Set the rights, ``UserFlags``."""

    def set_encryption_key(account_id: int, key: bytes | None) -> Deferred[Account]:
        """Set or forget the X25519 key that direct messages to the account are encrypted with."""

    def allow_unencrypted(account_id: int, allowed: bool) -> Deferred[Account]:
        """Whether direct messages without encryption are fine for good (decisions 6.2)."""

    def seen(account_id: int, now_ms: int) -> Deferred[Account]:
        """Somebody logged in."""

    def delete_account(account_id: int, deleted_at: int, act: NewAct | None = None) -> Deferred[Account]:
        """Delete an account: its names, password, flags, keys, read state, invites and participations are gone,
        its bans and messages stay, the messages as those of an anonymous user with its last nickname.

        Returns the account as it was.
        """

    def add_ssh_key(account_id: int, new: NewSSHKey, added_at: int) -> Deferred[SSHKey]:
        """Let a key log in. Fails with ``KeyTaken`` when it is anybody's already, or ``UnknownAccount``."""

    def ssh_keys(account_id: int) -> Deferred[list[SSHKey]]:
        """The keys of an account, newest first."""

    def ssh_key(fingerprint: str) -> Deferred[SSHKey | None]:
        """The key with this fingerprint, whosever it is."""

    def use_ssh_key(key_id: int, now_ms: int) -> Deferred[None]:
        """Somebody logged in with this key."""

    def rename_ssh_key(account_id: int, key_id: int, label: str) -> Deferred[None]:
        """Label a key of this account. Fails with ``UnknownKey``."""

    def delete_ssh_key(account_id: int, key_id: int) -> Deferred[None]:
        """Forget a key of this account. Fails with ``UnknownKey``, or ``LastKey`` when there is no password and no
        other key.
        """
