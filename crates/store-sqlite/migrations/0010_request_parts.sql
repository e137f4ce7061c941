-- Messages of large requests that are accepted and not entered yet, in parts. What is here is entered
-- within moments, or at the next start.
CREATE TABLE request_parts (
    seq      INTEGER PRIMARY KEY,       -- in the order of the request
    request  BLOB NOT NULL,             -- its first message's id
    org      INTEGER NOT NULL,
    messages TEXT NOT NULL              -- JSON
) STRICT;
