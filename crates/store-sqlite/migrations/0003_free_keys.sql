-- What a key stood for was not sent: the key may be claimed anew, also for the same once more.
ALTER TABLE idempotency ADD COLUMN is_free INTEGER NOT NULL DEFAULT 0;
