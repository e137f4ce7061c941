-- Up to which event this was its message's id, and whether that sending was a possible duplicate;
-- NULL: it was told beside the message's own, or nobody wrote it down.
ALTER TABLE former_wamids ADD COLUMN until_event INTEGER;
ALTER TABLE former_wamids ADD COLUMN possible_duplicate INTEGER;
-- JSON, what a report that was told in no event said besides; NULL: nothing.
ALTER TABLE message_events ADD COLUMN upstream TEXT;
