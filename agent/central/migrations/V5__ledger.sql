-- In which order seals came into the ledger. A message that comes twice is new the first time and a
-- repeat the second, and the repeat is written when the first is committed: by this order the leader
-- never sees the repeat before it.
ALTER TABLE ledger ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
