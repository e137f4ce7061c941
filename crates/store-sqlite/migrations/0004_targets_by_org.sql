-- Each organisation's targets that are due: as many as there may be of one, they hide nobody else's.
CREATE INDEX callback_targets_due_by_org ON callback_targets (org, next_due)
    WHERE next_due IS NOT NULL;
