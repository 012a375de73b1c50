import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { MessageCheck } from '../../../../enclave/ledger/store/guarded-stream.ts';
import { LEDGER_ACCOUNT, storeScene } from '../../../helpers/track-store.ts';

function message(type: string, body: string | readonly number[]): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.from(body);
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** The client library throws at the first ones, and reads the errors for ever. */
const MALFORMED: readonly (readonly [string, Buffer])[] = [
  ['a row without columns', message('D', [])],
  ['a row of more columns than it has', message('D', [0x7f, 0xff])],
  ['a value beyond its row', message('D', [0, 1, 0, 0, 0, 9, 1])],
  ['a value of negative length', message('D', [0, 1, 0xff, 0xff, 0xff, 0xfe])],
  ['a description that is cut', message('T', [0, 1, 0x61, 0, 1])],
  ['a description of parameters that is cut', message('t', [0, 1, 0])],
  ['a notification without a number', message('A', [0])],
  ['a key that is cut', message('K', [0, 0, 0, 1])],
  ['a completion without an end', message('C', 'SELECT 1')],
  ['a parameter without a value', message('S', 'TimeZone\0')],
  ['a state without its letter', message('Z', [])],
  ['an authentication of no kind', message('R', [])],
  ['a question for the password itself', message('R', [0, 0, 0, 3])],
  ['a question for MD5', message('R', [0, 0, 0, 5, 1, 2, 3, 4])],
  ['mechanisms without an end', message('R', [0, 0, 0, 10, 0x53])],
  ['an empty error', message('E', '')],
  ['an error without an end', message('E', 'SERROR\0')],
  ['a notice whose field has no end', message('N', 'SERROR')],
  ['more behind an error', message('E', 'SERROR\0\0x')],
];

const WELL_FORMED: readonly Buffer[] = [
  message('R', [0, 0, 0, 10, ...Buffer.from('SCRAM-SHA-256\0\0')]),
  message('R', [0, 0, 0, 11, 1, 2]),
  message('R', [0, 0, 0, 0]),
  message('S', 'TimeZone\0UTC\0'),
  message('K', [0, 0, 0, 1, 0, 0, 0, 2]),
  message('Z', 'I'),
  message('1', []),
  message('t', [0, 1, 0, 0, 0, 17]),
  message('T', [0, 1, 0x61, 0, ...new Uint8Array(18)]),
  message('D', [0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x31]),
  message('C', 'SELECT 1\0'),
  message('E', 'SERROR\0C23505\0\0'),
  message('N', '\0'),
];

const scene = await storeScene();
beforeEach(async () => {
  scene.server.answer = (bytes) => bytes;
  await scene.clear();
});

describe('what a database says', () => {
  it('is let through unchanged, wherever it is cut', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...WELL_FORMED]),
        fc.array(fc.nat(400), { maxLength: 12 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages);
          const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length];
          places.sort((a, b) => a - b);
          const check = new MessageCheck();
          const through = places.map((place, at) =>
            check.take(bytes.subarray(places[at - 1] ?? 0, place)),
          );
          expect(through.filter((part) => typeof part === 'string')).toEqual([]);
          expect(Buffer.concat(through as Buffer[]).toString('hex')).toBe(bytes.toString('hex'));
        },
      ),
    );
  });

  it.each(MALFORMED)('ends the connection, and nothing else: %s', async (_, bytes) => {
    const check = new MessageCheck();
    expect(typeof check.take(bytes)).toBe('string');
    const store = scene.store();
    expect((await store.load(LEDGER_ACCOUNT)).ok).toBe(true);
    let said = false;
    scene.server.answer = (answer) => {
      const instead = said ? answer : bytes;
      said = true;
      return instead;
    };
    const refused = await store.load(LEDGER_ACCOUNT);
    expect(refused).toMatchObject({ refusal: { code: 'database_answer_invalid' } });
    expect((await store.load(LEDGER_ACCOUNT)).ok).toBe(true);
  });
});
