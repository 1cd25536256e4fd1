-- Registered users. An account that was deleted stays as a row, so that its messages keep an author's name; it has
-- no names of its own any more, no password, no keys, no flags.
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out twice: bans and clients remember ids
    nickname TEXT NOT NULL,                -- as it was typed; of a deleted account its last one
    user_flags INTEGER NOT NULL,           -- bit 0 admin, bit 1 moderator
    password_hash TEXT NOT NULL,           -- bcrypt of the client's hash; empty: no password
    password_name TEXT,                    -- the nickname that the password is salted with; NULL without one
    created_at INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,            -- time of the last login
    encryption_public_key BLOB,            -- X25519, 32 bytes; NULL: none
    allow_unencrypted INTEGER NOT NULL DEFAULT 0,  -- direct messages without encryption, for good
    deleted_at INTEGER                     -- NULL while it exists
);

-- Names that belong to an account: its nickname, and after a rename the one its password is salted with.
CREATE TABLE account_name (
    name_key TEXT PRIMARY KEY,             -- the name with its case folded
    account_id INTEGER NOT NULL REFERENCES account (id), -- whose it is
    is_nickname INTEGER NOT NULL           -- 0: only the password is salted with it
) WITHOUT ROWID;
CREATE INDEX account_name_account ON account_name (account_id);

-- Public keys to log in with; none is in two accounts.
CREATE TABLE ssh_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id), -- whose it is
    fingerprint TEXT NOT NULL UNIQUE,      -- SHA256:…
    public_key TEXT NOT NULL,              -- as it was sent
    key_type TEXT NOT NULL,                -- such as ssh-ed25519
    label TEXT NOT NULL,                   -- may be empty
    added_at INTEGER NOT NULL,             -- when the account got it
    last_used_at INTEGER                   -- NULL: never
);
CREATE INDEX ssh_key_account ON ssh_key (account_id, added_at);

-- How far an account has read a channel or subchannel.
CREATE TABLE read_state (
    account_id INTEGER NOT NULL REFERENCES account (id), -- whose it is
    channel_id INTEGER NOT NULL REFERENCES channel (id), -- what was read
    last_read_at INTEGER NOT NULL,         -- as the client said
    updated_at INTEGER NOT NULL,           -- when the client said so
    PRIMARY KEY (account_id, channel_id)
) WITHOUT ROWID;
CREATE INDEX read_state_channel ON read_state (channel_id);

ALTER TABLE channel ADD COLUMN created_by INTEGER REFERENCES account (id);  -- its owner; NULL: none
ALTER TABLE channel ADD COLUMN is_direct INTEGER NOT NULL DEFAULT 0;        -- a direct conversation
ALTER TABLE channel ADD COLUMN deleted_at INTEGER;                          -- gone for everybody; its rows follow

DROP INDEX channel_name;
CREATE UNIQUE INDEX channel_name ON channel (ifnull(parent_id, 0), name_key)
    WHERE is_direct = 0 AND deleted_at IS NULL;
