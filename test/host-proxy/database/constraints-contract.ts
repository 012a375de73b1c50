// What rows the tables refuse, whichever the database is, and that amounts stay as they were said.

import type { Client } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DatabaseUnderTest } from './database-under-test.ts';
import { codeOf, migratedOwner } from './database-under-test.ts';
import {
  accountRow,
  bytes,
  chainRow,
  DAY_MS,
  fill,
  hourRow,
  insert,
  sealedRow,
  snapshotRow,
} from './rows.ts';
import type { Row } from './rows.ts';

export function constraintsContract(open: () => DatabaseUnderTest): void {
  describe('constraints', () => {
    let owner: Client;

    beforeEach(async () => {
      owner = await migratedOwner(open());
    });

    const accounts: readonly (readonly [string, Row, string])[] = [
      ['a commitment of 31 bytes', { account: bytes(31, 1) }, '23514'],
      ['a commitment of 33 bytes', { account: bytes(33, 1) }, '23514'],
      ['no MAC', { mac: null }, '23502'],
      ['a venue in capitals', { venue: 'Binance' }, '23514'],
      ['a venue of 51 characters', { venue: 'a'.repeat(51) }, '23514'],
    ];
    it.each(accounts)('of an account: %s', async (_, changes, code) => {
      expect(await codeOf(insert(owner, 'accounts', accountRow(changes)))).toBe(code);
      await insert(owner, 'accounts', accountRow({ venue: 'a'.repeat(50) }));
      expect(await codeOf(insert(owner, 'accounts', accountRow()))).toBe('23505');
    });

    const hours: readonly (readonly [string, Row, string])[] = [
      ['an amount that is none', { equity_end: 'NaN' }, '23514'],
      ['an amount without end', { realised: 'Infinity' }, '23514'],
      ['an amount without end, below', { realised: '-Infinity' }, '23514'],
      ['an hour that does not start on the hour', { start_ms: DAY_MS + 1 }, '23514'],
      ['a return without its method', { return_method: null }, '23514'],
      ['a method without a return', { return_ratio: null, return_reason: 'x' }, '23514'],
      ['a gap without a reason', { return_ratio: null, return_method: null }, '23514'],
      ['a statement of nothing', { statement: Buffer.alloc(0) }, '23514'],
      ['a signature of 63 bytes', { signature: bytes(63, 1) }, '23514'],
      ['a signature of 65 bytes', { signature: bytes(65, 1) }, '23514'],
      ['a correction of itself', { supersedes: 2 }, '23514'],
      ['a correction of what is later', { supersedes: 3 }, '23514'],
      ['a correction of another hour', { supersedes: 1 }, '23503'],
      ['a place in the chain that is not there', { counter: 3 }, '23503'],
      ['a place in the chain that is a snapshot', { counter: 4 }, '23503'],
      ['an hour that was told already', { start_ms: hourRow(1)['start_ms'] }, '23505'],
      ['a negative inflow', { inflow: '-1' }, '23514'],
      ['an unknown status', { status: 'fine' }, '23514'],
    ];
    it.each(hours)('of an hour: %s', async (_, changes, code) => {
      await insert(owner, 'accounts', accountRow());
      await insert(owner, 'chain', chainRow(1));
      await insert(owner, 'chain', chainRow(2));
      await insert(owner, 'chain', chainRow(3));
      await owner.query('DELETE FROM trackseal.chain WHERE counter = 3');
      await insert(owner, 'chain', chainRow(4, { kind: 'snapshot', previous: bytes(32, 2) }));
      await insert(owner, 'hourly_returns', hourRow(1));
      expect(await codeOf(insert(owner, 'hourly_returns', hourRow(2, changes)))).toBe(code);
      await insert(owner, 'hourly_returns', hourRow(2));
    });

    it('of the chain: no second statement at one place, no fork, no loose end', async () => {
      await insert(owner, 'accounts', accountRow());
      expect(await codeOf(insert(owner, 'chain', chainRow(2)))).toBe('23503');
      await insert(owner, 'chain', chainRow(1));
      const other = { hash: bytes(32, 99), position: 99 };
      expect(await codeOf(insert(owner, 'chain', chainRow(1, other)))).toBe('23505');
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { previous: null })))).toBe('23514');
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { hash: bytes(32, 1) })))).toBe(
        '23505',
      );
      // The same signature cannot stand for two rows.
      expect(await codeOf(insert(owner, 'chain', chainRow(2, { position: 1 })))).toBe('23505');
      await insert(owner, 'chain', chainRow(2));
    });

    it('of corrections: each hour has one successor', async () => {
      await fill(owner);
      await insert(owner, 'chain', chainRow(6));
      const again = hourRow(6, { supersedes: 1, start_ms: hourRow(1)['start_ms'] });
      expect(await codeOf(insert(owner, 'hourly_returns', again))).toBe('23505');
      await insert(owner, 'hourly_returns', { ...again, supersedes: 3 });
    });

    it('of snapshots: at midnight', async () => {
      await fill(owner);
      await insert(owner, 'chain', chainRow(6, { kind: 'snapshot' }));
      const noon = snapshotRow(6, { at_ms: 20_000 * DAY_MS + DAY_MS / 2 });
      expect(await codeOf(insert(owner, 'balance_snapshots', noon))).toBe('23514');
      expect(await codeOf(insert(owner, 'balance_snapshots', snapshotRow(6)))).toBe('23505');
      await insert(owner, 'balance_snapshots', { ...noon, at_ms: 20_002 * DAY_MS });
    });

    it('of sealed records: one key once, said twice or not', async () => {
      const enclave = await open().connect('enclave_user');
      await insert(enclave, 'accounts', accountRow());
      const add = async (row: Row): Promise<number | null> => {
        const columns = Object.keys(row);
        const places = columns.map((_, at) => `$${at + 1}`).join(', ');
        const into = `INSERT INTO trackseal.sealed_fills (${columns.join(', ')}) VALUES (${places})`;
        const text = `${into} ON CONFLICT (account, record_key) DO NOTHING`;
        return (await enclave.query(text, Object.values(row))).rowCount;
      };
      expect(await add(sealedRow(1))).toBe(1);
      expect(await add(sealedRow(1, { counter: 2 }))).toBe(0);
      expect(await codeOf(add(sealedRow(2, { counter: 1 })))).toBe('23505');
      expect(await codeOf(add(sealedRow(2, { sealed: bytes(15, 1) })))).toBe('23514');
      expect(await codeOf(add(sealedRow(2, { sealed: bytes(1_048_577, 1) })))).toBe('23514');
      expect(await add(sealedRow(2, { sealed: bytes(1_048_576, 1) }))).toBe(1);
      expect(await codeOf(add(sealedRow(3, { nonce: bytes(13, 1) })))).toBe('23514');
    });

    it('keep amounts exactly as they were said', async () => {
      await fill(owner);
      const found = await owner.query(
        'SELECT return_ratio, realised, volume FROM trackseal.hourly_returns WHERE counter = 1',
      );
      expect(found.rows).toEqual([
        {
          return_ratio: '0.012300000000000000',
          realised: '-0.000000000000000001',
          volume: '123456789012345678901234567890.5',
        },
      ]);
    });
  });
}
