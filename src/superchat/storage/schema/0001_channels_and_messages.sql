-- All times are Unix milliseconds. No message is ever removed as the side effect of another statement: keys
-- between messages and channels have no ON DELETE action, and rows are never replaced.

CREATE TABLE channel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out twice: clients remember ids
    name TEXT NOT NULL,                    -- as it was typed
    name_key TEXT NOT NULL,                -- the name with its case folded, by the rules of Unicode
    display_name TEXT NOT NULL,            -- what clients show
    description TEXT NOT NULL,             -- may be empty
    channel_type INTEGER NOT NULL,         -- 0 chat, 1 forum
    retention_hours INTEGER NOT NULL,      -- how long messages are kept; 0 for ever
    parent_id INTEGER REFERENCES channel (id),  -- of a subchannel: the channel that it belongs to
    created_at INTEGER NOT NULL
);

-- Names are unique ignoring case among the top-level channels, and among the subchannels of one parent.
CREATE UNIQUE INDEX channel_name ON channel (ifnull(parent_id, 0), name_key);

CREATE TABLE message (
    id INTEGER PRIMARY KEY,                -- a snowflake: ascends in the order of the commits
    channel_id INTEGER NOT NULL REFERENCES channel (id),  -- the channel or subchannel it was posted in
    parent_id INTEGER REFERENCES message (id),            -- what it replies to; NULL for a root
    root_id INTEGER NOT NULL REFERENCES message (id),     -- the root of its thread; a root's own id
    author_nickname TEXT NOT NULL,         -- without the ~ of the anonymous
    author_session INTEGER NOT NULL,       -- key of the session that posted it
    created_at INTEGER NOT NULL,
    edited_at INTEGER,                     -- time of the last edit; NULL without one
    deleted_at INTEGER,                    -- NULL while it lives
    reply_count INTEGER NOT NULL DEFAULT 0 CHECK (reply_count >= 0),  -- living descendants at any depth
    -- What is shown now: of a deleted message the replacement. Last, since reading a column behind a long text
    -- means walking through all of the text's pages.
    content BLOB NOT NULL
);

-- Pages of a channel, and of a whole thread: only what is visible, so that no page steps over anything.
CREATE INDEX message_root ON message (channel_id, id)
    WHERE parent_id IS NULL AND (deleted_at IS NULL OR reply_count > 0);
CREATE INDEX message_reply ON message (root_id, id)
    WHERE parent_id IS NOT NULL AND (deleted_at IS NULL OR reply_count > 0);

-- The way down from a reply to its subtree, and the check of the key above when messages are removed.
CREATE INDEX message_parent ON message (parent_id) WHERE parent_id IS NOT NULL;

-- Counts of living messages after a time, answered from the index alone.
CREATE INDEX message_channel_age ON message (channel_id, deleted_at, created_at);
CREATE INDEX message_thread_age ON message (root_id, channel_id, deleted_at, created_at);

-- What a message said before it was changed. Nothing that answers clients reads this table.
CREATE TABLE message_version (
    id INTEGER PRIMARY KEY,
    message_id INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,  -- a part of its message
    version_type TEXT NOT NULL,            -- what ended this version: 'deleted' (or 'edited')
    content BLOB NOT NULL,                 -- what was shown until then
    author_nickname TEXT NOT NULL,         -- of the message
    created_at INTEGER NOT NULL,           -- when this version ended
    changed_by TEXT NOT NULL               -- who ended it, as shown to people
);

CREATE INDEX message_version_message ON message_version (message_id);

-- What the health check writes to see that writing works.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- there is one row
    probed_at INTEGER NOT NULL             -- when it was last written
);
