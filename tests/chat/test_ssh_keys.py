"""Tests for `superchat.chat.ssh_keys`: the public keys that people log in with."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from superchat.model import NewSSHKey
from superchat.wire.errors import ErrorCode, Malformed
from superchat.wire.messages import (
    AddSSHKey,
    DeleteSSHKey,
    ListSSHKeys,
    Logout,
    SSHKeyAdded,
    SSHKeyDeleted,
    SSHKeyEntry,
    SSHKeyLabelUpdated,
    SSHKeyList,
    UpdateSSHKeyLabel,
)
from superchat.wire.records import Message
from tests.chat.registered import RegisteredTestCase, session_of
from tests.chat.talk import Client

NOT_YOURS = "SSH key not found or does not belong to you"


def public_key(key: Ed25519PrivateKey | None = None) -> str:
    """A line of a .pub file."""
    key = key or Ed25519PrivateKey.generate()
    return f"{key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()} anna@home"


def add(public: str | None = None, label: str = "laptop") -> AddSSHKey:
    """Add a key, by default one that is nobody's."""
    return AddSSHKey(public_key=public_key() if public is None else public, label=label)


class SSHKeyTestCase(RegisteredTestCase):
    """Anna is logged in."""

    def setUp(self) -> None:
        super().setUp()
        self.account("anna")
        self.anna = self.log_in("anna")

    def added(self, client: Client, request: AddSSHKey) -> SSHKeyAdded:
        """The key, which was added."""
        answer = client.one(SSHKeyAdded, request)
        self.assertTrue(answer.success, answer.error_message)
        return answer

    def refused(self, request: AddSSHKey) -> str:
        """Why Anna's key was not added."""
        answer = self.anna.one(SSHKeyAdded, request)
        self.assertEqual((answer.success, answer.key_id, answer.fingerprint), (False, 0, ""))
        return answer.error_message

    def keys(self, client: Client) -> list[SSHKeyEntry]:
        """The keys of an account, as its owner sees them."""
        return [*client.one(SSHKeyList, ListSSHKeys()).keys]


class AddTests(SSHKeyTestCase):
    """ADD_SSH_KEY and LIST_SSH_KEYS."""

    def test_added(self) -> None:
        """A key is listed with what is known of it (reference 2.1)."""
        self.assertEqual(self.keys(self.anna), [])
        added = self.added(self.anna, add())
        self.assertRegex(added.fingerprint, "^SHA256:[A-Za-z0-9+/]{43}$")
        self.assertEqual(added.error_message, "")
        (entry,) = self.keys(self.anna)
        expected = SSHKeyEntry(
            key_id=added.key_id,
            fingerprint=added.fingerprint,
            key_type="ssh-ed25519",
            label="laptop",
            added_at=self.now_ms(),
            last_used_at=0,
        )
        self.assertEqual(entry, expected)

    def test_newest_first(self) -> None:
        """The newest key is listed first, with when it was used last."""
        added = []
        for label in ("old", "new"):
            added.append(self.added(self.anna, add(label=label)).key_id)
            self.clock.advance(1)
        self.now(self.storage.use_ssh_key(added[0], self.now_ms()))
        listed = [(entry.label, entry.last_used_at) for entry in self.keys(self.anna)]
        self.assertEqual(listed, [("new", 0), ("old", self.now_ms())])

    def test_as_sent(self) -> None:
        """The line is stored as it was sent (reference 2.1)."""
        line = public_key()
        added = self.added(self.anna, add(line))
        stored = self.now(self.storage.ssh_key(added.fingerprint))
        assert stored is not None
        self.assertEqual((stored.public_key, stored.account_id), (line, session_of(self.anna).account_id))

    def test_refusals(self) -> None:
        """What is no key, or somebody's, is refused with the reference's texts (reference 2.1)."""
        line = public_key()
        self.account("bob")
        self.added(self.log_in("bob"), add(line))
        self.assertEqual(self.refused(add("")), "Public key cannot be empty")
        self.assertEqual(self.refused(add(" \n")), "Public key cannot be empty")
        self.assertRegex(self.refused(add("what?")), "^Invalid SSH public key: ")
        self.assertEqual(self.refused(add(line)), "SSH key already exists")
        self.assertEqual(self.keys(self.anna), [])

    def test_private_key(self) -> None:
        """A private key pasted by mistake is refused, and neither stored, logged nor repeated."""
        secret = Ed25519PrivateKey.generate()
        pasted = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        self.assertIn("private key", self.refused(add(pasted)))
        line = pasted.split("\n")[1]
        self.assertNotIn(line, repr(self.log))
        self.assertNotIn(line, repr(add(pasted)))
        self.assertEqual(self.keys(self.anna), [])

    def test_most(self) -> None:
        """An account has no more than 100 keys."""
        account_id = session_of(self.anna).account_id or 0
        for number in range(99):
            key = NewSSHKey(f"SHA256:{number}", "ssh-ed25519 AAAA", "ssh-ed25519", "")
            self.now(self.storage.add_ssh_key(account_id, key, self.now_ms()))
        self.added(self.anna, add())
        self.assertEqual(self.refused(add()), "Too many SSH keys (max 100 per account)")
        self.assertEqual(len(self.keys(self.anna)), 100)

    def test_labels(self) -> None:
        """A label is one line of at most 255 bytes, or nothing."""
        for label in ("", "x" * 255, "\u00e4" * 127):
            self.added(self.anna, add(label=label))
        for label in ("x" * 256, "\u00e4" * 128):
            self.assertEqual(self.refused(add(label=label)), "Label too long (max 255 bytes)")
        for label in ("two\nlines", "\x1b[31mred", "\udcff", "\u2028"):
            self.assertEqual(self.refused(add(label=label)), "A label is one line of UTF-8")
        self.assertEqual(len(self.keys(self.anna)), 3)

    def test_deleted_meanwhile(self) -> None:
        """An account that is gone gets no keys."""
        self.now(self.storage.delete_account(session_of(self.anna).account_id or 0, self.now_ms()))
        self.assertEqual(self.refused(add()), "User not found")


