import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import { MAX_STATE_BYTES } from '../../../../enclave/ledger/store/account-rows.ts';
import type { Addition } from '../../../../enclave/ledger/store/contract.ts';
import type { PostgresStore } from '../../../../enclave/ledger/store/postgres-store.ts';
import { trackAccountOf } from '../../../../enclave/ledger/store/postgres-store.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import type { Result } from '../../../../wire/result.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { ChainCheck } from '../../../../wire/track/chain.ts';
import { boughtAt } from '../../../helpers/records.ts';
import {
  additionOf,
  hoursOf,
  LEDGER_ACCOUNT,
  rowsOf,
  STORAGE_KEYS,
  STORED_POLL,
  storeScene,
} from '../../../helpers/track-store.ts';
import { Chain, gapAt, HOUR, hourAt, vectorChain } from '../../../vectors/track.ts';
import { findsNew, findsSaid, SAID_NEW, TOLD_AGAIN } from './told-again.ts';

function fill(id: string): Fill {
  return { ...boughtAt(id, HOUR + 5, '0.5', '60000'), cost: '30000' };
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

function addition(statements: readonly Uint8Array[], more: Partial<Addition> = {}): Addition {
  const state = { records: 2, bytes: Uint8Array.of(1, 2, 3) };
  return additionOf(statements, { statedRecords: 2, state, ...more });
}

/** Three records, an account with a chain of six statements, and a state with two of the records. */
async function filled(): Promise<PostgresStore> {
  const store = scene.store();
  const records = [fill('a'), fill('b'), fill('c')];
  expect(await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, records, 0)).toEqual({
    ok: true,
    value: 3,
  });
  const added = await store.append(LEDGER_ACCOUNT, addition(vectorChain().statements));
  expect(added).toEqual({ ok: true, value: null });
  return store;
}

const scene = await storeScene();
const twin = await storeScene();
beforeEach(async () => {
  await scene.clear();
  await twin.clear();
});

