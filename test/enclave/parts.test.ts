// The smaller parts of the core, each at its limits.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { X509Certificate } from 'node:crypto';
import { array, assert, integer, maxSafeNat, option, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { peekBatch } from '../../enclave/batch-head.ts';
import { checkDivergence, Clock, errorBoundNs } from '../../enclave/clock.ts';
import { Fatal, fatalCode } from '../../enclave/fatal.ts';
import { Fifo } from '../../enclave/fifo.ts';
import { generateTlsKey } from '../../enclave/desk/keys.ts';
import { Salts } from '../../enclave/log/salts.ts';
import { TokenBucket } from '../../enclave/desk/rate-limit.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { parseBatch } from '../../wire/batch.ts';
import { concatBytes, toHex } from '../../wire/bytes.ts';
import { encodeCborHead } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';

function head(stream: number, sequence: number): Uint8Array {
  return concatBytes(
    Uint8Array.of(0xb5, 0x01, 0x01, 0x02),
    encodeCborHead(0, stream),
    Uint8Array.of(0x03),
    encodeCborHead(0, sequence),
  );
}

describe('the head of a refused batch', () => {
  it('is what the whole batch says, however little follows', () => {
    assert(
      property(integer({ min: 1, max: 999 }), maxSafeNat(), (stream, sequence) => {
        const bytes = new BatchBuilder(stream).encode(sequence, 1n);
        expect(assertAccepted(parseBatch(bytes))).toMatchObject({ stream, sequence });
        expect(peekBatch(bytes)).toEqual({ stream, sequence });
        const short = head(stream, sequence);
        expect(peekBatch(short)).toEqual({ stream, sequence });
        for (let end = 0; end < short.length; end++) {
          expect(peekBatch(short.subarray(0, end))).toBeNull();
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is not guessed', () => {
    const wrong = [
      'b401010201030000',
      'b50102020103',
      'b5010102180103',
      'b50101020103180103',
      'b501010201031900ff',
      'b501010201031b0020000000000000',
      'b50101020103f6',
      'b5010102010400',
    ];
    for (const hex of wrong)
      expect({ hex, head: peekBatch(Buffer.from(hex, 'hex')) }).toEqual({ hex, head: null });
    const largest = Buffer.from('b501010201031b001fffffffffffff', 'hex');
    expect(peekBatch(largest)).toEqual({ stream: 1, sequence: Number.MAX_SAFE_INTEGER });
  });
});

describe('the clock', () => {
  it('is the wall clock at boot plus what has passed since, whatever the wall clock does', () => {
    let wallNs = 1000n;
    let monotonicNs = 50n;
    const clock = new Clock({ wallNs: () => wallNs, monotonicNs: () => monotonicNs });
    expect(clock.nowNs()).toBe(1000n);
    wallNs = 7n;
    monotonicNs = 60n;
    expect(clock.nowNs()).toBe(1010n);
    expect(clock.nowNs()).toBe(1010n);
    monotonicNs = 59n;
    expect(() => clock.nowNs()).toThrow(new Fatal('clock_backwards'));
  });

  it('may differ from NSM time up to the limit, with the time of the call allowed for', () => {
    const ms = 1_000_000n;
    const reading = (timestampMs: number) => ({
      timestampMs,
      beforeNs: 10_000n * ms,
      afterNs: 10_020n * ms,
    });
    const accepted = (timestampMs: number): boolean =>
      checkDivergence(reading(timestampMs), 100).ok;
    expect([9899, 9900, 10_000, 10_020, 10_120, 10_121].map(accepted)).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(errorBoundNs(reading(10_000))).toBe(20n * ms);
    expect(errorBoundNs(reading(9990))).toBe(30n * ms);
    expect(errorBoundNs(reading(10_030))).toBe(50n * ms);
  });
});

describe('the queue', () => {
  it('behaves as an array does', () => {
    assert(
      property(array(option(integer(), { nil: null }), { maxLength: 5000 }), (steps) => {
        const queue = new Fifo<number>();
        const model: number[] = [];
        for (const step of steps) {
          const taken = step === null ? queue.shift() : queue.push(step);
          const expected = step === null ? model.shift() : void model.push(step);
          expect(taken).toBe(expected);
          expect(queue.length).toBe(model.length);
          expect(queue.first).toBe(model[0]);
        }
      }),
      { numRuns: 20 },
    );
    const long = new Fifo<number>();
    for (let item = 0; item < 5000; item++) long.push(item);
    for (let item = 0; item < 5000; item++) expect(long.shift()).toBe(item);
    expect(long.shift()).toBeUndefined();
  });
});

describe('the token bucket', () => {
  it('gives its rate, and never more than one second of it at once', () => {
    const bucket = new TokenBucket(3, 0n);
    const takeAll = (nowNs: bigint): number => {
      let taken = 0;
      while (bucket.take(nowNs)) taken++;
      return taken;
    };
    expect(takeAll(0n)).toBe(3);
    expect(takeAll(333_000_000n)).toBe(0);
    expect(takeAll(334_000_000n)).toBe(1);
    expect(takeAll(100_000_000_000n)).toBe(3);
  });
});

describe('salts', () => {
  it('are never the same, across pools', () => {
    const salts = new Salts();
    const seen = new Set(Array.from({ length: 1000 }, () => toHex(salts.next())));
    expect(seen.size).toBe(1000);
  });
});

describe('the TLS certificate', () => {
  it('is self-signed for the key, the names and a server', async () => {
    const key = generateTlsKey();
    const nowMs = Date.UTC(2026, 0, 2);
    const names = ['localhost', 'enclave.example.com'];
    const certificate = new X509Certificate(await createCertificate(key, names, nowMs));
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.equals(key.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.subjectAltName).toBe('DNS:localhost, DNS:enclave.example.com');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate.validFromDate.getTime()).toBe(Date.UTC(2026, 0, 1));
  });
});

describe('whatever is thrown', () => {
  it('becomes a closed code', () => {
    expect(fatalCode(new Fatal('ack_unknown'))).toBe('ack_unknown');
    expect(fatalCode(new TypeError('secret'))).toBe('internal');
    expect(fatalCode('secret')).toBe('internal');
  });
});

describe('the entry point of the image', () => {
  const main = fileURLToPath(new URL('../../enclave/main.ts', import.meta.url));
  const run = (...args: readonly string[]): { status: number | null; stderr: string } => {
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
    return { status, stderr };
  };

  it('refuses to run without a real NSM: there is nothing to fall back to', () => {
    expect(run('vsock:parent', '/nowhere/measured.json', '/nowhere/runner.mjs')).toEqual({
      status: 1,
      stderr: 'trackseal enclave: nsm_unavailable\n',
    });
  });

  it('refuses other arguments', () => {
    const usage = { status: 2, stderr: 'usage: main vsock:parent MANIFEST RUNNER\n' };
    expect(run()).toEqual(usage);
    expect(run('vsock:parent', 'manifest')).toEqual(usage);
    // The image has no other boundary than vsock.
    for (const address of ['tcp:1234', 'unix:/run', 'hvsock:/run/vm', 'vsock:', 'vsock:0']) {
      expect(run(address, 'manifest', 'runner'), address).toEqual(usage);
    }
  });
});
