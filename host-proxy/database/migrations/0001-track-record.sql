-- The track record. The enclave writes every row as enclave_user and trusts none when it reads it back: what counts
-- are the statements with their signatures, the MACs and the sealed bytes. Columns with figures repeat what a
-- statement says, for readers. Names are qualified everywhere, so that no search_path decides what is meant.

-- Roles belong to the whole server and outlive a database: they may be there. What they may is said here again.
DO $$
DECLARE
  wanted TEXT;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['enclave_user', 'gateway_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', wanted);
    END IF;
    EXECUTE format('ALTER ROLE %I NOCREATEDB NOCREATEROLE NOINHERIT', wanted);
  END LOOP;
END
$$;

-- What PostgreSQL gives to everybody without being asked: temporary tables, new functions and types, a schema.
DO $$
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM enclave_user, gateway_reader', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO enclave_user, gateway_reader', current_database());
  EXECUTE format('REVOKE ALL ON SCHEMA public FROM PUBLIC');
END
$$;
-- Large objects are no table's: whoever may log in may make some. Only a superuser can take that back; where a
-- provider keeps that role, a warning says what is left.
DO $$
DECLARE
  found REGPROCEDURE;
BEGIN
  FOR found IN
    SELECT oid FROM pg_catalog.pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_|loread$|lowrite$)'
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', found);
  END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE WARNING 'large objects stay open to every role: not a superuser';
END
$$;
REVOKE ALL ON SCHEMA trackseal FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM PUBLIC;

-- Shapes. A figure is exact and finite; NUMERIC alone would take NaN and Infinity.
CREATE DOMAIN trackseal.figure AS NUMERIC
  CHECK (VALUE > '-Infinity' AND VALUE < 'Infinity' AND VALUE <> 'NaN');
CREATE DOMAIN trackseal.digest AS BYTEA CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN trackseal.milliseconds AS BIGINT CHECK (VALUE BETWEEN 0 AND 253402300799999);
CREATE DOMAIN trackseal.positive AS BIGINT CHECK (VALUE BETWEEN 1 AND 9007199254740991);
CREATE DOMAIN trackseal.count AS BIGINT CHECK (VALUE BETWEEN 0 AND 9007199254740991);

CREATE TABLE trackseal.accounts (
  account trackseal.digest PRIMARY KEY, -- the commitment
  user_hash trackseal.digest NOT NULL,
  venue TEXT NOT NULL CHECK (venue ~ '^[a-z0-9_-]{1,50}$'),
  label TEXT NOT NULL CHECK (octet_length(label) <= 400),
  account_type TEXT NOT NULL CHECK (octet_length(account_type) <= 64),
  environment TEXT NOT NULL CHECK (octet_length(environment) <= 64),
  created_ms trackseal.milliseconds NOT NULL,
  mac trackseal.digest NOT NULL
);
CREATE INDEX accounts_user ON trackseal.accounts (user_hash);

-- What the venue has said: fills, funding, flows, each sealed (AES-256-GCM). A record that is asked for twice has the
-- same key twice and is stored once: INSERT ... ON CONFLICT (account, record_key) DO NOTHING.
CREATE TABLE trackseal.sealed_fills (
  account trackseal.digest NOT NULL REFERENCES trackseal.accounts,
  record_key trackseal.digest NOT NULL, -- keyed hash of kind and the venue's id
  counter trackseal.positive NOT NULL, -- of the account's records, without hole
  poll trackseal.count NOT NULL, -- which brought it first
  key_version INTEGER NOT NULL CHECK (key_version >= 0),
  nonce BYTEA NOT NULL CHECK (octet_length(nonce) = 12),
  sealed BYTEA NOT NULL CHECK (octet_length(sealed) BETWEEN 16 AND 1048576), -- ends in the tag
  PRIMARY KEY (account, record_key),
  UNIQUE (account, counter)
);

-- Each account's chain of statements: one counter for all kinds, so that two enclaves that write the same place
-- collide here, whatever they write.
CREATE TABLE trackseal.chain (
  account trackseal.digest NOT NULL REFERENCES trackseal.accounts,
  counter trackseal.positive NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('hour', 'snapshot', 'revocation')),
  previous trackseal.digest, -- NULL for the first, and for a revocation of what was lost: that has no row
  hash trackseal.digest NOT NULL, -- SHA-256 of the statement
  statement BYTEA NOT NULL CHECK (octet_length(statement) BETWEEN 1 AND 262144),
  signature BYTEA NOT NULL CHECK (octet_length(signature) = 64),
  origin TEXT NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 255),
  leaf_index trackseal.count NOT NULL,
  leaf_salt BYTEA CHECK (octet_length(leaf_salt) BETWEEN 1 AND 64),
  position INTEGER NOT NULL CHECK (position >= 0),
  mac trackseal.digest NOT NULL,
  PRIMARY KEY (account, counter),
  UNIQUE (account, counter, kind),
  UNIQUE (account, hash),
  UNIQUE (origin, leaf_index, position),
  FOREIGN KEY (account, previous) REFERENCES trackseal.chain (account, hash),
  CHECK (kind = 'revocation' OR (previous IS NULL) = (counter = 1))
);

