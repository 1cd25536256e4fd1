"""Every statement on channels and messages, in one place so that the tests can ask for the plan of each.

Page queries name the partial indexes' conditions word for word: SQLite uses such an index only then.
"""

from __future__ import annotations

import attrs

from superchat.model import Channel, Message


def _columns(model: type[attrs.AttrsInstance]) -> str:
    return ", ".join(field.name for field in attrs.fields(model))


_CHANNEL = _columns(Channel)
_MESSAGE = _columns(Message)
_VISIBLE = "(deleted_at IS NULL OR reply_count > 0)"

ALL_CHANNELS = f"SELECT {_CHANNEL} FROM channel ORDER BY id"

INSERT_CHANNEL = """
INSERT INTO channel
    (name, name_key, display_name, description, channel_type, retention_hours, parent_id, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

EVER_A_CHANNEL = "SELECT 1 FROM sqlite_sequence WHERE name = 'channel' AND seq > 0"

LAST_MESSAGE_ID = "SELECT ifnull(max(id), 0) FROM message"

MESSAGE = f"SELECT {_MESSAGE} FROM message WHERE id = ?"

ROOT_OF = "SELECT root_id FROM message WHERE id = ?"

# (JSON array of message ids, JSON array of channel ids): one row with what exists of them, as JSON.
PLACES = """
SELECT
    (
        SELECT json_group_array(json_array(id, root_id, channel_id)) FROM message
        WHERE id IN (SELECT value FROM json_each(?))
    ),
    (SELECT json_group_array(id) FROM channel WHERE id IN (SELECT value FROM json_each(?)))
"""

_INSERT_MESSAGE = """
INSERT INTO message (id, channel_id, parent_id, root_id, author_nickname, author_session, content, created_at)
VALUES """

# Statements by how many messages they insert, greatest first. Few, so that all stay prepared; SQLite allows
# 32,766 parameters in one.
INSERT_MESSAGES = {count: _INSERT_MESSAGE + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * count) for count in (128, 16, 1)}

# (JSON array of [message id, change]): those messages and all above them.
COUNT_FOR_ANCESTORS = """
WITH RECURSIVE ancestor (id, change) AS (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
    UNION ALL
    SELECT parent_id, change FROM ancestor JOIN message USING (id) WHERE parent_id IS NOT NULL
)
UPDATE message SET reply_count = reply_count + total.change
FROM (SELECT id, sum(change) AS change FROM ancestor GROUP BY id) AS total
WHERE message.id = total.id
"""

REMOVE_MESSAGE = "DELETE FROM message WHERE id = ?"

# (channel id): a channel that is there for the length of a transaction.
INSERT_REHEARSAL_CHANNEL = """
INSERT INTO channel (id, name, name_key, display_name, description, channel_type, retention_hours, created_at)
VALUES (?, '', '', '', '', 0, 0, 0)
"""

REMOVE_CHANNEL = "DELETE FROM channel WHERE id = ?"

# (time)
PROBE = """
INSERT INTO probe (id, probed_at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at
"""

INSERT_VERSION = """
INSERT INTO message_version (message_id, version_type, content, author_nickname, created_at, changed_by)
VALUES (?, ?, ?, ?, ?, ?)
"""

DELETE_CONTENT = "UPDATE message SET content = ?, deleted_at = ? WHERE id = ?"

# (channel id, cursor, limit)
_ROOTS = f"SELECT {_MESSAGE} FROM message WHERE channel_id = ? AND parent_id IS NULL AND {_VISIBLE}"
ROOTS_BEFORE = f"{_ROOTS} AND id < ? ORDER BY id DESC LIMIT ?"
ROOTS_AFTER = f"{_ROOTS} AND id > ? ORDER BY id LIMIT ?"

# (root id, cursor, limit)
_REPLIES = f"SELECT {_MESSAGE} FROM message WHERE root_id = ? AND parent_id IS NOT NULL AND {_VISIBLE}"
REPLIES_BEFORE = f"{_REPLIES} AND id < ? ORDER BY id DESC LIMIT ?"
REPLIES_AFTER = f"{_REPLIES} AND id > ? ORDER BY id LIMIT ?"

# (reply id, cursor, limit). The walk stays in an index; only ids, never texts, are sorted.
_SUBTREE = f"""
WITH RECURSIVE below (id) AS (
    SELECT id FROM message WHERE parent_id = ?
    UNION ALL
    SELECT reply.id FROM below JOIN message AS reply ON reply.parent_id = below.id
)
SELECT {_MESSAGE} FROM message
WHERE id IN (
    SELECT id FROM below JOIN message USING (id) WHERE {_VISIBLE} AND id %s LIMIT ?
)
"""
SUBTREE_BEFORE = _SUBTREE % "< ? ORDER BY id DESC"
SUBTREE_AFTER = _SUBTREE % "> ? ORDER BY id"

# (JSON array of ids, top id): those messages and their ancestors below the top, each once.
PARENTS_UP_TO = """
WITH RECURSIVE ancestor (id) AS (
    SELECT value FROM json_each(?)
    UNION
    SELECT parent_id FROM ancestor JOIN message USING (id) WHERE parent_id <> ?
)
SELECT id, parent_id FROM ancestor JOIN message USING (id)
"""

# (channel id, time)
COUNT_IN_CHANNEL = """
SELECT count(*) FROM message WHERE channel_id = ? AND deleted_at IS NULL AND created_at > ?
"""

# (root id, channel id, time)
COUNT_IN_THREAD = """
SELECT count(*) FROM message WHERE root_id = ? AND channel_id = ? AND deleted_at IS NULL AND created_at > ?
"""
