"""The statements on accounts, their names and their SSH keys."""

from __future__ import annotations

_ACCOUNT = """
    account.id, nickname, user_flags, password_hash, password_name, created_at, last_seen, encryption_public_key,
    allow_unencrypted
"""
_SSH_KEY = "id, account_id, fingerprint, public_key, key_type, label, added_at, last_used_at"

# Accounts

ACCOUNT = f"SELECT {_ACCOUNT} FROM account WHERE id = ? AND deleted_at IS NULL"

ACCOUNT_NAMED = f"SELECT {_ACCOUNT} FROM account_name JOIN account ON account.id = account_id WHERE name_key = ?"

# (name key, limit). In the order of the names' own key, so that nothing is sorted.
ACCOUNTS = f"""
SELECT {_ACCOUNT} FROM account_name JOIN account ON account.id = account_id
WHERE name_key > ? AND is_nickname = 1 ORDER BY name_key LIMIT ?
"""

INSERT_ACCOUNT = """
INSERT INTO account (nickname, user_flags, password_hash, password_name, created_at, last_seen)
VALUES (?, ?, ?, ?, ?, ?)
"""

RENAME = "UPDATE account SET nickname = ? WHERE id = ?"

SET_PASSWORD = "UPDATE account SET password_hash = ?, password_name = ? WHERE id = ?"

SET_FLAGS = "UPDATE account SET user_flags = ? WHERE id = ?"

SET_ENCRYPTION_KEY = "UPDATE account SET encryption_public_key = ? WHERE id = ?"

ALLOW_UNENCRYPTED = "UPDATE account SET allow_unencrypted = ? WHERE id = ?"

SEEN = "UPDATE account SET last_seen = ? WHERE id = ?"

# Names

OWNER_OF_NAME = "SELECT account_id FROM account_name WHERE name_key = ?"

INSERT_NAME = "INSERT INTO account_name (name_key, account_id, is_nickname) VALUES (?, ?, ?)"

REMOVE_NAMES = "DELETE FROM account_name WHERE account_id = ?"

# What is left of an account: a row that its messages, bans and channels point to.

CLEAR_ACCOUNT = """
UPDATE account SET
    user_flags = 0, password_hash = '', password_name = NULL, encryption_public_key = NULL, allow_unencrypted = 0,
    deleted_at = ?
WHERE id = ?
"""

REMOVE_KEYS = "DELETE FROM ssh_key WHERE account_id = ?"

REMOVE_READ_STATE = "DELETE FROM read_state WHERE account_id = ?"

# SSH keys

SSH_KEYS = f"SELECT {_SSH_KEY} FROM ssh_key WHERE account_id = ? ORDER BY added_at DESC, id DESC"

SSH_KEY = f"SELECT {_SSH_KEY} FROM ssh_key WHERE fingerprint = ?"

SSH_KEY_OF = "SELECT 1 FROM ssh_key WHERE id = ? AND account_id = ?"

ANOTHER_SSH_KEY = "SELECT 1 FROM ssh_key WHERE account_id = ? AND id <> ?"

INSERT_SSH_KEY = """
INSERT INTO ssh_key (account_id, fingerprint, public_key, key_type, label, added_at) VALUES (?, ?, ?, ?, ?, ?)
"""

USE_SSH_KEY = "UPDATE ssh_key SET last_used_at = ? WHERE id = ?"

RENAME_SSH_KEY = "UPDATE ssh_key SET label = ? WHERE id = ?"

REMOVE_SSH_KEY = "DELETE FROM ssh_key WHERE id = ?"
