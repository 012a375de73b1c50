// Records that nothing was stated of yet, in a database that moves, exchanges or drops their rows. Each row is sealed for its
// account and its place, so that what is there fits together only as it was written.

import { beforeEach, expect, it } from 'vitest';
import type { Fill } from '../../../../enclave/connector/records.ts';
import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { boughtAt } from '../../../helpers/records.ts';
import {
  additionOf,
  LEDGER_ACCOUNT,
  STORED_POLL,
  storeScene,
} from '../../../helpers/track-store.ts';
import { HOUR, vectorChain } from '../../../vectors/track.ts';

const OTHER: LedgerAccount = {
  ...LEDGER_ACCOUNT,
  id: 'ff'.repeat(16),
  commitment: new Uint8Array(32).fill(9),
};
const own = `account = '\\x${Buffer.from(LEDGER_ACCOUNT.commitment).toString('hex')}'`;
const other = `account = '\\x${Buffer.from(OTHER.commitment).toString('hex')}'`;

const scene = await storeScene();
beforeEach(() => scene.clear());

function fill(id: string): Fill {
  return { ...boughtAt(id, HOUR + 5, '0.5', '60000'), cost: '30000' };
}

const RECORDS = ['a', 'b', 'c'].map(fill);

/** Three records of each of two accounts; the chain of one rests on none of them. */
async function filled(): Promise<void> {
  const store = scene.store();
  for (const account of [LEDGER_ACCOUNT, OTHER])
    assertAccepted(await store.savePoll(account, STORED_POLL, RECORDS, 0));
  const none = { statedRecords: 0, state: null };
  assertAccepted(await store.append(LEDGER_ACCOUNT, additionOf(vectorChain().statements, none)));
}

it.each<readonly [string, string, string | null]>([
  ['nothing', 'SELECT 1', null],
  ['one in the middle dropped', `DELETE FROM rows WHERE ${own} AND counter = 2`, 'store_deleted'],
  ['the first dropped', `DELETE FROM rows WHERE ${own} AND counter = 1`, 'store_deleted'],
  [
    'one in the middle dropped, and the last in its place',
    `DELETE FROM rows WHERE ${own} AND counter = 2; UPDATE rows SET counter = 2 WHERE ${own} AND counter = 3`,
    'store_mac',
  ],
  [
    'the counters of two exchanged',
    `UPDATE rows SET counter = 104 - counter WHERE ${own} AND counter IN (1, 3); UPDATE rows SET counter = counter - 100 WHERE counter > 100`,
    'store_mac',
  ],
  [
    'one of another account at the same place',
    `DELETE FROM rows WHERE ${own} AND counter = 2; UPDATE rows SET account = (SELECT account FROM rows WHERE ${own} LIMIT 1) WHERE ${other} AND counter = 2`,
    'store_mac',
  ],
])('%s', async (_, sql, code) => {
  await filled();
  // A hostile server has no constraints.
  await scene.server.db.exec(`SET session_replication_role = replica;
    ${sql.replaceAll(/\brows\b/gu, 'trackseal.sealed_fills')}; SET session_replication_role = DEFAULT`);
  const loaded = await scene.store().load(LEDGER_ACCOUNT);
  expect(loaded).toMatchObject(
    code === null ? { ok: true, value: { records: RECORDS } } : { ok: false, refusal: { code } },
  );
});