CREATE INDEX channel_parent ON channel (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE message ADD COLUMN author_id INTEGER REFERENCES account (id);   -- NULL: posted anonymously

-- Counts of living messages after a time, leaving out those of some authors, from the index alone.
DROP INDEX message_channel_age;
DROP INDEX message_thread_age;
CREATE INDEX message_channel_age ON message (channel_id, deleted_at, created_at, author_id, author_session);
CREATE INDEX message_thread_age ON message (root_id, channel_id, deleted_at, created_at, author_id, author_session);

-- The roots that message_root leaves out, for what removes old messages.
CREATE INDEX message_gone ON message (channel_id, id)
    WHERE parent_id IS NULL AND deleted_at IS NOT NULL AND reply_count = 0;

-- The replies that message_reply leaves out, for removing a long thread from its youngest message on.
CREATE INDEX message_gone_reply ON message (root_id, id)
    WHERE parent_id IS NOT NULL AND deleted_at IS NOT NULL AND reply_count = 0;

-- Channels on their way out.
CREATE INDEX channel_deleted ON channel (id) WHERE deleted_at IS NOT NULL;

-- Threads on their way out: nobody sees or answers them any more, and their rows follow.
CREATE TABLE expired_thread (
    root_id INTEGER PRIMARY KEY            -- id of the message that began it
);

-- The greatest message id there ever was, as soon as the message with it may be removed: none is given out twice.
CREATE TABLE high_water (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- there is one row
    message_id INTEGER NOT NULL            -- no id up to it is given out again
);

-- Who is kept out or hidden, also when that is over.
CREATE TABLE ban (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ban_type TEXT NOT NULL,                -- 'user' or 'ip'
    account_id INTEGER REFERENCES account (id),  -- also of an account that took a banned nickname later
    nickname TEXT,                         -- as it was typed; NULL: only the account is meant
    name_key TEXT,                         -- the nickname with its case folded
    ip_cidr TEXT,                          -- an address, or a network without host bits; NULL: of a user
    reason TEXT NOT NULL,                  -- for the banned and for moderators; may be empty
    shadowban INTEGER NOT NULL,            -- only what they write is hidden
    banned_at INTEGER NOT NULL,            -- when it was made
    banned_until INTEGER,                  -- in force before that moment; NULL: for ever
    banned_by TEXT NOT NULL                -- nickname of who banned
);
CREATE INDEX ban_name ON ban (name_key) WHERE name_key IS NOT NULL;
CREATE INDEX ban_account ON ban (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX ban_network ON ban (ip_cidr) WHERE ip_cidr IS NOT NULL;

-- What those with power did, for ever.
CREATE TABLE act (
    id INTEGER PRIMARY KEY,
    actor TEXT NOT NULL,                   -- nickname, or how the operator is called
    actor_id INTEGER,                      -- their account
    address TEXT NOT NULL,                 -- where they acted from
    action TEXT NOT NULL,                  -- such as ban_user
    target_type TEXT NOT NULL,             -- 'user', 'ip', 'message' or 'channel'
    target_id INTEGER,                     -- of a ban that was made, else of the target itself; NULL: none
    target TEXT NOT NULL,                  -- for people
    details TEXT NOT NULL,                 -- such as the reason; may be empty
    performed_at INTEGER NOT NULL          -- when
);

-- Who takes part in a direct conversation: an account, or the key of a session without one.
CREATE TABLE participant (
    channel_id INTEGER NOT NULL REFERENCES channel (id), -- the conversation
    account_id INTEGER REFERENCES account (id), -- of a participant with an account
    session_key INTEGER,                   -- of a participant without an account
    nickname TEXT NOT NULL,                -- when the conversation began
    joined_at INTEGER NOT NULL,            -- when the conversation began
    CHECK ((account_id IS NULL) <> (session_key IS NULL))
);
CREATE UNIQUE INDEX participant_account ON participant (account_id, channel_id) WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX participant_session ON participant (session_key, channel_id) WHERE session_key IS NOT NULL;
CREATE INDEX participant_channel ON participant (channel_id);

-- Direct conversations that wait for consent.
CREATE TABLE invite (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    initiator_id INTEGER REFERENCES account (id), -- who asks, if it is an account
    initiator_session INTEGER,             -- who asks, if it is a session without one
    initiator_nickname TEXT NOT NULL,      -- who asks, for people
    target_id INTEGER REFERENCES account (id), -- who is asked, if it is an account
    target_session INTEGER,                -- who is asked, if it is a session without one
    target_nickname TEXT NOT NULL,         -- who is asked, for people
    encrypted INTEGER NOT NULL,            -- the initiator insists on encryption
    created_at INTEGER NOT NULL,
    CHECK ((initiator_id IS NULL) <> (initiator_session IS NULL)),
    CHECK ((target_id IS NULL) <> (target_session IS NULL))
);
CREATE INDEX invite_initiator ON invite (initiator_id, initiator_session);
CREATE INDEX invite_target ON invite (target_id, target_session);
CREATE INDEX invite_age ON invite (created_at);

-- Nobody asks the same one twice. NULL differs from NULL in an index, so another value stands for it.
CREATE UNIQUE INDEX invite_pair ON invite (
    ifnull(initiator_id, -1), ifnull(initiator_session, -1), ifnull(target_id, -1), ifnull(target_session, -1)
);
