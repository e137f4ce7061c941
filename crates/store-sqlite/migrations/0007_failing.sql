-- JSON, how a message has been failing: the class of its latest failure, how many of that class they
-- are in a row, and how many in all; NULL: none since it was accepted, or since somebody sent it again.
ALTER TABLE messages ADD COLUMN failing TEXT;
