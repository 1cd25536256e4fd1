"""The statements that take channels and threads out, each at most a handful for any number of rows.

Every step of a statement gives up the interpreter's lock, and may wait long for a busy reactor to return it. So what
is looked for comes as one row of JSON, and what is removed goes by one statement. Rows may go in any order within a
statement, for keys are checked at its end; between statements a message goes before its parent.

The conditions of partial indexes are named word for word: SQLite uses such an index only then.
"""

from __future__ import annotations

# (channel id): it and its subchannels, as far as they are there.
LIVING_CHANNELS = "SELECT id FROM channel WHERE (id = ?1 OR parent_id = ?1) AND deleted_at IS NULL ORDER BY id"

# (time, JSON array of channel ids)
MARK_CHANNELS = "UPDATE channel SET deleted_at = ? WHERE id IN (SELECT value FROM json_each(?))"

# (JSON array of channel ids)
REMOVE_PARTICIPANTS = "DELETE FROM participant WHERE channel_id IN (SELECT value FROM json_each(?))"

# (channel id, after id, before id, how many): all roots, visible or not, by id.
_ROOTS = """
SELECT id FROM message
WHERE channel_id = ?1 AND parent_id IS NULL AND (deleted_at IS NULL OR reply_count > 0) AND id > ?2 AND id < ?3
UNION ALL
SELECT id FROM message
WHERE channel_id = ?1 AND parent_id IS NULL AND deleted_at IS NOT NULL AND reply_count = 0 AND id > ?2 AND id < ?3
ORDER BY id LIMIT ?4
"""

# As above: the ids as a JSON array.
ROOTS = f"SELECT json_group_array(id) FROM ({_ROOTS})"

# As above: how many there are, and the last of them.
LAST_ROOT = f"SELECT count(*), max(id) FROM ({_ROOTS})"

# As above, (time of the cut-off, how many): of those roots the first whose threads are due, as a JSON array. The
# youngest living message is older than the cut-off by its time and by its id, which is cut off at "before id". The
# visible reply with the greatest id lives, for what keeps a tombstone visible is younger.
DUE = f"""
SELECT json_group_array(id)
FROM (
    SELECT root.id AS id
    FROM ({_ROOTS}) AS candidate CROSS JOIN message AS root ON root.id = candidate.id
    WHERE
        ifnull(
            (
                SELECT created_at FROM message AS living
                WHERE living.root_id = root.id AND living.channel_id = root.channel_id AND living.deleted_at IS NULL
                ORDER BY created_at DESC LIMIT 1
            ),
            root.created_at
        ) < ?5
        AND ifnull(
            (
                SELECT id FROM message AS reply
                WHERE
                    reply.root_id = root.id AND reply.parent_id IS NOT NULL
                    AND (reply.deleted_at IS NULL OR reply.reply_count > 0)
                ORDER BY id DESC LIMIT 1
            ),
            0
        ) < ?3
        AND root.id NOT IN (SELECT root_id FROM expired_thread)
    LIMIT ?6
)
"""

# (JSON array of root ids, how many): a root id for each message of the threads, thread by thread.
MEMBERS = """
SELECT json_group_array(root_id)
FROM (
    SELECT message.root_id AS root_id
    FROM json_each(?) AS root CROSS JOIN message ON message.root_id = root.value
    LIMIT ?
)
"""

# (JSON array of root ids)
REMOVE_THREADS = "DELETE FROM message WHERE root_id IN (SELECT value FROM json_each(?))"

# (root id, how many): the youngest replies of a thread.
REMOVE_YOUNGEST = """
DELETE FROM message
WHERE id IN (
    SELECT id FROM (
        SELECT id FROM message
        WHERE root_id = ?1 AND parent_id IS NOT NULL AND (deleted_at IS NULL OR reply_count > 0)
        UNION ALL
        SELECT id FROM message
        WHERE root_id = ?1 AND parent_id IS NOT NULL AND deleted_at IS NOT NULL AND reply_count = 0
        ORDER BY id DESC LIMIT ?2
    )
)
"""

# (root id): nobody sees or answers the thread any more.
EXPIRE_THREAD = "INSERT INTO expired_thread (root_id) VALUES (?)"

# (how many)
EXPIRED_THREADS = "SELECT json_group_array(root_id) FROM (SELECT root_id FROM expired_thread ORDER BY root_id LIMIT ?)"

# (JSON array of root ids)
FORGET_EXPIRED = "DELETE FROM expired_thread WHERE root_id IN (SELECT value FROM json_each(?))"

# A subchannel before the channel that it belongs to.
DELETED_CHANNEL = "SELECT id FROM channel WHERE deleted_at IS NOT NULL ORDER BY parent_id IS NULL, id LIMIT 1"

# (channel id, how many)
REMOVE_READ_STATE = """
DELETE FROM read_state
WHERE (account_id, channel_id) IN (SELECT account_id, channel_id FROM read_state WHERE channel_id = ? LIMIT ?)
"""

# (channel id)
REMOVE_CHANNEL = "DELETE FROM channel WHERE id = ?"

# Before the youngest message may go: its id is not given out again.
RAISE_HIGH_WATER = """
INSERT INTO high_water (id, message_id)
SELECT 1, ifnull((SELECT max(id) FROM message), 0) WHERE true
ON CONFLICT (id) DO UPDATE SET message_id = excluded.message_id WHERE excluded.message_id > message_id
"""
