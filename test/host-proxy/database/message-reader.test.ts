import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageReader } from '../../../host-proxy/database/message-reader.ts';
import {
  BackendSplitter,
  encodeMessage,
  encodeQuery,
  parseStartup,
} from '../../../host-proxy/database/protocol.ts';
import { startup } from './raw-client.ts';

async function readAll(stream: PassThrough, maxBytes: number): Promise<readonly string[]> {
  const reader = new MessageReader(stream);
  const found: string[] = [];
  for (;;) {
    const message = await reader.message(maxBytes, null);
    if (typeof message === 'string') return [...found, message];
    found.push(`${message.type}${message.bytes.toString('hex')}`);
  }
}

const messages = fc.array(
  fc.record({
    type: fc.constantFrom('Q', 'P', 'B', 'S'),
    body: fc.uint8Array({ maxLength: 40 }),
  }),
  { maxLength: 6 },
);

describe('messages of a client', () => {
  it('are the same however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(messages, fc.array(fc.nat(), { maxLength: 20 }), async (sent, cuts) => {
        const encoded = sent.map(({ type, body }) => encodeMessage(type, body));
        const bytes = Buffer.concat(encoded);
        const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b);
        const stream = new PassThrough();
        const reading = readAll(stream, 1000);
        let at = 0;
        for (const place of [...places, bytes.length]) {
          if (place > at) stream.write(bytes.subarray(at, place));
          at = place;
          await Promise.resolve();
        }
        stream.end();
        const expected = encoded.map(
          (one) => `${one.toString('latin1', 0, 1)}${one.toString('hex')}`,
        );
        expect(await reading).toEqual([...expected, 'ended']);
        const splitter = new BackendSplitter();
        const split = places.flatMap((place, index) =>
          splitter.push(bytes.subarray(places[index - 1] ?? 0, place)),
        );
        split.push(...splitter.push(bytes.subarray(places.at(-1) ?? 0)));
        expect(Buffer.concat(split.map((one) => one.bytes))).toEqual(bytes);
        expect(split).toHaveLength(sent.length);
      }),
    );
  });

  it('up to the limit are taken, one byte more is refused before it is there', async () => {
    const stream = new PassThrough();
    stream.write(encodeQuery('12345'));
    stream.write(encodeQuery('123456').subarray(0, 5));
    // Five bytes of head, the text and its NUL.
    expect(await readAll(stream, 11)).toEqual([expect.stringMatching(/^Q/u), 'too_large']);
  });

  it('that do not come in time are not waited for', async () => {
    const stream = new PassThrough();
    stream.write(Buffer.of(0x51, 0, 0, 0));
    expect(await new MessageReader(stream).message(100, 20)).toBe('timeout');
    expect(await new MessageReader(new PassThrough()).startup(100, 20)).toBe('timeout');
  });
});

function body(parameters: Readonly<Record<string, string>>): Buffer {
  return startup(parameters).subarray(8);
}

describe('the pairs of a start-up message', () => {
  it('are read', () => {
    const pairs = { user: 'a', database: 'b', application_name: '' };
    expect(parseStartup(body(pairs))).toEqual(new Map(Object.entries(pairs)));
    expect(parseStartup(body({}))).toEqual(new Map());
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a name without a value', Buffer.from('user\0')],
    ['no end', Buffer.from('user\0a\0')],
    ['bytes behind the end', Buffer.from('user\0a\0\0x')],
    ['a name twice', Buffer.from('user\0a\0user\0b\0\0')],
    ['33 pairs', body(Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`n${at}`, 'v'])))],
  ])('are refused: %s', (_, bytes) => {
    expect(parseStartup(bytes)).toBe(null);
  });

  it('may be 32', () => {
    const pairs = Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`n${at}`, 'v']));
    expect(parseStartup(body(pairs))?.size).toBe(32);
  });
});
