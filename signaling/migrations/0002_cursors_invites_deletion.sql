-- How far devices have read, invite codes of the operator, and households that can be deleted as a whole.

CREATE TABLE cursors (
    household BLOB    NOT NULL,
    group_id  BLOB    NOT NULL,
    device    BLOB    NOT NULL CHECK (length(device) = 16),
    seq       INTEGER NOT NULL CHECK (seq >= 0),
    PRIMARY KEY (household, group_id, device),
    FOREIGN KEY (household, group_id) REFERENCES groups (household, group_id)
) STRICT, WITHOUT ROWID;

-- Of a code its hash only; name is the part of it by which it is found.
CREATE TABLE invites (
    name       BLOB    PRIMARY KEY NOT NULL CHECK (length(name) = 4),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    uses       INTEGER NOT NULL CHECK (uses >= 0),
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Holds a household while the one transaction runs that deletes it: only then its audit rows may go.
CREATE TABLE deletions (
    household BLOB PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;
DROP TRIGGER audit_is_never_shortened;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM deletions WHERE deletions.household = OLD.household)
BEGIN
    SELECT RAISE(ABORT, 'audit rows are only added');
END;