-- Where each chain ends, as its last writer says. A tail that was cut off differs from this.
CREATE TABLE trackseal.chain_heads (
  account trackseal.digest PRIMARY KEY REFERENCES trackseal.accounts,
  counter trackseal.positive NOT NULL,
  hash trackseal.digest NOT NULL,
  records trackseal.count NOT NULL, -- the counter of the account's last sealed record
  origin TEXT NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 255),
  mac trackseal.digest NOT NULL,
  FOREIGN KEY (account, counter) REFERENCES trackseal.chain (account, counter)
);

-- One hour: the first statement about it, and those that supersede it. Statement and signature are here again,
-- because gateway_reader reads no other table.
CREATE TABLE trackseal.hourly_returns (
  account trackseal.digest NOT NULL,
  counter trackseal.positive NOT NULL,
  kind TEXT NOT NULL DEFAULT 'hour' CHECK (kind = 'hour'),
  supersedes trackseal.positive CHECK (supersedes < counter),
  start_ms trackseal.milliseconds NOT NULL CHECK (start_ms % 3600000 = 0),
  venue TEXT NOT NULL CHECK (venue ~ '^[a-z0-9_-]{1,50}$'),
  environment TEXT NOT NULL CHECK (octet_length(environment) <= 64),
  currency TEXT NOT NULL CHECK (currency ~ '^[A-Z0-9]{1,16}$'),
  return_ratio trackseal.figure, -- NULL is a gap, never a zero
  return_method TEXT CHECK (return_method IN ('twr', 'modified_dietz')),
  return_reason TEXT CHECK (octet_length(return_reason) BETWEEN 1 AND 64),
  equity_start trackseal.figure,
  equity_end trackseal.figure,
  inflow trackseal.figure CHECK (inflow >= 0),
  outflow trackseal.figure CHECK (outflow >= 0),
  realised trackseal.figure,
  unrealised_change trackseal.figure,
  funding trackseal.figure,
  fees trackseal.figure,
  residual trackseal.figure,
  status TEXT NOT NULL CHECK (status IN ('reconciled', 'beyond', 'unknown')),
  trades trackseal.count NOT NULL,
  volume trackseal.figure,
  complete BOOLEAN NOT NULL,
  statement BYTEA NOT NULL CHECK (octet_length(statement) BETWEEN 1 AND 262144),
  signature BYTEA NOT NULL CHECK (octet_length(signature) = 64),
  origin TEXT NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 255),
  leaf_index trackseal.count NOT NULL,
  leaf_salt BYTEA CHECK (octet_length(leaf_salt) BETWEEN 1 AND 64),
  position INTEGER NOT NULL CHECK (position >= 0),
  PRIMARY KEY (account, counter),
  UNIQUE (account, counter, start_ms),
  UNIQUE (account, supersedes), -- one successor each: corrections do not fork
  FOREIGN KEY (account, counter, kind) REFERENCES trackseal.chain (account, counter, kind),
  FOREIGN KEY (account, supersedes, start_ms)
    REFERENCES trackseal.hourly_returns (account, counter, start_ms),
  CHECK ((return_ratio IS NULL) = (return_method IS NULL)),
  CHECK (return_ratio IS NOT NULL OR return_reason IS NOT NULL)
);
CREATE UNIQUE INDEX hourly_returns_first ON trackseal.hourly_returns (account, start_ms)
  WHERE supersedes IS NULL;
CREATE INDEX hourly_returns_time ON trackseal.hourly_returns (account, start_ms, counter);

