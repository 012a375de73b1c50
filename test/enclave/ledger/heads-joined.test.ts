// Desk and ledger with the stream between them: what one ledger has stored the next one is told, in this epoch and behind it,
// and an account that was removed has its chain ended by whichever ledger is there.

import { describe, expect, it } from 'vitest';
import { parseAccountState } from '../../../enclave/desk/account-codec.ts';
import type { Account } from '../../../enclave/desk/accounts.ts';
import type { LedgerAccount, StatedHead } from '../../../enclave/ledger/protocol.ts';
import type { LedgerServices } from '../../../enclave/ledger/services.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { HOUR_DOMAIN, REVOCATION_DOMAIN } from '../../../wire/track/signing.ts';
import type { LedgerScene } from '../../helpers/ledger-scene.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';

interface Joined {
  readonly scene: LedgerScene;
  readonly id: string;
  readonly account: Account;
  /** The last state that the vault would have. */
  readonly states: Uint8Array[];
  /** What each ledger was told to forget. */
  readonly removed: LedgerAccount[][];
}

async function joined(
  epoch = 1,
  opening: () => Promise<void> = () => Promise.resolve(),
): Promise<Joined & { add(state: Uint8Array | null): void }> {
  const removed: LedgerAccount[][] = [];
  const scene = await ledgerScene({
    epoch,
    openParts: (services) => {
      const gone: LedgerAccount[] = [];
      removed.push(gone);
      services.onRemoved((account) => gone.push(account));
      services.onPoll(({ id, poll }) => {
        services.takePoll(id, poll, true);
      });
      return opening().then(() => []);
    },
  });
  const answer = scene.exchange.control.account({ venue: 'binance' });
  const account = scene.account(answer, 'binance');
  const states: Uint8Array[] = [];
  scene.polling.onState((_, state) => states.push(state));
  return {
    scene,
    id: account.id,
    account,
    states,
    removed,
    add: (state) => {
      scene.polling.add(account, state);
    },
  };
}

function last({ scene }: Joined): LedgerServices {
  const services = scene.services.at(-1);
  if (services === undefined) throw new Error('no ledger was started');
  return services;
}

async function told(one: Joined): Promise<LedgerAccount> {
  await one.scene.until(() => one.scene.services.at(-1)?.accounts.has(one.id) === true, 500);
  const account = last(one).accounts.get(one.id);
  if (account === undefined) throw new Error('no account');
  return account;
}

/** Signs and says that it is stored. */
async function state(one: Joined, counter: number, domain = HOUR_DOMAIN): Promise<StatedHead> {
  const { origin } = last(one);
  const { commitment } = one.account;
  const bytes = encodeCbor(
    new Map<number, string | number | Uint8Array>([
      [1, domain],
      [2, origin],
      [3, commitment],
      [6, counter],
    ]),
  );
  assertAccepted(await last(one).sign([bytes]));
  const head = { counter, hash: nodeCrypto.sha256(bytes) };
  last(one).stated(one.id, head);
  return head;
}

describe('how far a chain is stored', () => {
  it('is told to the next ledger, and kept with the state of the account at once', async () => {
    const one = await joined();
    one.add(null);
    await one.scene.untilPolls(1);
    expect((await told(one)).head).toBeNull();
    const before = one.states.length;
    const head = await state(one, 1);
    // No poll has to come for it.
    await one.scene.until(() => one.states.length > before);
    const { commitment } = await told(one);
    const kept = assertAccepted(
      parseAccountState(one.states.at(-1) ?? new Uint8Array(), commitment),
    );
    expect(kept.head).toEqual(head);
    one.scene.kill();
    await one.scene.until(() => one.scene.services.length === 2, 500);
    expect((await told(one)).head).toEqual(head);
  });

  it('is told to the first ledger of the next epoch, before anything is polled', async () => {
    const first = await joined();
    first.add(null);
    await first.scene.untilPolls(1);
    await told(first);
    const before = first.states.length;
    const head = await state(first, 5);
    await first.scene.until(() => first.states.length > before);
    const next = await joined(2);
    // The same account: commitments are the scene's, and the same in each.
    const vault = first.states.at(-1) ?? new Uint8Array();
    next.add(vault);
    expect((await told(next)).head).toEqual(head);
  });
});

describe('an account that is removed', () => {
  it('has its chain ended by the ledger that is there, or the one after it', async () => {
    const one = await joined();
    one.add(null);
    await one.scene.untilPolls(1);
    await told(one);
    await state(one, 1);
    one.scene.polling.remove(one.id);
    await one.scene.until(() => one.removed[0]?.length === 1);
    // It dies before it has done it.
    one.scene.kill();
    await one.scene.until(() => one.removed[1]?.length === 1, 500);
    expect(one.removed[1]?.[0]).toMatchObject({ id: one.id, head: { counter: 1 } });
    expect(last(one).accounts.size).toBe(0);
    await state(one, 2, REVOCATION_DOMAIN);
    expect(one.scene.leaves.filter(isLedgerEvent)).toHaveLength(1);
    // By then the desk has heard that it is stored.
    await expect(state(one, 3, REVOCATION_DOMAIN)).rejects.toThrow('session_unknown');
    // Done: the third one hears nothing of it.
    one.scene.kill();
    await one.scene.until(() => one.scene.services.length === 3, 500);
    await one.scene.until(() => one.scene.ledger.counters['ledger_running'] === 1, 500);
    expect(one.removed[2]).toEqual([]);
  });
});

describe('an account that is removed while the ledger starts', () => {
  it('is told of once it is ready, once', async () => {
    const gate = Promise.withResolvers<void>();
    let isSecond = false;
    const one = await joined(1, () => (isSecond ? gate.promise : Promise.resolve()));
    one.add(null);
    await one.scene.untilPolls(1);
    await told(one);
    await state(one, 1);
    isSecond = true;
    one.scene.kill();
    // Another one is there, hears what it is told, and has not said that it is ready.
    await one.scene.until(() => one.scene.services[1]?.accounts.has(one.id) === true, 500);
    one.scene.polling.remove(one.id);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    gate.resolve();
    await one.scene.until(() => one.removed[1]?.length === 1, 500);
    await expect(state(one, 2)).rejects.toThrow('session_unknown');
    expect(one.removed[1]).toHaveLength(1);
  });
});

function isLedgerEvent({ plaintext }: { readonly plaintext: Uint8Array }): boolean {
  return Buffer.from(plaintext).toString().includes('"event":"ledger"');
}
