// Host and verifier agree on what the objects of a log are: what the real shipper leaves in a store, at any
// time of an epoch's life, is what the verifier reads there.

import { describe, expect, it } from 'vitest';
import { makeBundle } from '../../../verifier/evidence/make-bundle.ts';
import { verifyBundle } from '../../../verifier/evidence/verify-bundle.ts';
import { EpochFiles } from '../../../verifier/log/epoch-files.ts';
import { listEpochs } from '../../../verifier/log/epoch-list.ts';
import { StoreSource } from '../../../verifier/log/store-source.ts';
import type { VerifiedEpoch } from '../../../verifier/log/verify-epoch.ts';
import { verifyEpoch } from '../../../verifier/log/verify-epoch.ts';
import { encodeCommit } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { ObjectStore } from '../../../wire/node/objects/store.ts';
import { closeKey } from '../../../wire/host-keys.ts';
import { entriesKey } from '../../../wire/tile-keys.ts';
import { clientOrderIdOf } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { EpochBuilder, complianceKeys, testTrust } from '../../helpers/epoch-builder.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { ShipHost, receiveAll } from '../../helpers/ship-host.ts';

/** The commits of an epoch as an enclave sends them; the first one has header and document. */
function commitsOf({ header, notes, leaves }: EpochBuilder): readonly Uint8Array[] {
  const [, ...others] = notes;
  let firstIndex = 0;
  return others.map(({ size, note }) => {
    const own = leaves.slice(firstIndex, size);
    const commit = { epoch: header.epoch, firstIndex, leaves: own, blobs: [], note };
    firstIndex = size;
    return encodeCommit(commit);
  });
}

async function longEpoch(): Promise<{ readonly epoch: EpochBuilder; readonly output: number }> {
  const epoch = await EpochBuilder.create();
  epoch.startStrategy();
  let output = 0;
  for (let at = 0; at < 600; at++) {
    epoch.addInput();
    if (at === 100) output = epoch.addOutput(epoch.size - 1);
    if (at === 400) epoch.addReport(output);
    if (at % 25 === 0) epoch.commit();
  }
  epoch.commit();
  return { epoch, output };
}

async function verify(store: ObjectStore): Promise<{
  readonly epoch: VerifiedEpoch | null;
  readonly findings: readonly unknown[];
}> {
  const source = new StoreSource(store, { locks: true });
  const files = new EpochFiles(source, 1);
  const keys = complianceKeys();
  const epoch = await verifyEpoch(nodeCrypto, { files, trust: await testTrust(), keys });
  return { epoch: assertAccepted(epoch), findings: source.facts().findings };
}

describe('what the shipper leaves', () => {
  it('is verified while the epoch runs, and when it is over', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store);
    const { epoch, output } = await longEpoch();
    await host.begin(1);
    await receiveAll(host, commitsOf(epoch));
    while (host.shipper.counters.unshippedBytes > 0) await new Promise(setImmediate);
    expect(store.objects.has(closeKey(1))).toBe(false);
    expect(store.objects.has(entriesKey(1, 2, epoch.size % 256))).toBe(false);
    const running = await verify(store);
    expect(running.epoch?.facts.checkpoint.size).toBe(epoch.size);
    expect(running.epoch?.commits).toMatchObject({ checked: true, coveredSize: epoch.size });
    epoch.addClose();
    epoch.commit();
    await receiveAll(host, commitsOf(epoch).slice(-1));
    await host.settle();
    await host.shipper.finish(60_000);
    const over = await verify(store);
    expect(over.epoch?.facts).toMatchObject({ closeReason: 2, privateOpened: 3 });
    expect(over.findings).toEqual([]);
    const source = new StoreSource(store, { locks: true });
    expect(assertAccepted(await listEpochs(source))).toEqual([1]);
    // And it is found by the index that the shipper makes.
    store.calls.length = 0;
    const hash = leafHash(nodeCrypto, epoch.leaves[output] ?? new Uint8Array());
    const made = await makeBundle(nodeCrypto, {
      files: new EpochFiles(source, 1),
      selection: { by: 'order', order: clientOrderIdOf(hash) },
      keys: complianceKeys(),
      withhold: new Set(),
      reason: '',
      otherEpochs: null,
      onProgress: () => undefined,
    });
    const { bytes } = assertAccepted(made);
    const bundle = assertAccepted(verifyBundle(nodeCrypto, bytes, await testTrust()));
    expect(bundle.manifest.disclosed).toHaveLength(2);
    expect(store.calls.some((call) => call.includes('index/'))).toBe(true);
    // Two bundles have a report or the order; the third one is read by nobody but for the tail's size.
    expect(
      store.calls.filter((call) => call.startsWith('get') && call.includes('/commits/')),
    ).toEqual([]);
  });

  it('has every commit at any moment of its shipping', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store);
    const { epoch } = await longEpoch();
    const sizes: number[] = [];
    await host.begin(1);
    for (const commit of commitsOf(epoch)) {
      await receiveAll(host, [commit]);
      await new Promise(setImmediate);
      if (!store.objects.has('epochs/0000000001/claim')) continue;
      const { epoch: verified } = await verify(store);
      sizes.push(verified?.facts.checkpoint.size ?? 0);
    }
    expect(sizes.length).toBeGreaterThan(5);
    expect(sizes.toSorted((a, b) => a - b)).toEqual(sizes);
    await host.settle();
    await host.shipper.finish(60_000);
    expect((await verify(store)).epoch?.facts.checkpoint.size).toBe(epoch.size);
  });

  it('that is locked for a shorter time than the configuration wants is a finding', async () => {
    const store = new MemoryStore();
    const epoch = await EpochBuilder.create({
      startMs: Date.now(),
      configuration: {
        s3: {
          region: 'eu-central-1',
          host: 's3.eu-central-1.amazonaws.com',
          bucket: 'log-bucket',
          prefix: 'x',
          retention_days: 11,
        },
      },
    });
    epoch.addInput();
    epoch.commit();
    // Ten days, as its own configuration says.
    const host = await ShipHost.open(new MemoryFiles(), store);
    await host.begin(1);
    await receiveAll(host, commitsOf(epoch));
    await host.settle();
    await host.shipper.finish(60_000);
    const { findings } = await verify(store);
    expect(findings.length).toBeGreaterThan(2);
    expect(findings).toContainEqual(expect.objectContaining({ problem: 'lock_short' }));
  });
});

it('a store without epochs has none, and paths lead nowhere else', async () => {
  const source = new StoreSource(new MemoryStore(), { locks: true });
  expect(assertAccepted(await listEpochs(source))).toEqual([]);
  expect(assertAccepted(await source.read('epochs/0000000001/checkpoint', 4096))).toBeNull();
  expect(assertAccepted(await source.read('../../etc/passwd', 4096))).toBeNull();
});
