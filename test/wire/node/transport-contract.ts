// What every transport promises, as cases that need nothing but two transports and node:assert: vitest runs
// them here, a plain program runs them inside of a guest (test/vm/guest/transport-contract.ts). No case looks
// at a clock to judge; the caller ends a case that hangs.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Listener, Transport } from '../../../wire/node/transport.ts';

export interface ContractPair {
  readonly client: Transport;
  readonly server: Transport;
  /**
   * False where one side's end is the end of both, or is not seen before the stream is closed: so does
   * vhost-device-vsock, whose two directions do not end apart from one another.
   */
  readonly halfClose: boolean;
  readonly sizes: ContractSizes;
  /** Of this process. */
  readonly openDescriptors: () => number;
}

export interface ContractSizes {
  /** Streams that are open at the same time. */
  readonly streams: number;
  /** Per direction, in bytes. */
  readonly bulkBytes: number;
  /** Connections of the search for leaks. */
  readonly connections: number;
}

/** A sample for every run, and what issue 4 asks for. */
export const SAMPLE_SIZES: ContractSizes = {
  streams: 100,
  bulkBytes: 8_000_000,
  connections: 480,
};
export const FULL_SIZES: ContractSizes = {
  streams: 400,
  bulkBytes: 100_000_000,
  connections: 10_000,
};

export interface ContractCase {
  readonly name: string;
  /** Left out where the ends of the two directions are not told apart. */
  readonly needsHalfClose?: boolean;
  readonly run: (pair: ContractPair) => Promise<void>;
}

const PORT = 5000;
const PIECE_BYTES = 64 * 1024;
/** What kernel and both sides' buffers may hold while nobody reads. */
const MAX_HELD_BYTES = 4_000_000;
const QUIET_MS = 250;

/** Streams in the order in which they were accepted. */
class Accepting {
  readonly streams: Duplex[] = [];
  #listener: Listener | null = null;
  #waiters: ((stream: Duplex) => void)[] = [];

  static async on(transport: Transport, port: number): Promise<Accepting> {
    const accepting = new Accepting();
    accepting.#listener = await transport.listen(port, (stream) => {
      quiet(stream);
      const waiter = accepting.#waiters.shift();
      if (waiter === undefined) accepting.streams.push(stream);
      else waiter(stream);
    });
    return accepting;
  }

  next(): Promise<Duplex> {
    const stream = this.streams.shift();
    if (stream !== undefined) return Promise.resolve(stream);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}

function quiet(stream: Duplex): Duplex {
  return stream.on('error', () => undefined);
}

/** Both ends of a new stream. */
async function connected(
  { client }: ContractPair,
  accepting: Accepting,
): Promise<readonly [Duplex, Duplex]> {
  const [near, far] = await Promise.all([client.connect(PORT), accepting.next()]);
  return [quiet(near), far];
}

async function withStreams(
  pair: ContractPair,
  run: (near: Duplex, far: Duplex) => Promise<void>,
): Promise<void> {
  const accepting = await Accepting.on(pair.server, PORT);
  const [near, far] = await connected(pair, accepting);
  try {
    await run(near, far);
  } finally {
    near.destroy();
    far.destroy();
    await accepting.close();
  }
}

function closed(stream: Duplex): Promise<void> {
  if (stream.closed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', () => {
      resolve();
    });
  });
}

/** Resolves at the end of the peer's side; rejects when the stream closes without one. */
function ended(stream: Duplex): Promise<void> {
  if (stream.readableEnded) return Promise.resolve();
  return new Promise((resolve, reject) => {
    stream.once('end', resolve);
    stream.once('close', () => {
      reject(new Error('closed without an end'));
    });
    stream.resume();
  });
}

/** Over, in whatever order end, error and close come. */
function over(stream: Duplex): Promise<void> {
  if (stream.closed || stream.readableEnded) return Promise.resolve();
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) {
      stream.once(event, () => {
        resolve();
      });
    }
    stream.resume();
  });
}

function written(stream: Duplex, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

/** Exactly so many bytes; what comes after them stays in the stream. */
async function take(stream: Duplex, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let missing = bytes; missing > 0;) {
    const there = Math.min(missing, stream.readableLength);
    const chunk = there === 0 ? null : (stream.read(there) as Buffer | null);
    if (chunk !== null) {
      parts.push(chunk);
      missing -= chunk.length;
      continue;
    }
    assert.ok(!stream.readableEnded && !stream.destroyed, 'the stream ended early');
    await new Promise<void>((resolve) => {
      const go = (): void => {
        for (const event of ['readable', 'end', 'close']) stream.off(event, go);
        resolve();
      };
      for (const event of ['readable', 'end', 'close']) stream.on(event, go);
      // What arrived meanwhile is asked for.
      stream.read(0);
    });
  }
  return Buffer.concat(parts);
}

