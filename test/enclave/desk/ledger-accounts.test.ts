import { describe, expect, it } from 'vitest';
import { LedgerAccounts } from '../../../enclave/desk/ledger-accounts.ts';
import type { LedgerAccount, StatedHead } from '../../../enclave/ledger/protocol.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { HOUR_DOMAIN, METRICS_DOMAIN, REVOCATION_DOMAIN } from '../../../wire/track/signing.ts';
import { LEDGER_ACCOUNT, STORE_ORIGIN } from '../../helpers/track-store.ts';

const ID = LEDGER_ACCOUNT.id;

/** As much of a statement as the desk looks at. */
function statement(
  counter: number,
  domain: string = HOUR_DOMAIN,
  commitment: Uint8Array = LEDGER_ACCOUNT.commitment,
  eighth: CborValue = null,
): Uint8Array {
  return encodeCbor(
    new Map<number, CborValue>([
      [1, domain],
      [2, STORE_ORIGIN],
      [3, commitment],
      [6, counter],
      [8, eighth],
    ]),
  );
}

/** Takes back all from `from` on. */
function loss(counter: number, from: number): Uint8Array {
  return statement(counter, REVOCATION_DOMAIN, LEDGER_ACCOUNT.commitment, [from, counter - 1]);
}

function headOf(counter: number, domain?: string): StatedHead {
  return { counter, hash: nodeCrypto.sha256(statement(counter, domain)) };
}

interface Scene {
  readonly accounts: LedgerAccounts;
  readonly kept: StatedHead[];
  /** Counters; gives what became of it. */
  sign(counters: readonly number[], domain?: string): unknown;
}

function opened(head: StatedHead | null = null): Scene {
  const accounts = new LedgerAccounts();
  const kept: StatedHead[] = [];
  accounts.add({ ...LEDGER_ACCOUNT, head }, (one) => kept.push(one));
  return {
    accounts,
    kept,
    sign: (counters, domain) => {
      const admitted = accounts.admit(
        counters.map((counter) => statement(counter, domain)),
        STORE_ORIGIN,
      );
      return admitted?.ok === true ? admitted.value.notes.map(({ code }) => code) : admitted;
    },
  };
}

function polledHead({ accounts }: Scene): StatedHead | null | undefined {
  return [...accounts.polled][0]?.head;
}

describe('how far a chain is stored', () => {
  it('is what a ledger says of statements that were signed, and only forward', () => {
    const scene = opened();
    expect(scene.sign([1, 2, 3])).toEqual([]);
    for (const counter of [2, 3]) scene.accounts.stated({ id: ID, ...headOf(counter) });
    scene.accounts.stated({ id: ID, ...headOf(1) });
    scene.accounts.stated({ id: ID, ...headOf(3) });
    expect(scene.kept).toEqual([headOf(2), headOf(3)]);
    expect(polledHead(scene)).toEqual(headOf(3));
  });

  it.each([
    ['above what was signed', headOf(4)],
    ['of another statement', { ...headOf(3), hash: new Uint8Array(32) }],
  ])('is not taken %s', (_, head) => {
    const scene = opened();
    scene.sign([1, 2, 3]);
    scene.accounts.stated({ id: ID, ...head });
    expect([scene.kept, polledHead(scene)]).toEqual([[], null]);
  });

  it('is taken of a store before anything was signed in this epoch', () => {
    const scene = opened(headOf(3));
    scene.accounts.stated({ id: ID, ...headOf(7) });
    expect(scene.kept).toEqual([headOf(7)]);
    expect(scene.sign([8])).toEqual([]);
    scene.accounts.stated({ id: ID, ...headOf(9) });
    expect(scene.kept).toEqual([headOf(7)]);
  });

  it('is not taken of an account that is not here', () => {
    const scene = opened();
    scene.accounts.stated({ id: 'ff'.repeat(16), ...headOf(1) });
    expect(scene.kept).toEqual([]);
  });
});

describe('what is signed', () => {
  it('is nothing at a place that is stored, and all behind it', () => {
    const scene = opened(headOf(7));
    for (const counters of [[6], [7], [7, 8], [8, 7]]) {
      expect(scene.sign(counters)).toMatchObject({ refusal: { code: 'chain_fork' } });
    }
    expect(scene.sign([8, 9])).toEqual([]);
    // What was refused has not moved anything: these are signed, and not stored.
    expect(scene.sign([8, 9])).toEqual(['chain_fork']);
    scene.accounts.stated({ id: ID, ...headOf(9) });
    expect(scene.sign([9])).toMatchObject({ refusal: { code: 'chain_fork' } });
    expect(scene.sign([10])).toEqual([]);
    // It has no place.
    expect(scene.sign([1], METRICS_DOMAIN)).toEqual([]);
  });

  it('is in the trail where it takes something back', () => {
    const { accounts } = opened();
    const admitted = accounts.admit([statement(1), loss(2, 1)], STORE_ORIGIN);
    expect(admitted).toMatchObject({
      value: {
        domains: [HOUR_DOMAIN, REVOCATION_DOMAIN],
        notes: [{ event: 'revocation', account: ID, code: null }],
      },
    });
  });
});

