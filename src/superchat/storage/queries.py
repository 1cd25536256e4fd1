"""Every statement on channels and messages, in one place so that the tests can ask for the plan of each.

Page queries name the partial indexes' conditions word for word: SQLite uses such an index only then. Those that a
`View` applies to take its parts by name, see ``reads.view_parameters``.
"""

from __future__ import annotations

import attrs

from superchat.model import Channel


def _columns(model: type[attrs.AttrsInstance]) -> str:
    return ", ".join(field.name for field in attrs.fields(model))


_CHANNEL = _columns(Channel)
_VISIBLE = "(message.deleted_at IS NULL OR reply_count > 0)"

# What others wrote, and what is withheld from the reader (decisions 7.2). The columns of an account's messages are in
# the indexes by age, and the conditions are in this order, since only for an anonymous author must a message itself be
# looked at, and only when names are withheld.
_OTHERS = "message.author_session <> :session AND message.author_id IS NOT :account"
_OPEN = """(message.author_id IS NULL OR message.author_id NOT IN (SELECT value FROM json_each(:accounts)))
    AND (
        :names = '[]' OR message.author_id IS NOT NULL
        OR lower(message.author_nickname) NOT IN (SELECT value FROM json_each(:names))
    )"""
_SEEN = f"({_OPEN} OR message.author_session = :session OR message.author_id IS :account)"
_WITHHELD = f"({_OTHERS} AND NOT ({_OPEN}))"

# What waits to be removed for good is gone for everybody already (decisions 4.11, 4.13).
_THERE = """(
    EXISTS (SELECT 1 FROM channel WHERE channel.id = message.channel_id AND channel.deleted_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM expired_thread WHERE expired_thread.root_id = message.root_id)
)"""

# The columns of a Message; nickname and flags are the account's of today, and a deleted account is none.
_MESSAGE = """
    message.id, channel_id, parent_id, root_id, iif(account.deleted_at IS NULL, author_id, NULL),
    ifnull(account.nickname, author_nickname), ifnull(account.user_flags, 0), author_session, content,
    message.created_at, edited_at, message.deleted_at, reply_count
"""
_MESSAGES = f"SELECT {_MESSAGE} FROM message LEFT JOIN account ON account.id = author_id"

ALL_CHANNELS = f"SELECT {_CHANNEL} FROM channel WHERE deleted_at IS NULL ORDER BY id"

INSERT_CHANNEL = """
INSERT INTO channel
    (name, name_key, display_name, description, channel_type, retention_hours, parent_id, created_by, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# (channel id): whether it may have subchannels.
IS_CHANNEL = "SELECT 1 FROM channel WHERE id = ? AND deleted_at IS NULL"

EVER_A_CHANNEL = "SELECT 1 FROM sqlite_sequence WHERE name = 'channel' AND seq > 0"

LAST_MESSAGE_ID = """
SELECT max(ifnull((SELECT max(id) FROM message), 0), ifnull((SELECT message_id FROM high_water), 0))
"""

MESSAGE = f"{_MESSAGES} WHERE message.id = :message AND {_THERE}"
MESSAGE_SEEN = f"{MESSAGE} AND {_SEEN}"

# (message id): its thread and place.
THREAD_OF = f"SELECT root_id, channel_id FROM message WHERE id = :message AND {_THERE}"

# (JSON array of message ids): where those that there are have been posted.
CHANNELS_OF = f"SELECT id, channel_id FROM message WHERE id IN (SELECT value FROM json_each(?)) AND {_THERE}"

# The nearest at or above a message that is not withheld, else the root.
SEEN_ANCESTOR = f"""
WITH RECURSIVE above (id, parent_id, withheld) AS (
    SELECT id, parent_id, {_WITHHELD} FROM message WHERE id = :message AND {_THERE}
    UNION ALL
    SELECT message.id, message.parent_id, {_WITHHELD} FROM above JOIN message ON message.id = above.parent_id
    WHERE above.withheld
)
SELECT min(id) FROM above
"""

# (JSON array of message ids, JSON array of channel ids): one row with what exists of them, as JSON.
PLACES = f"""
SELECT
    (
        SELECT json_group_array(json_array(id, root_id, channel_id)) FROM message
        WHERE id IN (SELECT value FROM json_each(?)) AND {_THERE}
    ),
    (SELECT json_group_array(id) FROM channel WHERE id IN (SELECT value FROM json_each(?)) AND deleted_at IS NULL)
"""

_INSERT_MESSAGE = """
INSERT INTO message
    (id, channel_id, parent_id, root_id, author_id, author_nickname, author_session, content, created_at)
