-- What signaling keeps. Times are milliseconds since the Unix epoch, ids and keys are raw bytes.
-- The constraints carry the rules: one list per version, one commit per group and epoch, one audit row per place.

CREATE TABLE households (
    household   BLOB PRIMARY KEY NOT NULL CHECK (length(household) = 16),
    root_public BLOB NOT NULL CHECK (length(root_public) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    household BLOB    NOT NULL REFERENCES households (household),
    version   INTEGER NOT NULL CHECK (version > 0),
    list      BLOB    NOT NULL,
    PRIMARY KEY (household, version)
) STRICT;

CREATE TABLE sessions (
    token_hash BLOB    PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
    household  BLOB    NOT NULL REFERENCES households (household),
    device     BLOB    NOT NULL CHECK (length(device) = 16),
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_device ON sessions (household, device, expires_ms);
CREATE INDEX sessions_by_end ON sessions (expires_ms);

CREATE TABLE key_packages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    household   BLOB    NOT NULL REFERENCES households (household),
    device      BLOB    NOT NULL CHECK (length(device) = 16),
    last_resort INTEGER NOT NULL CHECK (last_resort IN (0, 1)),
    key_package BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX key_packages_once ON key_packages (household, device, key_package) WHERE last_resort = 0;
CREATE UNIQUE INDEX one_last_resort ON key_packages (household, device) WHERE last_resort = 1;

CREATE TABLE groups (
    household  BLOB    NOT NULL REFERENCES households (household),
    group_id   BLOB    NOT NULL CHECK (length(group_id) = 20),
    next_epoch INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    PRIMARY KEY (household, group_id)
) STRICT, WITHOUT ROWID;

-- kind: 1 application, 2 proposal, 3 commit (content types of RFC 9420 section 6).
CREATE TABLE messages (
    household BLOB    NOT NULL,
    group_id  BLOB    NOT NULL,
    seq       INTEGER NOT NULL CHECK (seq > 0),
    kind      INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),
    epoch     INTEGER NOT NULL,
    message   BLOB    NOT NULL,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (household, group_id, seq),
    FOREIGN KEY (household, group_id) REFERENCES groups (household, group_id)
) STRICT;
CREATE UNIQUE INDEX one_commit_per_epoch ON messages (household, group_id, epoch) WHERE kind = 3;
CREATE INDEX messages_by_age ON messages (at_ms);

CREATE TABLE welcomes (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    household BLOB    NOT NULL,
    device    BLOB    NOT NULL CHECK (length(device) = 16),
    group_id  BLOB    NOT NULL,
    seq       INTEGER NOT NULL,
    welcome   BLOB    NOT NULL,
    UNIQUE (household, device, group_id),
    FOREIGN KEY (household, group_id) REFERENCES groups (household, group_id)
) STRICT;

CREATE TABLE audit (
    household BLOB    NOT NULL REFERENCES households (household),
    seq       INTEGER NOT NULL CHECK (seq > 0),
    at_ms     INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    actor     BLOB,
    subject   BLOB,
    detail    INTEGER NOT NULL,
    previous  BLOB    NOT NULL CHECK (length(previous) = 32),
    hash      BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (household, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'audit rows are only added');
END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'audit rows are only added');
END;

CREATE TABLE mail (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox    BLOB    NOT NULL CHECK (length(mailbox) = 16),
    message    BLOB    NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX mail_of_mailbox ON mail (mailbox, seq);
CREATE INDEX mail_by_end ON mail (expires_ms);
