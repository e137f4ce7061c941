-- The first layout. Never edited once released: later changes are later files.
--
-- Organisations and numbers have small integers ("ref") by which rows name them, so that the
-- indexes stay narrow. Instants are Unix milliseconds. The numbers of statuses are those of
-- waypost_domain::Status; the other enumerations are numbered in src/codes.rs.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE orgs (
    ref  INTEGER PRIMARY KEY AUTOINCREMENT,
    id   TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

-- Organisations that are gone and whose messages are still being deleted.
CREATE TABLE removed_orgs (
    org INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE users (
    seq  INTEGER PRIMARY KEY,
    org  INTEGER NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (org, id)
) STRICT;

-- A removed number keeps its row, without org and body: messages still name it.
CREATE TABLE numbers (
    ref             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    org             INTEGER,
    phone_number_id TEXT UNIQUE,
    body            TEXT
) STRICT;

CREATE TABLE api_keys (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    org           INTEGER,
    secret_sha256 TEXT NOT NULL UNIQUE,
    body          TEXT NOT NULL
) STRICT;

CREATE TABLE providers (
    seq  INTEGER PRIMARY KEY,
    org  INTEGER NOT NULL,
    id   TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (org, id)
) STRICT;

CREATE TABLE templates (
    seq      INTEGER PRIMARY KEY,
    waba_id  TEXT NOT NULL,
    name     TEXT NOT NULL,
    language TEXT NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (waba_id, name, language)
) STRICT;

-- Forms. Their numbers are told to callers and never used again.
CREATE TABLE flows (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    org         INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    upstream_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    status      TEXT NOT NULL,
    categories  TEXT NOT NULL,          -- JSON array
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (org, upstream_id)
) STRICT;

-- seq is the order of registration.
CREATE TABLE customers (
    seq             INTEGER PRIMARY KEY,
    org             INTEGER NOT NULL,
    id              TEXT NOT NULL,
    phone           TEXT NOT NULL,
    name            TEXT,
    tags            TEXT,               -- JSON array; NULL: none
    opted_in        INTEGER,            -- NULL: nothing is recorded
    consent_at      INTEGER,
    consent_proof   TEXT,
    consent_origin  TEXT,               -- JSON; NULL: nothing is known of it
    active          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    last_inbound_at INTEGER,
    UNIQUE (org, id),
    UNIQUE (org, phone)
) STRICT;
CREATE INDEX customers_by_org ON customers (org);

-- Numbers that a customer had before, so that its messages are found by number.
CREATE TABLE former_phones (
    org      INTEGER NOT NULL,
    customer TEXT NOT NULL,
    phone    TEXT NOT NULL,
    PRIMARY KEY (org, customer, phone)
) STRICT, WITHOUT ROWID;

-- Business-scoped ids of people whose number is known: whoever is written to by one is that person.
CREATE TABLE scoped_ids (
    org   INTEGER NOT NULL,
    id    TEXT NOT NULL,
    phone TEXT NOT NULL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX scoped_ids_by_phone ON scoped_ids (org, phone);

-- One row for each person who has written to a number: the window.
CREATE TABLE sessions (
    seq             INTEGER PRIMARY KEY,
    org             INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    phone           TEXT NOT NULL,
    last_inbound_at INTEGER NOT NULL,
    UNIQUE (org, number, phone)
) STRICT;
CREATE INDEX sessions_by_org ON sessions (org);

-- Whom a person joined on a number that organisations share: its messages are for that one.
CREATE TABLE joins (
    number    INTEGER NOT NULL,
    phone     TEXT NOT NULL,
    org       INTEGER NOT NULL,
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (number, phone)
) STRICT, WITHOUT ROWID;
CREATE INDEX joins_by_org ON joins (org);

-- What a broadcast's messages have in common; their rows have no content of their own.
CREATE TABLE broadcasts (
    ref          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    org          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    template     TEXT NOT NULL,
    audience     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    waiting      INTEGER NOT NULL,      -- 1: some message may be queued
    first_seq    INTEGER,               -- its messages lie between these
    last_seq     INTEGER,
    message_type INTEGER NOT NULL,
    dialect      TEXT NOT NULL,
    synchronous  INTEGER NOT NULL,
    user         TEXT,
    session      TEXT,
    reference    TEXT,
    content      TEXT NOT NULL,
    options      TEXT,                  -- JSON; NULL: none
    claim_route  TEXT,
    claim_key    TEXT
) STRICT;
CREATE INDEX broadcasts_by_org ON broadcasts (org);
CREATE INDEX broadcasts_waiting ON broadcasts (number) WHERE waiting = 1;

-- seq is the order of acceptance.
CREATE TABLE messages (
    seq                INTEGER PRIMARY KEY,
    id                 BLOB NOT NULL UNIQUE,
    org                INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    customer           TEXT,
    phone              TEXT NOT NULL,
    direction          INTEGER NOT NULL,
    message_type       INTEGER NOT NULL,
    dialect            TEXT NOT NULL,
    synchronous        INTEGER NOT NULL,
    user               TEXT,
    session            TEXT,
    reference          TEXT,
    broadcast          INTEGER,
    content            TEXT,            -- NULL: the broadcast's
    digest             INTEGER,         -- of what it says and to whom; NULL: what people wrote
    status             INTEGER NOT NULL,
    wamid              TEXT,
    wa_id              TEXT,
    failure            TEXT,
    possible_duplicate INTEGER NOT NULL DEFAULT 0,
    resend_at          INTEGER,         -- of an unknown one that is to be sent again
    options            TEXT,            -- JSON; NULL: the broadcast's, or none
    created_at         INTEGER NOT NULL,
    settled_at         INTEGER,
    sent_at            INTEGER,         -- when our own record of a success was made
    attempts           INTEGER NOT NULL DEFAULT 0,
    attempt            BLOB,            -- the latest one; earlier ones are in former_attempts
    attempt_started_at INTEGER,
    attempt_ended_at   INTEGER,
    attempt_outcome    INTEGER,
    attempt_fault      TEXT,
    priority           INTEGER NOT NULL DEFAULT 0,
    due                INTEGER NOT NULL DEFAULT 0,  -- 0: at once; -1: held by its caller
    media_pending      INTEGER NOT NULL DEFAULT 0,
    claim_route        TEXT,
    claim_key          TEXT
) STRICT;
-- A sent attempt's reports are matched by wamid: the index holds the others, which are few.
CREATE INDEX messages_not_sent ON messages (attempt, attempt_outcome) WHERE attempt_outcome <> 1;
-- Also the due queue of broadcasts: those of status 0, in order of seq.
CREATE INDEX messages_by_broadcast ON messages (broadcast, status, due)
    WHERE broadcast IS NOT NULL;
CREATE INDEX messages_unanswered ON messages (synchronous) WHERE synchronous = 1 AND status = 0;
CREATE INDEX messages_to_resend ON messages (resend_at) WHERE resend_at IS NOT NULL;
CREATE INDEX messages_held ON messages (due) WHERE status = 1 AND due = -1;
CREATE INDEX messages_media_pending ON messages (media_pending) WHERE media_pending = 1;

-- Messages by organisation and by person, filled in behind and many at once: an index would touch
-- a page of its own for every message. Those after the mark are not in them yet. People have no
-- order that is ours, so that even many at once would touch a page each in a large table: they lie in
-- runs, one for every 4,096 messages, and whoever seeks a person looks into each run.
CREATE TABLE org_messages (
    org     INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (org, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE person_messages (
    run     INTEGER NOT NULL,           -- message >> 12
    phone   TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (run, phone, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE messages_mark (
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO messages_mark (seq) VALUES (0);

-- Messages by the hash of their upstream id, filled in behind likewise and in runs: the fresh ones
-- are not in it yet. A hash only says where to look; the message's own row decides.
CREATE TABLE wamid_messages (
    run     INTEGER NOT NULL,           -- message >> 12
    hash    INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (run, hash, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE fresh_wamids (
    message INTEGER PRIMARY KEY,
    hash    INTEGER NOT NULL
) STRICT;

-- The due queue of single messages: exactly those that wait. due is 0 for those that were due when
-- they came, so that these lie in the order of acceptance, for each organisation that shares the
-- number. priority is that of waypost_domain::place.
CREATE TABLE queue (
    number   INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    org      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (number, due, priority, org, seq)
) STRICT, WITHOUT ROWID;
-- Its youngest part: single messages that were due when they came, moved into it many at once. A
-- message is in one of the two.
CREATE TABLE fresh_queue (
    seq      INTEGER PRIMARY KEY,
    number   INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    org      INTEGER NOT NULL
) STRICT;
CREATE VIEW whole_queue AS
    SELECT number, due, priority, org, seq FROM queue
    UNION ALL SELECT number, 0, priority, org, seq FROM fresh_queue;

-- Of those in the queue, the ones that wait for their person to write: their due is their end.
CREATE TABLE held (
    message INTEGER PRIMARY KEY,
    org     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    phone   TEXT NOT NULL
) STRICT;
CREATE INDEX held_by_person ON held (org, number, phone);

-- People who get no marketing from a number before an instant: the upstream said so.
CREATE TABLE marketing_caps (
    number INTEGER NOT NULL,
    phone  TEXT NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (number, phone)
) STRICT, WITHOUT ROWID;
CREATE INDEX marketing_caps_by_end ON marketing_caps (until);

-- What happened, for callbacks and lists. An event's id is made from seq and recorded_at. No seq is
-- used twice, because the newest row is never deleted.
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    org         INTEGER NOT NULL,
    number      INTEGER,
    message     INTEGER,
    kind        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    detail      TEXT,                   -- JSON; NULL: nothing beside the message
    asks        INTEGER NOT NULL,       -- 1: its message has options
    recorded_at INTEGER NOT NULL
) STRICT;
-- Events by organisation, filled in behind like the messages: those after the mark are not in it.
CREATE TABLE org_events (
    org   INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (org, event)
) STRICT, WITHOUT ROWID;
CREATE TABLE org_events_mark (
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO org_events_mark (seq) VALUES (0);
CREATE INDEX events_of_templates ON events (org, at) WHERE kind = 6;

-- Up to seq, all callbacks of the events are recorded.
CREATE TABLE events_mark (
    seq    INTEGER NOT NULL,
    id_key INTEGER NOT NULL
) STRICT;
INSERT INTO events_mark (seq, id_key) VALUES (0, random());

CREATE TABLE webhooks (
    seq  INTEGER PRIMARY KEY,
    id   TEXT NOT NULL UNIQUE,
    org  INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- What callbacks are posted to. next_due is not later than the earliest due callback's.
CREATE TABLE callback_targets (
    ref         INTEGER PRIMARY KEY AUTOINCREMENT,
    org         INTEGER NOT NULL,
    webhook     TEXT NOT NULL,          -- '': addresses that requests name, by origin and shape
    origin      TEXT NOT NULL,
    shape       TEXT NOT NULL,
    next_due    INTEGER,
    last_status INTEGER,
    last_error  TEXT,
    last_at     INTEGER,
    UNIQUE (org, webhook, origin, shape)
) STRICT;
CREATE INDEX callback_targets_due ON callback_targets (next_due) WHERE next_due IS NOT NULL;

-- Those to be made (state 0) and those given up (state 1).
CREATE TABLE callbacks (
    target      INTEGER NOT NULL,
    phone       TEXT NOT NULL,
    event       INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    last_status INTEGER,
    last_error  TEXT,
    PRIMARY KEY (target, phone, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_due ON callbacks (target, due, event) WHERE state = 0;
CREATE INDEX callbacks_dead ON callbacks (target, event) WHERE state = 1;

-- Upstream ids of earlier sendings of a message that was sent again.
CREATE TABLE former_wamids (
    wamid   TEXT PRIMARY KEY,
    message INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX former_wamids_by_message ON former_wamids (message);

-- Attempts that a later one followed.
CREATE TABLE former_attempts (
    message    INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    id         BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    INTEGER NOT NULL,
    fault      TEXT,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_attempts_not_sent ON former_attempts (id, outcome) WHERE outcome <> 1;

-- What is told of the calls of attempts, recorded together a second later at most.
CREATE TABLE attempt_calls (
    attempt BLOB PRIMARY KEY,
    call    TEXT NOT NULL               -- JSON
) STRICT, WITHOUT ROWID;

-- The history, but for our own record of a success: that is in sent_at.
CREATE TABLE message_events (
    message INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    status  INTEGER NOT NULL,
    code    INTEGER NOT NULL,           -- Meta's error code; 0: none
    failure TEXT,
    PRIMARY KEY (message, at, status, code)
) STRICT, WITHOUT ROWID;

-- Reports of messages that are not known by that id yet.
CREATE TABLE parked_reports (
    seq       INTEGER PRIMARY KEY,
    wamid     TEXT NOT NULL,
    report    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    code      INTEGER NOT NULL,
    failure   TEXT,
    extra     TEXT,                     -- JSON; NULL: nothing
    parked_at INTEGER NOT NULL,
    UNIQUE (wamid, report, at, code)
) STRICT;

-- Webhooks that are not worked off. Ids are never used again: readers remember them.
CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Webhooks that had no meaning to us.
CREATE TABLE inbox_kept (
    id          INTEGER PRIMARY KEY,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    seq         INTEGER PRIMARY KEY,
    org         INTEGER NOT NULL,       -- 0: the installation itself
    route       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    target_kind INTEGER NOT NULL,
    target      BLOB NOT NULL,
    claimed_at  INTEGER NOT NULL,
    UNIQUE (org, route, key)
) STRICT;

CREATE TABLE media (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    org         INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    mime_type   TEXT NOT NULL,
    filename    TEXT,
    public_name TEXT NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX media_by_org ON media (org);
CREATE INDEX media_by_content ON media (sha256);
CREATE INDEX media_by_expiry ON media (expires_at);

CREATE TABLE upstream_copies (
    sha256      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    mime_type   TEXT NOT NULL,
    upstream_id TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (sha256, number, mime_type)
) STRICT, WITHOUT ROWID;

-- What waited to be sent when the backup was made from which this database was restored: it may
-- have been sent since, and goes on when the operator says so.
CREATE TABLE restored_messages (
    message INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE restored_broadcasts (
    broadcast INTEGER PRIMARY KEY
) STRICT;
