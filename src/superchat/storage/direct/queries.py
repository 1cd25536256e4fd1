"""The statements on direct conversations and invites.

A party is an account or a session's key; the other one of the two is NULL, which IS takes for a value.
"""

from __future__ import annotations

ACCOUNT_EXISTS = "SELECT 1 FROM account WHERE id = ? AND deleted_at IS NULL"

# (name, name, display name, description, type, retention in hours, time)
INSERT_CHANNEL = """
INSERT INTO channel
    (name, name_key, display_name, description, channel_type, retention_hours, created_at, is_direct)
VALUES (?, ?, ?, ?, ?, ?, ?, 1)
"""

# (time, channel id)
CLOSE_IF_EMPTY = """
UPDATE channel SET deleted_at = ?
WHERE id = ? AND is_direct = 1 AND deleted_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM participant WHERE channel_id = channel.id)
"""

INSERT_PARTICIPANT = """
INSERT INTO participant (channel_id, account_id, session_key, nickname, joined_at) VALUES (?, ?, ?, ?, ?)
"""

ANY_PARTICIPANT = "SELECT 1 FROM participant WHERE channel_id = ? LIMIT 1"

_PARTICIPANTS = "SELECT channel_id, account_id, session_key, participant.nickname FROM participant"
ALL_PARTICIPANTS = f"""
{_PARTICIPANTS} JOIN channel ON channel.id = channel_id WHERE deleted_at IS NULL ORDER BY channel_id, participant.rowid
"""
PARTICIPATIONS = "SELECT channel_id FROM participant WHERE account_id = ?"
SESSIONS = f"{_PARTICIPANTS} WHERE session_key IS NOT NULL"

# (channel id, party)
REMOVE_PARTICIPANT = "DELETE FROM participant WHERE channel_id = ? AND account_id IS ? AND session_key IS ?"
REMOVE_PARTICIPATIONS = "DELETE FROM participant WHERE account_id = ?"
REMOVE_SESSIONS = "DELETE FROM participant WHERE session_key IS NOT NULL"

INSERT_INVITE = """
INSERT INTO invite
    (initiator_id, initiator_session, initiator_nickname, target_id, target_session, target_nickname, encrypted,
    created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_INVITE = """
    id, initiator_id, initiator_session, initiator_nickname, target_id, target_session, target_nickname, encrypted,
    created_at
"""
_INVITES = f"SELECT {_INVITE} FROM invite"
_BY_INITIATOR = "initiator_id IS ? AND initiator_session IS ?"
_BY_TARGET = "target_id IS ? AND target_session IS ?"

INVITE = f"{_INVITES} WHERE id = ?"
INVITE_BETWEEN = f"{_INVITES} WHERE {_BY_INITIATOR} AND {_BY_TARGET}"

# (party, party): a union, for each part has an index of its own.
INVITES = f"""
{_INVITES} WHERE id IN (
    SELECT id FROM invite WHERE {_BY_INITIATOR} UNION SELECT id FROM invite WHERE {_BY_TARGET}
)
ORDER BY id
"""

COUNT_BY_INITIATOR = f"SELECT count(*) FROM invite WHERE {_BY_INITIATOR}"
COUNT_BY_TARGET = f"SELECT count(*) FROM invite WHERE {_BY_TARGET}"

OLD_INVITES = f"{_INVITES} WHERE created_at < ? ORDER BY created_at, id"

SET_ENCRYPTED = "UPDATE invite SET encrypted = ? WHERE id = ?"

REMOVE_INVITE = "DELETE FROM invite WHERE id = ?"
REMOVE_OLD_INVITES = "DELETE FROM invite WHERE created_at < ?"
REMOVE_INVITES_BETWEEN = f"DELETE FROM invite WHERE {_BY_INITIATOR} AND {_BY_TARGET}"
REMOVE_INVITES_BY_SESSIONS = "DELETE FROM invite WHERE initiator_session IS NOT NULL"
REMOVE_INVITES_TO_SESSIONS = "DELETE FROM invite WHERE target_session IS NOT NULL"