/** Random pieces with their number in front; answers the hash of all. Waits when told to. */
async function send(stream: Duplex, total: number): Promise<string> {
  const hash = createHash('sha256');
  const base = randomBytes(PIECE_BYTES);
  for (let sent = 0; sent < total; sent += PIECE_BYTES) {
    const piece = Buffer.from(base.subarray(0, Math.min(PIECE_BYTES, total - sent)));
    if (piece.length >= 4) piece.writeUInt32BE(sent / PIECE_BYTES);
    hash.update(piece);
    if (!stream.write(piece)) {
      await new Promise<void>((resolve, reject) => {
        stream.once('drain', resolve);
        stream.once('close', () => {
          reject(new Error(`closed after ${sent} bytes`));
        });
      });
      stream.removeAllListeners('close');
    }
  }
  return hash.digest('hex');
}

/** The hash of so many bytes; more than that is a failure. */
function receive(stream: Duplex, total: number): Promise<string> {
  const hash = createHash('sha256');
  let received = 0;
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
      hash.update(chunk);
      if (received === total) resolve(hash.digest('hex'));
      if (received > total) reject(new Error(`${received} bytes instead of ${total}`));
    });
    stream.once('end', () => {
      reject(new Error(`ended after ${received} bytes of ${total}`));
    });
    stream.once('close', () => {
      reject(new Error(`closed after ${received} bytes of ${total}`));
    });
  });
}

async function rejected(promise: Promise<Duplex>): Promise<string> {
  const outcome = await promise.then(
    (stream) => {
      stream.destroy();
      return null;
    },
    (error: unknown) => error,
  );
  assert.ok(outcome instanceof Error, 'it connected to nobody');
  const code = 'code' in outcome ? outcome.code : null;
  assert.ok(typeof code === 'string', `no code: ${outcome.message}`);
  return code;
}

async function echoOnce(near: Duplex, far: Duplex, bytes: number): Promise<void> {
  const message = randomBytes(bytes);
  await written(near, message);
  const heard = await take(far, bytes);
  await written(far, heard);
  assert.deepEqual(await take(near, bytes), message);
}