VALUES """

# Statements by how many messages they insert, greatest first. Powers of two, so that any number needs but a few of
# them, each of which may wait for the interpreter; SQLite allows 32,766 parameters in one.
_NEW_MESSAGE = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNTS = (256, 128, 64, 32, 16, 8, 4, 2, 1)
INSERT_MESSAGES = {count: _INSERT_MESSAGE + ", ".join([_NEW_MESSAGE] * count) for count in _COUNTS}

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
EDIT_CONTENT = "UPDATE message SET content = ?, edited_at = ? WHERE id = ?"

_BEFORE = "< :edge ORDER BY message.id DESC LIMIT :limit"
_AFTER = "> :edge ORDER BY message.id LIMIT :limit"

_ROOTS = f"""
{_MESSAGES}
WHERE channel_id = (SELECT id FROM channel WHERE id = :channel AND deleted_at IS NULL)
    AND parent_id IS NULL AND {_VISIBLE}
    AND NOT EXISTS (SELECT 1 FROM expired_thread WHERE expired_thread.root_id = message.id)
    AND message.id """
_ROOTS_SEEN = _ROOTS.replace("AND message.id ", f"AND {_SEEN} AND message.id ")
ROOTS_BEFORE, ROOTS_AFTER = _ROOTS + _BEFORE, _ROOTS + _AFTER
ROOTS_SEEN_BEFORE, ROOTS_SEEN_AFTER = _ROOTS_SEEN + _BEFORE, _ROOTS_SEEN + _AFTER

_REPLIES = f"{_MESSAGES} WHERE root_id = :root AND parent_id IS NOT NULL AND {_VISIBLE} AND message.id "
_REPLIES_SEEN = _REPLIES.replace("AND message.id ", f"AND {_SEEN} AND message.id ")
REPLIES_BEFORE, REPLIES_AFTER = _REPLIES + _BEFORE, _REPLIES + _AFTER
REPLIES_SEEN_BEFORE, REPLIES_SEEN_AFTER = _REPLIES_SEEN + _BEFORE, _REPLIES_SEEN + _AFTER

# The walk stays in an index; only ids, never texts, are sorted.
_SUBTREE = f"""
WITH RECURSIVE below (id) AS (
    SELECT id FROM message WHERE parent_id = :parent
    UNION ALL
    SELECT reply.id FROM below JOIN message AS reply ON reply.parent_id = below.id
)
{_MESSAGES}
WHERE message.id IN (SELECT message.id FROM below JOIN message USING (id) WHERE {_VISIBLE} AND message.id """
_SUBTREE_SEEN = _SUBTREE.replace("AND message.id ", f"AND {_SEEN} AND message.id ")
SUBTREE_BEFORE, SUBTREE_AFTER = f"{_SUBTREE}{_BEFORE})", f"{_SUBTREE}{_AFTER})"
SUBTREE_SEEN_BEFORE, SUBTREE_SEEN_AFTER = f"{_SUBTREE_SEEN}{_BEFORE})", f"{_SUBTREE_SEEN}{_AFTER})"

# (ids: JSON array): those messages and their ancestors below the top, each once, and whether each is withheld.
_PARENTS = """
WITH RECURSIVE ancestor (id) AS (
    SELECT value FROM json_each(:ids)
    UNION
    SELECT parent_id FROM ancestor JOIN message USING (id) WHERE parent_id <> :top
)
SELECT id, parent_id, %s FROM ancestor JOIN message USING (id)
"""
PARENTS_UP_TO = _PARENTS % "0"
PARENTS_SEEN_UP_TO = _PARENTS % _WITHHELD

_LIVING_IN_THREADS = """
    root_id IN (SELECT value FROM json_each(:roots)) AND channel_id = :channel AND message.deleted_at IS NULL
"""

# (roots: JSON array): how many living messages of each thread are withheld.
WITHHELD_IN_THREADS = f"""
SELECT root_id, count(*) FROM message WHERE {_LIVING_IN_THREADS} AND {_WITHHELD} GROUP BY root_id
"""

# (roots: JSON array): the living messages of threads that are withheld, with all above them, youngest first: id,
# parent's id, whether it is such a message.
WITHHELD_AND_ABOVE = f"""
WITH RECURSIVE withheld (id) AS MATERIALIZED (
    SELECT id FROM message WHERE {_LIVING_IN_THREADS} AND {_WITHHELD}
), ancestor (id) AS (
    SELECT id FROM withheld
    UNION
    SELECT parent_id FROM ancestor JOIN message USING (id) WHERE parent_id IS NOT NULL
)
SELECT id, parent_id, id IN withheld FROM ancestor JOIN message USING (id) ORDER BY id DESC
"""

# What is living, newer than a time, and not the reader's own: in a channel less its expired threads, or in a thread.
_UNREAD = f"message.deleted_at IS NULL AND message.created_at > :since AND {_OTHERS}"
_IN_CHANNEL = f"""
SELECT (
    SELECT count(*) FROM message
    WHERE channel_id = (SELECT id FROM channel WHERE id = :channel AND deleted_at IS NULL) AND {_UNREAD} @
) - (
    SELECT count(*) FROM expired_thread CROSS JOIN message ON message.root_id = expired_thread.root_id
    WHERE channel_id = (SELECT id FROM channel WHERE id = :channel AND deleted_at IS NULL) AND {_UNREAD} @
)
"""
_IN_THREAD = f"""
SELECT count(*) FROM message
WHERE root_id = :root AND channel_id = (SELECT id FROM channel WHERE id = :channel AND deleted_at IS NULL)
    AND {_UNREAD} AND :root NOT IN (SELECT root_id FROM expired_thread) @
"""
COUNT_IN_CHANNEL, COUNT_IN_THREAD = _IN_CHANNEL.replace("@", ""), _IN_THREAD.replace("@", "")
COUNT_SEEN_IN_CHANNEL = _IN_CHANNEL.replace("@", f"AND {_OPEN}")
COUNT_SEEN_IN_THREAD = _IN_THREAD.replace("@", f"AND {_OPEN}")

# (account id, channel id, time as the client said, time)
SET_READ = """
INSERT INTO read_state (account_id, channel_id, last_read_at, updated_at) VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, channel_id)
DO UPDATE SET last_read_at = excluded.last_read_at, updated_at = excluded.updated_at
"""

# (account id, channel id)
READER = """
SELECT
    EXISTS (SELECT 1 FROM account WHERE id = ? AND deleted_at IS NULL),
    EXISTS (SELECT 1 FROM channel WHERE id = ? AND deleted_at IS NULL)
"""

# (account id, JSON array of channel ids)
READ_POSITIONS = """
SELECT channel_id, last_read_at FROM read_state
WHERE account_id = ? AND channel_id IN (SELECT value FROM json_each(?))
"""