describe('the end of a chain', () => {
  it('is not signed of an account that is polled, also among others', () => {
    const scene = opened(headOf(3));
    const end = statement(4, REVOCATION_DOMAIN);
    for (const statements of [[end], [statement(4), statement(5, REVOCATION_DOMAIN)]]) {
      const admitted = scene.accounts.admit(statements, STORE_ORIGIN);
      expect(admitted).toMatchObject({ refusal: { code: 'chain_ended' } });
    }
    // It has moved nothing.
    expect(scene.sign([4])).toEqual([]);
  });
});

describe('an account that was removed', () => {
  it('whose ledger first says what was lost has its end signed behind that', () => {
    const { accounts } = opened(headOf(3));
    accounts.remove(ID);
    const lost = loss(4, 1);
    expect(accounts.admit([lost], STORE_ORIGIN)?.ok).toBe(true);
    accounts.stated({ id: ID, counter: 4, hash: nodeCrypto.sha256(lost) });
    expect(Array.from(accounts.leaving, ({ head }) => head?.counter)).toEqual([4]);
    const end = statement(5, REVOCATION_DOMAIN);
    expect(accounts.admit([end], STORE_ORIGIN)).toMatchObject({ ok: true });
    accounts.stated({ id: ID, counter: 5, hash: nodeCrypto.sha256(end) });
    expect([...accounts.leaving]).toEqual([]);
  });

  it('is gone where it has no chain', () => {
    const scene = opened();
    expect([scene.accounts.remove(ID), scene.accounts.remove(ID)]).toEqual([true, false]);
    expect([...scene.accounts.leaving]).toEqual([]);
    expect(scene.accounts.commitmentOf(ID)).toBeNull();
    for (const domain of [HOUR_DOMAIN, REVOCATION_DOMAIN]) {
      expect(scene.sign([1], domain)).toMatchObject({ refusal: { code: 'session_unknown' } });
    }
  });

  it.each([
    ['stored', () => opened(headOf(3))],
    [
      'signed',
      () => {
        const scene = opened();
        scene.sign([1, 2, 3]);
        return scene;
      },
    ],
  ])(
    'with a chain that is %s has its end signed, and nothing else, until that is stored',
    (_, make: () => Scene) => {
      const scene = make();
      scene.accounts.remove(ID);
      expect(scene.accounts.has(ID)).toBe(false);
      expect(Array.from(scene.accounts.leaving, ({ id }) => id)).toEqual([ID]);
      expect(scene.sign([4])).toMatchObject({ refusal: { code: 'session_unknown' } });
      expect(scene.sign([1], METRICS_DOMAIN)).toMatchObject({
        refusal: { code: 'session_unknown' },
      });
      expect(scene.sign([4], REVOCATION_DOMAIN)).toEqual([null]);
      // An hour that was signed before it went, and is stored only now.
      scene.accounts.stated({ id: ID, ...headOf(3) });
      expect(Array.from(scene.accounts.leaving, ({ head }) => head)).toEqual([headOf(3)]);
      scene.accounts.stated({ id: ID, ...headOf(4, REVOCATION_DOMAIN) });
      expect([...scene.accounts.leaving]).toEqual([]);
      expect(scene.sign([5], REVOCATION_DOMAIN)).toMatchObject({
        refusal: { code: 'session_unknown' },
      });
    },
  );

  it('waits with at most 256 others', () => {
    const accounts = new LedgerAccounts();
    const made = Array.from({ length: 257 }, (_, at): LedgerAccount => {
      const commitment = nodeCrypto.sha256(Uint8Array.of(at >> 8, at & 255));
      return { ...LEDGER_ACCOUNT, id: String(at), commitment, head: headOf(1) };
    });
    for (const [at, account] of made.entries()) {
      accounts.add(account, () => undefined);
      accounts.remove(account.id);
      expect([...accounts.leaving].length).toBe(Math.min(at + 1, 256));
    }
    const ends = made.map(({ commitment }) =>
      accounts.admit([statement(2, REVOCATION_DOMAIN, commitment)], STORE_ORIGIN),
    );
    expect(ends.map((end) => end?.ok)).toEqual(made.map((_, at) => at > 0));
  });
});
