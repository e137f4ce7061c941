-- Keys of creations lay among the settings, a fixed number of them; they are in idempotency now.
DELETE FROM settings WHERE name >= 'idempotency/' AND name < 'idempotency0';
