"""People who have accounts with passwords, and log in as clients do."""

from __future__ import annotations

from superchat.chat.session import Session
from superchat.config import Limits
from superchat.model import Account, NewAccount, NewSSHKey
from superchat.wire.messages import AuthRequest, AuthResponse, ChangePassword, PasswordChanged
from tests.auth.quick import quick_passwords, secret_of
from tests.chat.talk import Client, TalkTestCase

KEY = NewSSHKey("SHA256:of-nobody", "ssh-ed25519 AAAA", "ssh-ed25519", "")


def auth(nickname: str, password: str = "secret", *, salt: str | None = None) -> AuthRequest:
    """Log in; *salt* is the name that the client derives the secret with."""
    return AuthRequest(nickname=nickname, password_hash=secret_of(salt or nickname, password))


def change(nickname: str, old: str | None, new: str | None) -> ChangePassword:
    """Change a password, as somebody does who goes by this nickname; None is no password."""
    return ChangePassword(
        old_password_hash="" if old is None else secret_of(nickname, old),
        new_password_hash="" if new is None else secret_of(nickname, new),
    )


def session_of(client: Client) -> Session:
    """The session, which is there."""
    assert client.session is not None
    return client.session


class RegisteredTestCase(TalkTestCase):
    """Nobody's attempts are limited unless a test says so."""

    limits = Limits(max_connections_per_ip=0, message_rate_limit=0, max_auth_attempts_per_minute=0)

    def account(self, nickname: str = "anna", password: str = "secret", flags: int = 0, *, keys: int = 0) -> Account:
        """An account as it is stored; an empty password is none."""
        hashed = self.now(quick_passwords().hash(secret_of(nickname, password))) if password else ""
        account = self.now(self.storage.create_account(NewAccount(nickname, hashed, flags, self.now_ms())))
        for number in range(keys):
            key = NewSSHKey(f"SHA256:{nickname}-{number}", "ssh-ed25519 AAAA", "ssh-ed25519", "")
            self.now(self.storage.add_ssh_key(account.id, key, self.now_ms() + number))
        return account

    def stored(self, nickname: str) -> Account:
        """The account of that name as it is stored now."""
        account = self.now(self.storage.account_named(nickname))
        assert account is not None
        return account

    def log_in(self, nickname: str = "anna", password: str = "secret", **more: str) -> Client:
        """A client that has logged in to an account that is there, and has seen everything so far."""
        client = self.connect(**more)
        answer = client.one(AuthResponse, auth(nickname, password))
        self.assertTrue(answer.success, answer.message)
        self.settle()
        client.received()
        return client

    def can_log_in(self, nickname: str, password: str = "secret", *, salt: str | None = None) -> bool:
        """Whether a client can that derives its secret with its nickname, or with *salt*."""
        return self.connect().one(AuthResponse, auth(nickname, password, salt=salt)).success

    def changed(self, client: Client, request: ChangePassword) -> str:
        """What comes of CHANGE_PASSWORD: nothing to say on success."""
        answer = client.one(PasswordChanged, request)
        self.assertEqual(answer.success, not answer.error_message)
        return answer.error_message