const CASES: readonly ContractCase[] = [
  {
    name: 'bytes go both ways',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        for (const bytes of [1, 2, 1000, 32_767, 32_768, 32_769]) {
          await echoOnce(near, far, bytes);
          await echoOnce(far, near, bytes);
        }
      }),
  },
  {
    name: 'one large write, a text and an empty write arrive whole and in order',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        const large = randomBytes(1_000_003);
        near.write(large);
        near.write('text é');
        near.write(Buffer.alloc(0));
        near.write(Buffer.from('last'));
        const expected = Buffer.concat([large, Buffer.from('text élast')]);
        const hash = await receive(far, expected.length);
        assert.equal(hash, createHash('sha256').update(expected).digest('hex'));
      }),
  },
  {
    name: 'many small writes without waiting arrive in order',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        const pieces = Array.from({ length: 3000 }, (_, index) => Buffer.from(`${index},`));
        const expected = Buffer.concat(pieces);
        const heard = receive(far, expected.length);
        for (const piece of pieces) near.write(piece);
        assert.equal(await heard, createHash('sha256').update(expected).digest('hex'));
      }),
  },
  {
    name: 'what comes before anybody listens is kept',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        await written(near, Buffer.from('early'));
        await sleep(QUIET_MS);
        await written(near, Buffer.from('late'));
        assert.equal(String(await take(far, 9)), 'earlylate');
      }),
  },
  {
    name: 'many streams are open at once and keep apart',
    run: async (pair) => {
      const accepting = await Accepting.on(pair.server, PORT);
      const nears = await Promise.all(
        Array.from({ length: pair.sizes.streams }, async (_, index) => {
          const near = quiet(await pair.client.connect(PORT));
          const message = Buffer.alloc(5000, index);
          message.writeUInt32BE(index);
          near.write(message);
          return near;
        }),
      );
      const fars = await Promise.all(nears.map(() => accepting.next()));
      const seen = await Promise.all(
        fars.map(async (far) => {
          const message = await take(far, 5000);
          await written(far, message);
          return message.readUInt32BE();
        }),
      );
      assert.equal(new Set(seen).size, pair.sizes.streams);
      await Promise.all(
        nears.map(async (near, index) => {
          const message = await take(near, 5000);
          assert.equal(message.readUInt32BE(), index);
          assert.equal(message[4999], index % 256);
        }),
      );
      for (const stream of [...nears, ...fars]) stream.destroy();
      await accepting.close();
    },
  },
  {
    name: 'either side may end first, and still hears all that the other has to say',
    needsHalfClose: true,
    run: async (pair) => {
      for (const swap of [false, true]) {
        await withStreams(pair, async (near, far) => {
          const [first, second] = swap ? [far, near] : [near, far];
          await written(first, Buffer.from('last words'));
          first.end();
          assert.equal(String(await take(second, 10)), 'last words');
          await ended(second);
          await sleep(QUIET_MS);
          const heard = receive(first, 700_000);
          const sent = await send(second, 700_000);
          assert.equal(await heard, sent);
          first.removeAllListeners('end');
          first.removeAllListeners('close');
          const both = Promise.all([closed(first), closed(second)]);
          second.end();
          await both;
        });
      }
    },
  },
  {
    name: 'both sides end, and both streams close by themselves',
    run: async (pair) => {
      for (const swap of [false, true]) {
        await withStreams(pair, async (near, far) => {
          const both = Promise.all([closed(near), closed(far)]);
          const [first, second] = swap ? [far, near] : [near, far];
          await written(near, Buffer.from('one'));
          await written(far, Buffer.from('two'));
          assert.equal(String(await take(far, 3)), 'one');
          assert.equal(String(await take(near, 3)), 'two');
          near.resume();
          far.resume();
          first.end();
          // Where ends are not told apart, the end of the other may never be seen.
          if (pair.halfClose) await ended(second);
          second.end();
          await both;
        });
      }
    },
  },
  {
    name: 'bytes that were written before the end are not lost',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        const message = randomBytes(300_000);
        const heard = receive(far, message.length);
        near.end(message);
        assert.equal(await heard, createHash('sha256').update(message).digest('hex'));
      }),
  },
  {
    name: 'what arrived before both sides ended may be read later',
    needsHalfClose: true,
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        const message = randomBytes(20_000);
        near.end();
        await ended(far);
        far.end(message);
        await sleep(QUIET_MS);
        assert.deepEqual(await take(near, message.length), message);
        await ended(near);
      }),
  },
  {
    name: 'a peer that goes away ends the stream of who writes',
    run: async (pair) => {
      for (const swap of [false, true]) {
        await withStreams(pair, async (near, far) => {
          const [writer, leaver] = swap ? [far, near] : [near, far];
          await written(writer, Buffer.alloc(1000));
          const gone = closed(writer);
          const more = (): void => {
            if (writer.destroyed) return;
            writer.write(Buffer.alloc(1000));
            setImmediate(more);
          };
          more();
          leaver.destroy();
          writer.resume();
          await gone;
        });
      }
    },
  },
  {
    name: 'a peer that goes away ends the stream of who only reads',
    run: async (pair) => {
      for (const swap of [false, true]) {
        await withStreams(pair, async (near, far) => {
          const [reader, leaver] = swap ? [far, near] : [near, far];
          await echoOnce(near, far, 10);
          const gone = over(reader);
          leaver.destroy();
          await gone;
        });
      }
    },
  },
  {
    name: 'who does not read holds up the writer, and nothing is lost',
    run: async (pair) => {
      for (const swap of [false, true]) {
        await withStreams(pair, async (near, far) => {
          const [writer, reader] = swap ? [far, near] : [near, far];
          const hash = createHash('sha256');
          const piece = randomBytes(PIECE_BYTES);
          let total = 0;
          // Until it is told to wait and nothing moves for a while.
          for (let moving = true; moving;) {
            hash.update(piece);
            total += piece.length;
            if (writer.write(piece)) continue;
            const drained = new Promise<boolean>((resolve) => {
              writer.once('drain', () => {
                resolve(true);
              });
            });
            moving = await Promise.race([drained, sleep(QUIET_MS, false)]);
            assert.ok(total < MAX_HELD_BYTES, `${total} bytes are held for who does not read`);
          }
          assert.ok(writer.writableLength <= 4 * PIECE_BYTES, 'the writer queues');
          assert.ok(reader.readableLength <= 8 * PIECE_BYTES, 'the reader queues');
          // Then a slow one, that takes a breath after each piece.
          let received = 0;
          const heard = createHash('sha256');
          while (received < total) {
            const chunk = await take(reader, Math.min(16_384, total - received));
            received += chunk.length;
            heard.update(chunk);
            if (received % 131_072 === 0) await sleep(1);
          }
          assert.equal(heard.digest('hex'), hash.digest('hex'));
        });
      }
    },
  },
  {
    name: 'bulk goes both ways at once, with the right checksums',
    run: (pair) =>
      withStreams(pair, async (near, far) => {
        const { bulkBytes } = pair.sizes;
        const heard = [receive(far, bulkBytes), receive(near, bulkBytes)];
        const sent = [send(near, bulkBytes), send(far, bulkBytes)];
        assert.deepEqual(await Promise.all(heard), await Promise.all(sent));
      }),
  },
  {
    name: 'connections leave no descriptors behind',
    run: async (pair) => {
      const accepting = await Accepting.on(pair.server, PORT);
      const round = async (): Promise<void> => {
        await Promise.all(
          [0, 1, 2, 3].map(async (way) => {
            if (way === 3) {
              await rejected(pair.client.connect(PORT + 1));
              return;
            }
            const [near, far] = await connected(pair, accepting);
            near.write(Buffer.from([way]));
            const both = Promise.all([closed(near), closed(far)]);
            near.resume();
            far.resume();
            if (way === 0) {
              near.end();
              far.end();
            } else {
              (way === 1 ? near : far).destroy();
              (way === 1 ? far : near).end();
            }
            await both;
          }),
        );
      };
      await round();
      await settled(pair.openDescriptors, null);
      const before = pair.openDescriptors();
      for (let made = 0; made < pair.sizes.connections; made += 4) await round();
      await settled(pair.openDescriptors, before);
      await accepting.close();
    },
  },
  {
    name: 'nobody listens: an error with the system code, and the next port works',
    run: async (pair) => {
      const code = await rejected(pair.client.connect(PORT));
      assert.match(code, /^(?:ECONNRESET|ECONNREFUSED|ENOENT)$/u);
      await withStreams(pair, (near, far) => echoOnce(near, far, 10));
    },
  },
  {
    name: 'a listener closes and opens again; its open streams go on',
    run: async (pair) => {
      const first = await Accepting.on(pair.server, PORT);
      const [near, far] = await connected(pair, first);
      await first.close();
      await rejected(pair.client.connect(PORT));
      await echoOnce(near, far, 1000);
      const second = await Accepting.on(pair.server, PORT);
      const [near2, far2] = await connected(pair, second);
      await echoOnce(near2, far2, 1000);
      await echoOnce(far, near, 1000);
      for (const stream of [near, far, near2, far2]) stream.destroy();
      await second.close();
      await rejected(pair.client.connect(PORT));
    },
  },
  {
    name: 'ports keep apart',
    run: async (pair) => {
      const [one, two] = await Promise.all([
        Accepting.on(pair.server, PORT),
        Accepting.on(pair.server, PORT + 2),
      ]);
      const near = quiet(await pair.client.connect(PORT + 2));
      const far = await two.next();
      await echoOnce(near, far, 10);
      assert.equal(one.streams.length, 0);
      near.destroy();
      far.destroy();
      await Promise.all([one.close(), two.close()]);
    },
  },
  {
    name: 'callers that are gone at once do not stop the listener',
    run: async (pair) => {
      const accepting = await Accepting.on(pair.server, PORT);
      const gone = await Promise.all(Array.from({ length: 20 }, () => pair.client.connect(PORT)));
      for (const stream of gone) quiet(stream).destroy();
      const near = quiet(await pair.client.connect(PORT));
      await written(near, Buffer.from('still here'));
      const heard = new Promise<string>((resolve) => {
        const listen = (far: Duplex): void => {
          far.once('data', (chunk: Buffer) => {
            resolve(String(chunk));
          });
        };
        for (let count = 0; count <= gone.length; count++) void accepting.next().then(listen);
      });
      assert.equal(await heard, 'still here');
      near.destroy();
      await accepting.close();
    },
  },
];

/** All that applies. */
export function contractCases(halfClose: boolean): readonly ContractCase[] {
  return CASES.filter(({ needsHalfClose = false }) => halfClose || !needsHalfClose);
}

/** Waits until the number is that or less; null: until it does not change. The caller ends a hung case. */
async function settled(count: () => number, wanted: number | null): Promise<void> {
  for (let last = -1, now = count(); wanted === null ? now !== last : now > wanted;) {
    last = now;
    await sleep(QUIET_MS);
    now = count();
  }
}
