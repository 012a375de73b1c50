import * as fc from 'fast-check';
import { duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  GuardedStream,
  MAX_DATABASE_ANSWER_BYTES,
  MAX_DATABASE_MESSAGE_BYTES,
  MessageCheck,
} from '../../../../enclave/ledger/store/guarded-stream.ts';

/** A message whose head says `length` bytes behind it. */
function head(type: string, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write(type, 'latin1');
  bytes.writeInt32BE(length + 4, 1);
  return bytes;
}

function message(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([head(type, payload.length), payload]);
}

function authentication(code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeInt32BE(code);
  return message('R', payload);
}

const ready = message('Z', Buffer.from('I'));

describe('MessageCheck', () => {
  it('lets through what PostgreSQL says, wherever it is cut', () => {
    const row = message('D', Buffer.alloc(300, 7));
    const bytes = Buffer.concat([authentication(10), authentication(0), row, ready]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
        const check = new MessageCheck();
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const answers = places
          .slice(1)
          .map((to, at) => check.check(bytes.subarray(places[at], to)));
        expect(answers.every((answer) => answer === null)).toBe(true);
      }),
    );
  });

  it.each([
    ['COPY, which nobody asked for', head('G', 4), 'message'],
    ['a type of no protocol', head('?', 4), 'message'],
    ['a length below its own', head('Z', -1), 'length'],
    ['one byte more than a message may have', head('D', MAX_DATABASE_MESSAGE_BYTES + 1), 'length'],
    ['a question for an MD5 of the password', authentication(5), 'authentication'],
    ['a question for a Kerberos ticket', authentication(7), 'authentication'],
    ['a question without its kind', message('R', Buffer.alloc(3)), 'length'],
  ])('refuses %s', (_, bytes, what) => {
    expect(new MessageCheck().check(bytes)).toBe(what);
    // Byte by byte it is no other.
    const check = new MessageCheck();
    const answers = [...bytes].map((byte) => check.check(Uint8Array.of(byte)));
    expect(answers.find((answer) => answer !== null)).toBe(what);
  });

  it('takes a message of exactly the limit', () => {
    expect(new MessageCheck().check(head('D', MAX_DATABASE_MESSAGE_BYTES))).toBeNull();
    expect(new MessageCheck().check(authentication(3))).toBeNull();
  });

  it('has a budget for each statement', () => {
    const check = new MessageCheck();
    const part = message('D', Buffer.alloc(1024 * 1024 - 5));
    const parts = MAX_DATABASE_ANSWER_BYTES / part.length;
    for (let at = 0; at < parts; at++) expect(check.check(part)).toBeNull();
    expect(check.check(ready)).toBe('answer');
    check.renew();
    expect(check.check(part)).toBeNull();
  });
});

describe('GuardedStream', () => {
  it('ends the connection at the first byte against the rules, and says no word of the peer', async () => {
    const [near, far] = duplexPair();
    far.on('error', () => undefined);
    const stream = new GuardedStream(near);
    const failed = new Promise<Error>((resolve) => {
      stream.on('error', resolve);
    });
    const got: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => got.push(bytes));
    far.write(ready);
    far.write(Buffer.concat([head('?', 4), Buffer.from('peer')]));
    expect((await failed).message).toBe('message');
    expect(Buffer.concat(got)).toEqual(ready);
    expect(near.destroyed).toBe(true);
  });
});
