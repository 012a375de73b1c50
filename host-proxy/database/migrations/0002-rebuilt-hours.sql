-- Whether an hour was worked out backwards: it is complete and has a ratio like any other, is in no figure but those named
-- `rebuilt.`, and who chains ratios leaves it out. NULL: no statement says so; the enclave writes no such row.
ALTER TABLE trackseal.hourly_returns ADD COLUMN rebuilt BOOLEAN;

-- Of rows that are there, out of their statements (docs/PROTOCOL.md 12i): the last field of the figures, 25 (18 19), which is
-- true (f5) or false (f4), and behind it field 12 (0c), a map of three that begins with its 1 (a3 01). No text has such bytes,
-- and a hash has them once in 2^48; `database audit` compares every row with all of its statement. What is no statement stays NULL.
UPDATE trackseal.hourly_returns SET rebuilt = CASE
  WHEN position('\x1819f50ca301'::bytea IN statement) > 0 THEN true
  WHEN position('\x1819f40ca301'::bytea IN statement) > 0 THEN false
END;
