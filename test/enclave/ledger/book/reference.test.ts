// What names a transfer in the statements of both accounts of one user: whoever could read it would find the transaction, and whoever
// could forge it would make a deposit of others a transfer of his own.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../wire/bytes.ts';
import { AccountBook } from '../../../../enclave/ledger/book/account-book.ts';
import { PriceTable } from '../../../../enclave/ledger/book/price-table.ts';
import { referenceOf } from '../../../../enclave/ledger/book/reference.ts';
import { balance, close, flow, MINUTE_MS, observation, parUsdt, T0 } from './helpers.ts';

const KEY = new Uint8Array(32).fill(3);
const HEX = 'ab'.repeat(32);
const named = (venue: string, id: string): string => toHex(referenceOf(KEY, venue, id));

describe('the name of a transfer', () => {
  it.each([HEX.toUpperCase(), `0x${HEX}`, `0X${HEX}`, `${HEX}:1`, `${HEX}-0`, ` ${HEX} `])(
    'a network id is the same at each venue, written as %s',
    (id) => {
      expect(named('kraken', id)).toBe(named('binance', HEX));
      expect(named('kraken', id)).toMatch(/^[0-9a-f]{32}$/u);
    },
  );

  it('an id with a digit more is another, and so is one of another case where case counts', () => {
    expect(named('okx', `${HEX}0`)).not.toBe(named('okx', HEX));
    const base58 = '5VfYmGBjVTgqMnC2p8DqXkZ1u9sJxN3wQ7hRbEtLcA2K';
    expect(named('okx', base58)).toBe(named('bybit', base58));
    expect(named('okx', base58.toLowerCase())).not.toBe(named('okx', base58));
  });

  it('what a venue calls a transfer of its own is of that venue, whichever of its products tells', () => {
    const own = named('binance', 'Off-chain transfer 123456');
    expect(named('binancemargin', 'Internal transfer 123456')).toBe(own);
    expect(named('binanceusdm', '123456')).toBe(own);
    expect(named('okx', '123456')).not.toBe(own);
    expect(named('binance', '123457')).not.toBe(own);
  });

  it('another key gives another one', () => {
    expect(toHex(referenceOf(new Uint8Array(32), 'okx', HEX))).not.toBe(named('okx', HEX));
  });
});

const prices = PriceTable.of(parUsdt(8));
const nameOf = (id: string): Uint8Array => referenceOf(KEY, 'okx', id);
const opened = (): AccountBook => {
  const book = new AccountBook({ pricedIn: 'USDT', referenceOf: nameOf });
  book.observe(observation(T0, [balance('USDT', '1000')]));
  return book;
};
const references = (book: AccountBook, hours: number): readonly (string | null)[] =>
  close(book, prices, hours).flatMap(({ flows }) =>
    flows.map(({ reference }) => (reference === null ? null : toHex(reference))),
  );
const moved = { currency: 'USDT', amount: '10', timeMs: T0 + MINUTE_MS } as const;

describe('the name of a flow', () => {
  it.each([
    ['deposit', 'in'],
    ['withdrawal', 'out'],
    ['transfer_in', 'in'],
    ['transfer_out', 'out'],
  ] as const)('a %s has one where the venue tells of a transaction', (type, direction) => {
    const book = opened();
    book.apply(flow({ ...moved, type, direction, networkId: HEX }));
    book.apply(flow({ ...moved, timeMs: T0 + 2 * MINUTE_MS, type, direction }));
    expect(references(book, 1)).toEqual([named('okx', HEX), null]);
  });

  it('the leg of a conversion has none: its name is one of the account alone', () => {
    const book = opened();
    book.apply(flow({ ...moved, type: 'conversion', direction: 'in', networkId: HEX }));
    expect(references(book, 1)).toEqual([null]);
  });

  const withdrawal = { ...moved, id: 'w', type: 'withdrawal', direction: 'out' } as const;
  it.each(['pending', 'ok'] as const)(
    'a withdrawal that was %s without a transaction gets the name of it, and its hour is stated anew',
    (status) => {
      const book = opened();
      book.apply(flow({ ...withdrawal, status }));
      expect(references(book, 2)).toEqual([null]);
      const sent = flow({ ...withdrawal, status: 'ok', networkId: HEX });
      expect(book.apply(sent)).toBe('late');
      expect(book.apply(sent)).toBe('repeated');
      expect(book.apply(flow({ ...withdrawal, status: 'ok' }))).toBe('repeated');
      expect(book.reopen(T0)).toHaveLength(2);
      expect(references(book, 2)).toEqual([named('okx', HEX)]);
    },
  );

  it('and has it after a restart, too', () => {
    const book = opened();
    const later = { ...withdrawal, timeMs: T0 + 70 * MINUTE_MS };
    book.apply(flow({ ...later, status: 'pending' }));
    close(book, prices, 3);
    const sent = flow({ ...later, status: 'ok', networkId: HEX });
    expect(book.apply(sent)).toBe('late');
    book.reopen(sent.timeMs);
    close(book, prices, 2);
    const back = AccountBook.parse(book.encode(), { pricedIn: 'USDT', referenceOf: nameOf });
    expect(back?.apply(sent)).toBe('repeated');
    expect(back?.reopen(sent.timeMs - 10 * MINUTE_MS)).toHaveLength(2);
    expect(back === null ? [] : references(back, 2)).toEqual([named('okx', HEX)]);
  });

  it('and before its hour is closed nothing is late', () => {
    const book = opened();
    book.apply(flow({ ...withdrawal, status: 'pending' }));
    expect(book.apply(flow({ ...withdrawal, status: 'ok', networkId: HEX }))).toBe('new');
    expect(references(book, 1)).toEqual([named('okx', HEX)]);
  });
});
