import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { trackAccountOf } from '../../../../enclave/ledger/store/postgres-store.ts';
import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { ChainCheck } from '../../../../wire/track/chain.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { LEDGER_ACCOUNT, rowsOf } from '../../../helpers/track-store.ts';
import { Chain, HOUR, hourAt } from '../../../vectors/track.ts';

const OTHER: LedgerAccount = { ...LEDGER_ACCOUNT, id: 'ff'.repeat(16) };

function hours(count: number): readonly Uint8Array[] {
  const chain = new Chain();
  for (let at = 0; at < count; at++) chain.link(hourAt(HOUR + at * HOUR_MS));
  return chain.statements;
}

async function append(
  store: MemoryStore,
  account: LedgerAccount,
  statements: readonly Uint8Array[],
): Promise<void> {
  const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
  await store.append(account, {
    chain,
    rows: rowsOf(statements),
    statedRecords: 0,
    state: null,
  });
}

async function has(store: MemoryStore, account: LedgerAccount, counter: number): Promise<boolean> {
  const chain = new ChainCheck(nodeCrypto, trackAccountOf(account));
  return (await store.rows(account, chain, [counter])).ok;
}

function bytesOf(statements: readonly Uint8Array[]): number {
  return statements.reduce((sum, { length }) => sum + length, 0);
}

describe('the record that is held in memory', () => {
  it('of the account that has most goes first, the oldest of it, at the limit', async () => {
    const many = hours(6);
    const [one] = many;
    if (one === undefined) throw new Error('no statements');
    const store = new MemoryStore(bytesOf(many) + one.length + 64);
    await append(store, OTHER, many);
    await append(store, LEDGER_ACCOUNT, [one]);
    expect(store.counters['statements_forgotten']).toBe(0);
    await append(store, LEDGER_ACCOUNT, many.slice(1, 2));
    expect(store.counters['statements_forgotten']).toBe(1);
    expect(await has(store, OTHER, 1)).toBe(false);
    expect(await has(store, OTHER, 2)).toBe(true);
    expect(await has(store, LEDGER_ACCOUNT, 1)).toBe(true);
    expect(await has(store, LEDGER_ACCOUNT, 2)).toBe(true);
  });

  it('of an account that is removed takes no room from the others', async () => {
    const many = hours(6);
    const store = new MemoryStore(bytesOf(many));
    await append(store, OTHER, many);
    store.forget(OTHER);
    await append(store, LEDGER_ACCOUNT, many);
    expect(store.counters['statements_forgotten']).toBe(0);
    expect(await has(store, LEDGER_ACCOUNT, 1)).toBe(true);
    expect(await has(store, OTHER, 1)).toBe(false);
  });
});
