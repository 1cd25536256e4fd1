"""The public keys that people log in with over SSH."""

from __future__ import annotations

import re
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.auth.keys import BadKey, parse
from superchat.chat.dispatch import Need, Refusal, Role
from superchat.chat.session import Session
from superchat.clocks import NowMs
from superchat.errors import Declined
from superchat.model import SSHKey
from superchat.storage.errors import KeyTaken, LastKey, UnknownAccount, UnknownKey
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode
from superchat.wire.messages import (
    AddSSHKey,
    DeleteSSHKey,
    ListSSHKeys,
    SSHKeyAdded,
    SSHKeyDeleted,
    SSHKeyEntry,
    SSHKeyLabelUpdated,
    SSHKeyList,
    UpdateSSHKeyLabel,
)

MOST_KEYS: Final = 100
"""Of one account."""
LONGEST_LABEL_BYTES: Final = 255

_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_YOURS: Final = "SSH key not found or does not belong to you"


def _need(to_do: str) -> Need:
    text = f"Must be authenticated to {to_do}"
    return Need(Role.REGISTERED, Refusal(ErrorCode.AUTH_REQUIRED, text))


TO_ADD: Final = _need("add SSH key")
TO_LIST: Final = _need("list SSH keys")
TO_LABEL: Final = _need("update SSH key")
TO_DELETE: Final = _need("delete SSH key")


@attrs.frozen
class SSHKeys:
    """ADD_SSH_KEY, LIST_SSH_KEYS, UPDATE_SSH_KEY_LABEL and DELETE_SSH_KEY, of one's own account."""

    storage: IStorage
    now_ms: NowMs
    activity: Logger

    async def add(self, session: Session, message: AddSSHKey) -> None:
        """wire 0x0D"""
        account_id = _account_id(session)
        label = _checked(message.label)
        if not message.public_key.strip():
            raise Declined(ErrorCode.INVALID_INPUT, "Public key cannot be empty")
        try:
            new = parse(message.public_key, label)
        except BadKey as bad:
            raise Declined(ErrorCode.INVALID_INPUT, f"Invalid SSH public key: {bad}") from None
        if len(await self.storage.ssh_keys(account_id)) >= MOST_KEYS:
            raise Declined(ErrorCode.INVALID_INPUT, f"Too many SSH keys (max {MOST_KEYS} per account)")
        try:
            key: SSHKey = await self.storage.add_ssh_key(account_id, new, self.now_ms())
        except KeyTaken:
            raise Declined(ErrorCode.INVALID_INPUT, "SSH key already exists") from None
        except UnknownAccount:
            raise Declined(ErrorCode.NOT_FOUND, "User not found") from None
        self._note(session, "added", key.fingerprint)
        session.reply(SSHKeyAdded(success=True, key_id=key.id, fingerprint=key.fingerprint, error_message=""))

    async def list(self, session: Session, message: ListSSHKeys) -> None:
        """wire 0x14: newest first."""
        keys: list[SSHKey] = await self.storage.ssh_keys(_account_id(session))
        session.reply(SSHKeyList(keys=tuple(map(_entry, keys))))

    async def update_label(self, session: Session, message: UpdateSSHKeyLabel) -> None:
        """wire 0x12"""
        label = _checked(message.new_label)
        try:
            await self.storage.rename_ssh_key(_account_id(session), message.key_id, label)
        except UnknownKey:
            raise Declined(ErrorCode.NOT_FOUND, _NOT_YOURS) from None
        session.reply(SSHKeyLabelUpdated(success=True, error_message=""))

    async def delete(self, session: Session, message: DeleteSSHKey) -> None:
        """wire 0x13"""
        try:
            await self.storage.delete_ssh_key(_account_id(session), message.key_id)
        except UnknownKey:
            raise Declined(ErrorCode.NOT_FOUND, _NOT_YOURS) from None
        except LastKey:
            text = "Cannot delete last SSH key when no password is set"
            raise Declined(ErrorCode.INVALID_INPUT, text) from None
        self._note(session, "deleted", str(message.key_id))
        session.reply(SSHKeyDeleted(success=True, error_message=""))

    def _note(self, session: Session, did: str, key: str) -> None:
        self.activity.info(
            "Session {id} {did} SSH key {key} of {nickname}", id=session.id, did=did, key=key, nickname=session.nickname
        )


def not_added(message: AddSSHKey | None, text: str) -> SSHKeyAdded:
    """How ADD_SSH_KEY is declined."""
    return SSHKeyAdded(success=False, key_id=0, fingerprint="", error_message=text)


def not_labelled(message: UpdateSSHKeyLabel | None, text: str) -> SSHKeyLabelUpdated:
    """How UPDATE_SSH_KEY_LABEL is declined."""
    return SSHKeyLabelUpdated(success=False, error_message=text)


def not_deleted(message: DeleteSSHKey | None, text: str) -> SSHKeyDeleted:
    """How DELETE_SSH_KEY is declined."""
    return SSHKeyDeleted(success=False, error_message=text)


def _account_id(session: Session) -> int:
    """The account of a session that has one: the table of commands sees to that."""
    assert session.account is not None
    return session.account.id


def _checked(label: str) -> str:
    if _UNPRINTABLE.search(label):
        raise Declined(ErrorCode.INVALID_INPUT, "A label is one line of UTF-8")
    if len(label.encode()) > LONGEST_LABEL_BYTES:
        raise Declined(ErrorCode.INVALID_INPUT, f"Label too long (max {LONGEST_LABEL_BYTES} bytes)")
    return label


def _entry(key: SSHKey) -> SSHKeyEntry:
    return SSHKeyEntry(
        key_id=key.id,
        fingerprint=key.fingerprint,
        key_type=key.key_type,
        label=key.label,
        added_at=key.added_at,
        last_used_at=key.last_used_at or 0,
    )