describe('the store', () => {
  it('gives back what it was given, checked', async () => {
    await filled();
    const loaded = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    const { statements } = vectorChain();
    expect(loaded.chain.head.counter).toBe(6);
    expect(loaded.recent.map(({ statement }) => Buffer.from(statement).toString('hex'))).toEqual(
      statements.map((statement) => Buffer.from(statement).toString('hex')),
    );
    expect(loaded.state).toMatchObject({ records: 2 });
    expect(loaded.records).toEqual([fill('c')]);
    expect(loaded.recordCount).toBe(3);
    expect(loaded.sync).toEqual(STORED_POLL);
    const rows = assertAccepted(await scene.store().rows(LEDGER_ACCOUNT, loaded.chain, [4, 2]));
    expect(rows.map(({ position }) => position)).toEqual([3, 1]);
  });

  it('keeps a state of as many bytes as one message of the database can have, and none of more', async () => {
    await filled();
    const { chain } = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    let stored = new Uint8Array(0);
    for (const more of [-1, 0, 1]) {
      const bytes = new Uint8Array(randomBytes(MAX_STATE_BYTES + more));
      const store = scene.store();
      const state = { records: 2, bytes };
      const added = await store.append(LEDGER_ACCOUNT, {
        chain,
        rows: [],
        statedRecords: 2,
        state,
      });
      expect(codeOf(added)).toBe('accepted');
      expect(store.counters).toMatchObject({ states_too_large: more === 1 ? 1 : 0 });
      const loaded = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
      if (more < 1) stored = bytes;
      // The one before stays where one is too large.
      expect(loaded.state?.bytes.length).toBe(MAX_STATE_BYTES + Math.min(more, 0));
      expect(Buffer.compare(loaded.state?.bytes ?? new Uint8Array(0), stored)).toBe(0);
    }
  }, 120_000);

  it('has nothing of an account that it does not know', async () => {
    const loaded = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    expect(loaded).toMatchObject({ recordCount: 0, state: null, sync: null, records: [] });
    expect(loaded.chain.head.counter).toBe(0);
  });

  it('tells a reader of the database nothing of a fill', async () => {
    await filled();
    const { rows } = await scene.server.db.query<{ sealed: Uint8Array; record_key: Uint8Array }>(
      'SELECT sealed, record_key FROM trackseal.sealed_fills ORDER BY counter',
    );
    expect(rows).toHaveLength(3);
    const stored = Buffer.concat(rows.flatMap(({ sealed, record_key: key }) => [sealed, key]));
    expect(stored.indexOf('BTC')).toBe(-1);
    expect(stored.indexOf('60000')).toBe(-1);
  });

  it('takes a poll that is told again once', async () => {
    const store = scene.store();
    const records = [fill('a'), fill('b'), fill('a')];
    expect(assertAccepted(await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, records, 0))).toBe(2);
    expect(assertAccepted(await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, records, 0))).toBe(2);
    expect(
      assertAccepted(await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, [fill('b'), fill('d')], 2)),
    ).toBe(3);
    const loaded = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    expect(loaded.records).toEqual([fill('a'), fill('b'), fill('d')]);
    const told = [fill('a'), fill('c'), fill('d')];
    expect([...assertAccepted(await store.unstored(LEDGER_ACCOUNT, told))]).toEqual([
      [fill('c'), false],
    ]);
  });

  it.each(TOLD_AGAIN)('finds new what was not told: $name', async (told) => {
    expect(await findsNew(scene.store(), LEDGER_ACCOUNT, told)).toBe(told.isNew);
  });

  it('finds what was new when it was stored', async () => {
    expect(await findsSaid(scene.store(), LEDGER_ACCOUNT)).toEqual(SAID_NEW);
  });

  it('takes the same rows again, and no others at their place', async () => {
    const store = scene.store();
    const first = addition(hoursOf(2));
    expect(codeOf(await store.append(LEDGER_ACCOUNT, first))).toBe('accepted');
    expect(codeOf(await store.append(LEDGER_ACCOUNT, first))).toBe('accepted');
    const other = new Chain();
    other.link(gapAt(HOUR));
    expect(codeOf(await store.append(LEDGER_ACCOUNT, addition(other.statements)))).toBe(
      'chain_fork',
    );
  });

  it('remembers how many records a chain rests on when they have changed nothing in it', async () => {
    await filled();
    const { chain, statedRecords } = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    const more = { chain, rows: [], statedRecords: 3, state: null };
    expect(codeOf(await scene.store().append(LEDGER_ACCOUNT, more))).toBe('accepted');
    const loaded = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    expect([statedRecords, loaded.statedRecords]).toEqual([2, 3]);
    expect(loaded.chain.head).toEqual(chain.head);
    // A chain that has not begun has none.
    await scene.clear();
    const nothing = { ...more, chain: new ChainCheck(nodeCrypto, trackAccountOf(LEDGER_ACCOUNT)) };
    expect(codeOf(await scene.store().append(LEDGER_ACCOUNT, nothing))).toBe('accepted');
    const begun = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
    expect([begun.chain.head.counter, begun.statedRecords]).toEqual([0, 0]);
  });

  it('does not open without the key of its version', async () => {
    await filled();
    const other = new Map([[1, new Uint8Array(32).fill(2)]]);
    expect(codeOf(await scene.store({}, other).load(LEDGER_ACCOUNT))).toBe('store_mac');
    const newer = new Map([...STORAGE_KEYS, [2, new Uint8Array(32).fill(2)]] as const);
    expect(codeOf(await scene.store({}, newer).load(LEDGER_ACCOUNT))).toBe('accepted');
  });

  it('loses nothing and repeats nothing, whichever statement was the last before a crash', async () => {
    const { statements } = vectorChain();
    let crashes = 0;
    for (let last = 1; crashes === 0; last++) {
      await scene.clear();
      let done = 0;
      const crashing = scene.store({
        onStatement: () => {
          if (++done === last) scene.server.cut();
        },
        timeoutMs: 5000,
      });
      const polled = await crashing.savePoll(
        LEDGER_ACCOUNT,
        STORED_POLL,
        [fill('a'), fill('b')],
        0,
      );
      // Nothing is stated before the records that it rests on are stored.
      const added = polled.ok
        ? await crashing.append(LEDGER_ACCOUNT, addition(statements))
        : polled;
      const isWhole = done < last;
      crashing.close();
      // What a crash left is sound, and has all of a transaction or nothing.
      const between = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
      // An answer that came is true; one that did not come may have been lost behind the commit.
      expect(polled.ok ? [2] : [0, 2]).toContain(between.recordCount);
      expect(added.ok ? [6] : [0, 6]).toContain(between.chain.head.counter);
      // Done again it is as if nothing had happened.
      const again = scene.store();
      expect(
        codeOf(await again.savePoll(LEDGER_ACCOUNT, STORED_POLL, [fill('a'), fill('b')], 0)),
      ).toBe('accepted');
      expect(codeOf(await again.append(LEDGER_ACCOUNT, addition(statements)))).toBe('accepted');
      const after = assertAccepted(await scene.store().load(LEDGER_ACCOUNT));
      expect(after).toMatchObject({ recordCount: 2, state: { records: 2 } });
      expect(after.chain.head.counter).toBe(6);
      if (isWhole) crashes = last;
    }
    expect(crashes).toBeGreaterThan(20);
  }, 120_000);
});