class ChangeTests(SSHKeyTestCase):
    """UPDATE_SSH_KEY_LABEL and DELETE_SSH_KEY."""

    def labelled(self, client: Client, key_id: int, label: str) -> str:
        """What comes of another label: nothing to say on success."""
        answer = client.one(SSHKeyLabelUpdated, UpdateSSHKeyLabel(key_id=key_id, new_label=label))
        self.assertEqual(answer.success, not answer.error_message)
        return answer.error_message

    def deleted(self, client: Client, key_id: int) -> str:
        """What comes of deleting: nothing to say on success."""
        answer = client.one(SSHKeyDeleted, DeleteSSHKey(key_id=key_id))
        self.assertEqual(answer.success, not answer.error_message)
        return answer.error_message

    def test_label(self) -> None:
        """A key gets another label."""
        key_id = self.added(self.anna, add()).key_id
        self.assertEqual(self.labelled(self.anna, key_id, "desktop"), "")
        self.assertEqual([entry.label for entry in self.keys(self.anna)], ["desktop"])
        self.assertEqual(self.labelled(self.anna, key_id, "x" * 256), "Label too long (max 255 bytes)")
        self.assertEqual(self.labelled(self.anna, key_id, "\udcff"), "A label is one line of UTF-8")
        self.assertEqual([entry.label for entry in self.keys(self.anna)], ["desktop"])

    def test_not_yours(self) -> None:
        """Keys of others, and keys that do not exist, are the same to everybody (reference 2.1)."""
        key_id = self.added(self.anna, add()).key_id
        self.account("bob")
        bob = self.log_in("bob")
        for number in (key_id, 99, 0, -1, 2**63 - 1, -(2**63)):
            self.assertEqual(self.labelled(bob, number, "mine"), NOT_YOURS)
            self.assertEqual(self.deleted(bob, number), NOT_YOURS)
        self.assertEqual([entry.label for entry in self.keys(self.anna)], ["laptop"])

    def test_delete(self) -> None:
        """A key is gone, and may be added by anybody again."""
        line = public_key()
        key_id = self.added(self.anna, add(line)).key_id
        self.assertEqual(self.deleted(self.anna, key_id), "")
        self.assertEqual(self.keys(self.anna), [])
        self.account("bob")
        self.added(self.log_in("bob"), add(line))

    def test_last_one(self) -> None:
        """The last key of an account without a password stays (reference 2.1)."""
        key_id = self.added(self.anna, add()).key_id
        account = self.now(self.storage.set_password(session_of(self.anna).account_id or 0, ""))
        self.chat.sessions.refresh(account)
        self.assertEqual(self.deleted(self.anna, key_id), "Cannot delete last SSH key when no password is set")
        self.assertEqual(len(self.keys(self.anna)), 1)

    def test_log_lines(self) -> None:
        """What gives or takes a way to log in is in the log."""
        added = self.added(self.anna, add())
        self.deleted(self.anna, added.key_id)
        lines = self.log_lines()
        self.assertIn(f"Session 1 added SSH key {added.fingerprint} of anna", lines)
        self.assertIn(f"Session 1 deleted SSH key {added.key_id} of anna", lines)


class RightsTests(SSHKeyTestCase):
    """Who has no account has no keys."""

    REQUESTS: tuple[tuple[Message, str], ...] = (
        (add(), "add SSH key"),
        (ListSSHKeys(), "list SSH keys"),
        (UpdateSSHKeyLabel(key_id=1, new_label=""), "update SSH key"),
        (DeleteSSHKey(key_id=1), "delete SSH key"),
    )

    def test_anonymous(self) -> None:
        """Without an account it is ERROR 2000, whatever the payload (reference 2.1)."""
        self.anna.send(Logout())
        for client in (self.connect(), self.connect("bob"), self.anna):
            for request, what in self.REQUESTS:
                expected = (ErrorCode.AUTH_REQUIRED, f"Must be authenticated to {what}")
                self.assertEqual(client.refusal(request), expected)
                self.assertEqual(client.refusal(Malformed(0, request.NAME, "short")), expected)

    def test_unreadable(self) -> None:
        """With one, an unreadable payload is ERROR 1000 (reference 2.1)."""
        for request, _ in self.REQUESTS:
            malformed = Malformed(0, request.NAME, "short")
            self.assertEqual(self.anna.refusal(malformed), (ErrorCode.INVALID_FORMAT, "Invalid request format"))
