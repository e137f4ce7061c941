-- What the upstream told and is passed on: a repetition of it is found by its digest.
CREATE INDEX events_of_notices ON events (org, json_extract(detail, '$.digest')) WHERE kind = 7;
