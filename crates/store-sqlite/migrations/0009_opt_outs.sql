-- Numbers whose customer was deleted after an opt-out, which holds all the same. Whoever becomes a
-- customer by such a number takes it over.
CREATE TABLE opt_outs (
    org   INTEGER NOT NULL,
    phone TEXT NOT NULL,
    at    INTEGER NOT NULL,             -- when it was said
    PRIMARY KEY (org, phone)
) STRICT, WITHOUT ROWID;