describe('a database that lies', () => {
  it.each<readonly [string, string, string]>([
    [
      'drops a statement in the middle',
      'DELETE FROM trackseal.chain WHERE counter = 3',
      'chain_hole',
    ],
    ['drops the last statement', 'DELETE FROM trackseal.chain WHERE counter = 6', 'store_deleted'],
    ['drops all statements', 'DELETE FROM trackseal.chain', 'store_deleted'],
    [
      'goes back with its own end of the chain',
      'DELETE FROM trackseal.chain_heads',
      'store_rolled_back',
    ],
    [
      'changes a statement',
      'UPDATE trackseal.chain SET statement = set_byte(statement, 200, 1) WHERE counter = 2',
      'store_mac',
    ],
    [
      'changes a figure of a statement, which is not read when an account is loaded',
      'UPDATE trackseal.chain SET statement = set_byte(statement, length(statement) - 9, get_byte(statement, length(statement) - 9) # 1) WHERE counter = 2',
      'store_mac',
    ],
    [
      'changes a place in the log',
      'UPDATE trackseal.chain SET leaf_index = 98 WHERE counter = 2',
      'store_mac',
    ],
    [
      'shows one statement at another place',
      'UPDATE trackseal.chain SET counter = 7 WHERE counter = 3',
      'chain_hole',
    ],
    [
      'exchanges two statements',
      'UPDATE trackseal.chain SET counter = CASE counter WHEN 2 THEN 103 ELSE 102 END WHERE counter IN (2, 3); UPDATE trackseal.chain SET counter = counter - 100 WHERE counter > 100',
      'store_mac',
    ],
    [
      'changes its own end of the chain',
      'UPDATE trackseal.chain_heads SET counter = 5',
      'store_mac',
    ],
    ['drops a record', 'DELETE FROM trackseal.sealed_fills WHERE counter = 3', 'store_deleted'],
    [
      'changes a record',
      'UPDATE trackseal.sealed_fills SET sealed = set_byte(sealed, 3, get_byte(sealed, 3) # 1) WHERE counter = 3',
      'store_mac',
    ],
    [
      'shows one record in place of another',
      'UPDATE trackseal.sealed_fills SET (nonce, sealed) = (SELECT nonce, sealed FROM trackseal.sealed_fills WHERE counter = 1) WHERE counter = 3',
      'store_mac',
    ],
    ['hides that there are records', 'DELETE FROM trackseal.sync_status', 'store_rolled_back'],
    ['changes how far it is', 'UPDATE trackseal.sync_status SET records = 2', 'store_mac'],
    [
      'changes the state of the book',
      'UPDATE trackseal.sealed_states SET sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1)',
      'store_mac',
    ],
    ['changes who an account is', "UPDATE trackseal.accounts SET venue = 'okx'", 'store_mac'],
    ['hides an account that has rows', 'DELETE FROM trackseal.accounts', 'store_deleted'],
    ['has a state of other records', 'UPDATE trackseal.sealed_states SET counter = 1', 'store_mac'],
  ])('%s', async (_, statement, code) => {
    await filled();
    // A hostile server has no constraints.
    await scene.server.db.exec(`SET session_replication_role = replica; ${statement};
      SET session_replication_role = DEFAULT`);
    expect(codeOf(await scene.store().load(LEDGER_ACCOUNT))).toBe(code);
  });

  it('repeats a statement, or a record', async () => {
    for (const [table, code] of [
      ['chain', 'chain_duplicate'],
      ['sealed_fills', 'chain_duplicate'],
    ] as const) {
      await filled();
      await scene.server.db.exec(`SET session_replication_role = replica;
        ALTER TABLE trackseal.${table} RENAME TO kept;
        CREATE VIEW trackseal.${table} AS SELECT * FROM trackseal.kept
          UNION ALL (SELECT * FROM trackseal.kept WHERE counter = 3)`);
      expect(codeOf(await scene.store().load(LEDGER_ACCOUNT)), table).toBe(code);
      await scene.server.db.exec(`DROP VIEW trackseal.${table};
        ALTER TABLE trackseal.kept RENAME TO ${table}`);
    }
  });

  it('splices rows of another account in', async () => {
    const other = {
      ...LEDGER_ACCOUNT,
      id: 'ff'.repeat(16),
      commitment: new Uint8Array(32).fill(9),
    };
    const chain = new Chain();
    chain.link({ ...hourAt(HOUR), accountCommitment: other.commitment });
    const check = new ChainCheck(nodeCrypto, trackAccountOf(other));
    const store = scene.store();
    const added = await store.append(other, addition(chain.statements, { chain: check }));
    expect(codeOf(added)).toBe('accepted');
    await scene.server.db.query('SET session_replication_role = replica');
    for (const table of ['chain', 'chain_heads']) {
      await scene.server.db.query(`UPDATE trackseal.${table} SET account = decode($1, 'hex')`, [
        Buffer.from(LEDGER_ACCOUNT.commitment).toString('hex'),
      ]);
    }
    expect(codeOf(await scene.store().load(LEDGER_ACCOUNT))).toBe('store_mac');
  });

  it('shows a fork: a row that another enclave with the same keys wrote', async () => {
    const chain = new Chain();
    chain.link(hourAt(HOUR));
    const forked = new Chain();
    forked.link(gapAt(HOUR));
    await scene.store().append(LEDGER_ACCOUNT, addition(chain.statements));
    await twin.store().append(LEDGER_ACCOUNT, addition(forked.statements));
    const row =
      "SELECT encode(hash, 'hex') h, encode(statement, 'hex') s, encode(signature, 'hex') g, encode(mac, 'hex') m FROM trackseal.chain";
    const [other] = (await twin.server.db.query<Record<string, string>>(row)).rows;
    await scene.server.db.query('SET session_replication_role = replica');
    await scene.server.db.query(
      "UPDATE trackseal.chain SET hash = decode($1, 'hex'), statement = decode($2, 'hex'), signature = decode($3, 'hex'), mac = decode($4, 'hex')",
      [other?.['h'], other?.['s'], other?.['g'], other?.['m']],
    );
    expect(codeOf(await scene.store().load(LEDGER_ACCOUNT))).toBe('chain_fork');
  });

  it('goes back as a whole while this enclave remembers: the next row shows it', async () => {
    const [one, two, three] = hoursOf(3);
    if (one === undefined || two === undefined || three === undefined) throw new Error('no rows');
    const store = scene.store();
    const none = { statedRecords: 0, state: null };
    await store.append(LEDGER_ACCOUNT, addition([one], none));
    const { rows } = await scene.server.db.query(
      "SELECT counter, encode(hash, 'hex') hash, encode(mac, 'hex') mac, records FROM trackseal.chain_heads",
    );
    const chain = new ChainCheck(nodeCrypto, trackAccountOf(LEDGER_ACCOUNT));
    const [first, second] = rowsOf([one, two]);
    if (first === undefined || second === undefined) throw new Error('no rows');
    chain.add(one, first.parsed);
    await store.append(LEDGER_ACCOUNT, addition([two], { chain, ...none }));
    chain.add(two, second.parsed);
    const [head] = rows as Record<string, unknown>[];
    await scene.server.db.exec('SET session_replication_role = replica');
    await scene.server.db.exec('DELETE FROM trackseal.chain WHERE counter = 2');
    await scene.server.db.query(
      "UPDATE trackseal.chain_heads SET counter = $1, hash = decode($2, 'hex'), mac = decode($3, 'hex'), records = $4",
      [head?.['counter'], head?.['hash'], head?.['mac'], head?.['records']],
    );
    // All that is there fits together: only who knows more can tell.
    expect(codeOf(await scene.store().load(LEDGER_ACCOUNT))).toBe('accepted');
    expect(codeOf(await store.append(LEDGER_ACCOUNT, addition([three], { chain, ...none })))).toBe(
      'store_rolled_back',
    );
    expect(codeOf(await store.rows(LEDGER_ACCOUNT, chain, [2]))).toBe('store_deleted');
  });

  it('answers other rows than those that were asked for', async () => {
    await filled();
    const store = scene.store();
    const { chain } = assertAccepted(await store.load(LEDGER_ACCOUNT));
    expect(codeOf(await store.rows(LEDGER_ACCOUNT, chain, [1, 7]))).toBe('store_deleted');
    const shorter = new ChainCheck(nodeCrypto, trackAccountOf(LEDGER_ACCOUNT));
    expect(codeOf(await store.rows(LEDGER_ACCOUNT, shorter, [1]))).toBe('chain_fork');
  });
});