-- 00:00 UTC of each day.
CREATE TABLE trackseal.balance_snapshots (
  account trackseal.digest NOT NULL,
  counter trackseal.positive NOT NULL,
  kind TEXT NOT NULL DEFAULT 'snapshot' CHECK (kind = 'snapshot'),
  supersedes trackseal.positive CHECK (supersedes < counter),
  at_ms trackseal.milliseconds NOT NULL CHECK (at_ms % 86400000 = 0),
  venue TEXT NOT NULL CHECK (venue ~ '^[a-z0-9_-]{1,50}$'),
  environment TEXT NOT NULL CHECK (octet_length(environment) <= 64),
  currency TEXT NOT NULL CHECK (currency ~ '^[A-Z0-9]{1,16}$'),
  equity trackseal.figure,
  balance trackseal.figure,
  unrealised trackseal.figure,
  deposits trackseal.figure CHECK (deposits >= 0),
  withdrawals trackseal.figure CHECK (withdrawals >= 0),
  statement BYTEA NOT NULL CHECK (octet_length(statement) BETWEEN 1 AND 262144),
  signature BYTEA NOT NULL CHECK (octet_length(signature) = 64),
  origin TEXT NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 255),
  leaf_index trackseal.count NOT NULL,
  leaf_salt BYTEA CHECK (octet_length(leaf_salt) BETWEEN 1 AND 64),
  position INTEGER NOT NULL CHECK (position >= 0),
  PRIMARY KEY (account, counter),
  UNIQUE (account, counter, at_ms),
  UNIQUE (account, supersedes),
  FOREIGN KEY (account, counter, kind) REFERENCES trackseal.chain (account, counter, kind),
  FOREIGN KEY (account, supersedes, at_ms)
    REFERENCES trackseal.balance_snapshots (account, counter, at_ms)
);
-- What was said of a midnight is said once, but for corrections.
CREATE UNIQUE INDEX balance_snapshots_first ON trackseal.balance_snapshots (account, at_ms)
  WHERE supersedes IS NULL;
CREATE INDEX balance_snapshots_time ON trackseal.balance_snapshots (account, at_ms, counter);

-- Why a statement was superseded or taken back. `hour`, `snapshot`: `counter` supersedes another one of its kind;
-- `revocation`: of statements that were lost, or the end of the chain (superseded NULL).
CREATE TABLE trackseal.corrections (
  account trackseal.digest NOT NULL,
  counter trackseal.positive NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('hour', 'snapshot', 'revocation')),
  superseded trackseal.positive CHECK (superseded < counter),
  reason TEXT NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 256),
  PRIMARY KEY (account, counter),
  CHECK (kind = 'revocation' OR superseded IS NOT NULL),
  FOREIGN KEY (account, counter, kind) REFERENCES trackseal.chain (account, counter, kind),
  FOREIGN KEY (account, superseded) REFERENCES trackseal.chain (account, counter)
);
CREATE INDEX corrections_superseded ON trackseal.corrections (account, superseded);

-- How far an account has come.
CREATE TABLE trackseal.sync_status (
  account trackseal.digest PRIMARY KEY REFERENCES trackseal.accounts,
  poll trackseal.count NOT NULL,
  leaf_index trackseal.count,
  slot_ms trackseal.milliseconds NOT NULL,
  last_sync_ms trackseal.milliseconds NOT NULL,
  outcome TEXT NOT NULL CHECK (octet_length(outcome) BETWEEN 1 AND 64),
  reason TEXT CHECK (octet_length(reason) BETWEEN 1 AND 64),
  records trackseal.count NOT NULL, -- sealed records so far
  origin TEXT NOT NULL CHECK (octet_length(origin) BETWEEN 1 AND 255),
  mac trackseal.digest NOT NULL
);

-- What spares a restart the replay of all records: the enclave's own state of an account, sealed.
CREATE TABLE trackseal.sealed_states (
  account trackseal.digest NOT NULL REFERENCES trackseal.accounts,
  purpose TEXT NOT NULL CHECK (purpose ~ '^[a-z_]{1,32}$'),
  counter trackseal.count NOT NULL, -- rises with each one that is written
  key_version INTEGER NOT NULL CHECK (key_version >= 0),
  nonce BYTEA NOT NULL CHECK (octet_length(nonce) = 12),
  sealed BYTEA NOT NULL CHECK (octet_length(sealed) BETWEEN 16 AND 16777216),
  PRIMARY KEY (account, purpose)
);

-- The enclave adds; it changes what says how far it has come; it deletes nothing.
GRANT USAGE ON SCHEMA trackseal TO enclave_user, gateway_reader;
GRANT SELECT ON trackseal.migrations TO enclave_user;
GRANT SELECT, INSERT ON
  trackseal.accounts, trackseal.sealed_fills, trackseal.chain, trackseal.chain_heads,
  trackseal.hourly_returns, trackseal.balance_snapshots, trackseal.corrections,
  trackseal.sync_status, trackseal.sealed_states
  TO enclave_user;
GRANT UPDATE ON trackseal.chain_heads, trackseal.sync_status, trackseal.sealed_states TO enclave_user;
GRANT SELECT ON trackseal.hourly_returns, trackseal.balance_snapshots TO gateway_reader;
