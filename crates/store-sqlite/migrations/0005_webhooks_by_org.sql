-- A webhook's id is unique within its organisation.
CREATE TABLE webhooks_by_org (
    seq  INTEGER PRIMARY KEY,
    org  INTEGER NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (org, id)
) STRICT;
INSERT INTO webhooks_by_org (seq, org, id, body) SELECT seq, org, id, body FROM webhooks;
DROP TABLE webhooks;
ALTER TABLE webhooks_by_org RENAME TO webhooks;
