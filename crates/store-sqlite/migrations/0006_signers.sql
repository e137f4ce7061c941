-- JSON, the ids of the only numbers for which a webhook counts; NULL: for all.
ALTER TABLE inbox ADD COLUMN numbers TEXT;
-- A report that counts for the messages of one number waits for one of those.
CREATE TABLE parked_reports_by_number (
    seq       INTEGER PRIMARY KEY,
    wamid     TEXT NOT NULL,
    number    INTEGER NOT NULL,         -- 0: any
    report    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    code      INTEGER NOT NULL,
    failure   TEXT,
    extra     TEXT,                     -- JSON; NULL: nothing
    parked_at INTEGER NOT NULL,
    UNIQUE (wamid, number, report, at, code)
) STRICT;
INSERT INTO parked_reports_by_number
        (seq, wamid, number, report, at, code, failure, extra, parked_at)
    SELECT seq, wamid, 0, report, at, code, failure, extra, parked_at FROM parked_reports;
DROP TABLE parked_reports;
ALTER TABLE parked_reports_by_number RENAME TO parked_reports;
