"""The statements on bans and the audit log."""

from __future__ import annotations

_BAN = "ban_type, account_id, nickname, ip_cidr, reason, shadowban, banned_at, banned_until, banned_by, id"
_ACT = "actor, actor_id, address, action, target_type, target_id, target, details, performed_at, id"

ACCOUNT_EXISTS = "SELECT 1 FROM account WHERE id = ? AND deleted_at IS NULL"

ACCOUNT_OF_NAME = "SELECT account_id FROM account_name WHERE name_key = ?"

INSERT_BAN = """
INSERT INTO ban (
    ban_type, account_id, nickname, name_key, ip_cidr, reason, shadowban, banned_at, banned_until, banned_by
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# A union of equalities rather than one OR: each part has an index of its own.
USER_BANS = f"""
SELECT {_BAN} FROM ban WHERE id IN (
    SELECT id FROM ban WHERE account_id = :account_id
    UNION SELECT id FROM ban WHERE name_key = :name_key
    UNION SELECT id FROM ban WHERE account_id = (SELECT account_id FROM account_name WHERE name_key = :name_key)
)
ORDER BY id DESC
"""

IP_BANS = f"SELECT {_BAN} FROM ban WHERE ip_cidr = ? ORDER BY id DESC"

REMOVE_BAN = "DELETE FROM ban WHERE id = ?"

# A ban of a nickname that nobody had sticks to the account that takes it.
ATTACH_BANS = "UPDATE ban SET account_id = ? WHERE name_key = ? AND account_id IS NULL"

ALL_BANS = f"SELECT {_BAN} FROM ban ORDER BY id DESC LIMIT ?"

BANS_IN_FORCE = f"SELECT {_BAN} FROM ban WHERE banned_until IS NULL OR banned_until > ? ORDER BY id DESC LIMIT ?"

INSERT_ACT = """
INSERT INTO act (actor, actor_id, address, action, target_type, target_id, target, details, performed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

ACTS = f"SELECT {_ACT} FROM act WHERE id < ? ORDER BY id DESC LIMIT ?"
