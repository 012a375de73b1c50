import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { trackAccountOf } from '../../../../enclave/ledger/store/postgres-store.ts';
import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import { ChainCheck } from '../../../../wire/track/chain.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { boughtAt, depositedAt } from '../../../helpers/records.ts';
import { additionOf, hoursOf, LEDGER_ACCOUNT, STORED_POLL } from '../../../helpers/track-store.ts';
import { HOUR } from '../../../vectors/track.ts';
import { findsNew, findsSaid, SAID_NEW, TOLD_AGAIN } from './told-again.ts';

const OTHER: LedgerAccount = { ...LEDGER_ACCOUNT, id: 'ff'.repeat(16) };

async function append(
  store: MemoryStore,
  account: LedgerAccount,
  statements: readonly Uint8Array[],
): Promise<void> {
  await store.append(account, additionOf(statements, {}, account));
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
    const many = hoursOf(6);
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

  it('knows the records that were saved, the newest of each account, and counts each once', async () => {
    const store = new MemoryStore(1024, 6);
    const fills = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id) => boughtAt(id, HOUR, '1', '2'));
    const save = (account: LedgerAccount, from: number, to: number, before: number) =>
      store.savePoll(account, STORED_POLL, fills.slice(from, to), before);
    const unstored = async (account: LedgerAccount): Promise<string> =>
      [...assertAccepted(await store.unstored(account, fills)).keys()].map(({ id }) => id).join('');
    expect(assertAccepted(await save(OTHER, 0, 5, 0))).toBe(5);
    expect(assertAccepted(await save(OTHER, 4, 6, 5))).toBe(6);
    expect(await unstored(OTHER)).toBe('g');
    expect(await unstored(LEDGER_ACCOUNT)).toBe('abcdefg');
    // Two accounts: three names each.
    await save(LEDGER_ACCOUNT, 0, 1, 0);
    await save(OTHER, 6, 7, 6);
    expect(await unstored(OTHER)).toBe('abcd');
    expect(await unstored(LEDGER_ACCOUNT)).toBe('bcdefg');
    store.forget(OTHER);
    expect(await unstored(OTHER)).toBe('abcdefg');
  });

  it('lets go of flows last', async () => {
    const store = new MemoryStore(1024, 3);
    const flows = ['x', 'y', 'z', 'last'].map((id) => depositedAt(id, HOUR, '1'));
    const fills = ['a', 'b', 'c'].map((id) => boughtAt(id, HOUR, '1', '2'));
    const unstored = async (): Promise<readonly string[]> => {
      const found = await store.unstored(LEDGER_ACCOUNT, [...flows, ...fills]);
      return [...assertAccepted(found).keys()].map(({ id }) => id);
    };
    await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, [...flows.slice(0, 2), ...fills], 0);
    expect(await unstored()).toEqual(['z', 'last', 'a', 'b']);
    await store.savePoll(LEDGER_ACCOUNT, STORED_POLL, flows.slice(2), 5);
    expect(await unstored()).toEqual(['x', 'a', 'b', 'c']);
  });

  it.each(TOLD_AGAIN)('of a flow, $name: $isNew', async (told) => {
    expect(await findsNew(new MemoryStore(), LEDGER_ACCOUNT, told)).toBe(told.isNew);
  });

  it('of a flow that is stored: what nothing before it said', async () => {
    expect(await findsSaid(new MemoryStore(), LEDGER_ACCOUNT)).toEqual(SAID_NEW);
  });

  it('of an account that is removed takes no room from the others', async () => {
    const many = hoursOf(6);
    const store = new MemoryStore(bytesOf(many));
    await append(store, OTHER, many);
    store.forget(OTHER);
    await append(store, LEDGER_ACCOUNT, many);
    expect(store.counters['statements_forgotten']).toBe(0);
    expect(await has(store, LEDGER_ACCOUNT, 1)).toBe(true);
    expect(await has(store, OTHER, 1)).toBe(false);
  });
});
