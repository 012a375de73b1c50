import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../wire/cbor.ts';
import { PORT } from '../../wire/messages.ts';
import { parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { fetchStatus, newAppliance, newPlace, TestHost } from './appliance.ts';
import { indexesOf, listLeaves } from './evidence.ts';
import { cleanUpAfterEach, seededNumbers, temporaryFolder } from './processes.ts';
import type { Tap, TappedAck, TappedRelease } from './tap.ts';

cleanUpAfterEach();

const PORTS = Object.values(PORT);

/**
 * What must not be seen early: the signal, the signal without its number and causes (both could be
 * different in a leak), and the salt, without which the digest in the leaf cannot be guessed open.
 */
function secretsOf({ plaintext, salt }: TappedRelease): Readonly<Record<string, Uint8Array>> {
  const { instrument, side, quantity, limit, ttlMs, decisionNs } = assertAccepted(
    parseSignal(plaintext),
  );
  const fields = [instrument, side, quantity, limit, ttlMs, decisionNs];
  const core = encodeCbor(new Map(fields.map((value, at) => [at + 2, value]))).subarray(1);
  return { plaintext, core, salt };
}

/** The acknowledgement that lets an output out. */
function permissionFor(tap: Tap, release: TappedRelease): TappedAck | undefined {
  const { epoch, leafIndex } = release;
  return tap.acks.find((ack) => ack.epoch === epoch && ack.size > leafIndex);
}

interface Leak {
  readonly leaf: number;
  readonly what: string;
  readonly port: number;
}

/** Secrets of outputs in bytes that had left before their acknowledgement went in. */
function findLeaks(tap: Tap, left: ReadonlyMap<number, Buffer>): readonly Leak[] {
  const leaks: Leak[] = [];
  for (const release of tap.releases) {
    const ack = permissionFor(tap, release);
    for (const [port, bytes] of left) {
      const early = bytes.subarray(0, ack === undefined ? bytes.length : ack.left.get(port));
      for (const [what, secret] of Object.entries(secretsOf(release))) {
        if (early.includes(secret)) leaks.push({ leaf: release.leafIndex, what, port });
      }
    }
  }
  return leaks;
}

function bytesOfAllPorts(tap: Tap): Map<number, Buffer> {
  return new Map(PORTS.map((port) => [port, tap.bytesLeft(port)]));
}

describe('a tap between the real processes', () => {
  it('sees nothing of an output before the acknowledgement of its leaf went in', async () => {
    const random = seededNumbers('tap');
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const { tap } = place;
    tap.ackDelayMs = () => random(100, 400);
    const host = TestHost.start(appliance, place, { speed: 40, limitEvents: 60_000 });
    await host.waitFor('a signal', () => tap.releases.length > 0);
    // Bytes of the last port: answers under TLS.
    for (const path of ['health', `attestation?nonce=${'5a'.repeat(32)}`]) {
      expect(await fetchStatus(`${await host.url()}/${path}`)).toBe(200);
    }
    const { end } = await host.finish();
    expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
    expect(host.process.stderr).toBe('');

    const { releases } = tap;
    expect(releases.length).toBeGreaterThan(20);
    const indexes = releases.map(({ leafIndex }) => leafIndex);
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    const outputs = indexesOf(await listLeaves(appliance, 1), 'output');
    expect(indexes).toEqual(outputs);
    for (const { leafIndex, toldSize } of releases) expect(toldSize).toBeGreaterThan(leafIndex);

    const left = bytesOfAllPorts(tap);
    // Nothing of this appliance is sealed, so that the enclave asks nobody outside.
    expect(tap.bytesLeft(PORT.egress)).toHaveLength(0);
    // No client CA is sealed: nobody listens for gRPC, and nothing is said there.
    expect(tap.bytesLeft(PORT.grpc)).toHaveLength(0);
    const quiet = new Set<number>([PORT.egress, PORT.grpc]);
    const used = [...left].filter(([port]) => !quiet.has(port));
    for (const [port, bytes] of used) expect(bytes.length, `port ${port}`).toBeGreaterThan(100);
    expect(findLeaks(tap, left)).toEqual([]);

    // The same search finds what is there: in the release itself, and a leak of one bit of time.
    const feed = tap.bytesLeft(PORT.feed);
    for (const release of releases) {
      for (const secret of Object.values(secretsOf(release))) {
        expect(feed.subarray(0, release.left).includes(secret)).toBe(true);
      }
    }
    const last = releases.at(-1);
    if (last === undefined) throw new Error('no release');
    for (const [what, secret] of Object.entries(secretsOf(last))) {
      const planted = bytesOfAllPorts(tap);
      secret.forEach((byte, at) => planted.get(PORT.log)?.writeUInt8(byte, 1000 + at));
      expect(findLeaks(tap, planted)).toContainEqual({
        leaf: last.leafIndex,
        what,
        port: PORT.log,
      });
    }
    // And there was something to leak into: the enclave went on talking while outputs waited.
    const meanwhile = releases.filter((release) => {
      const commit = tap.commits.find(({ size }) => size > release.leafIndex);
      const at = permissionFor(tap, release)?.left.get(PORT.log) ?? 0;
      return at > (commit?.left ?? at);
    });
    expect(meanwhile.length).toBeGreaterThan(releases.length / 2);
  });

  it('sees no signal while acknowledgements are held, and all of them in order afterwards', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40, limitEvents: 40_000 });
    await host.waitFor('a signal', () => tap.releases.length > 0);
    tap.holdAcks = true;
    const told = tap.acks.at(-1)?.size ?? 0;
    const waiting = (): readonly number[] =>
      tap.commits.flatMap(({ outputs }) => outputs.filter((index) => index >= told));
    await host.waitFor('an output that waits', () => waiting().length > 0);
    // With four commits on their way what comes meanwhile waits for the next acknowledgement.
    const onTheirWay = (): number => tap.commits.filter(({ size }) => size > told).length;
    await host.waitFor('commits after it', () => onTheirWay() >= 4);
    expect(tap.releases.every(({ leafIndex }) => leafIndex < told)).toBe(true);
    const held = waiting();
    tap.holdAcks = false;
    expect((await host.finish()).end).toEqual({ code: 0, signal: null });
    const indexes = tap.releases.map(({ leafIndex }) => leafIndex);
    expect(indexes).toEqual(expect.arrayContaining([...held]));
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    expect(findLeaks(tap, bytesOfAllPorts(tap))).toEqual([]);
  });
});
