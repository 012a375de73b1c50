// Two and more enclaves of one image over one bucket: started in every order, with every offer of a host,
// killed at every request, with requests and answers lost and late. Whatever happens, all that was released
// is in one log, and a new epoch can begin.

import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { utf8 } from '../../../wire/bytes.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import type { Fate } from '../../helpers/model-bucket.ts';
import { ModelBucket } from '../../helpers/model-bucket.ts';
import type { Offer, RecordedEpoch, Released } from './twins.ts';
import { completeEpoch, honestOffer, offerOf, readRecord, Twin } from './twins.ts';

const RUNS = Number(process.env['TRACKSEAL_TWIN_RUNS'] ?? 60);
vi.setConfig({ testTimeout: 60_000 + RUNS * 1000 });

/** Draws from what fast-check gave, and can be shrunk. */
class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get left(): boolean {
    return this.#at < this.#numbers.length;
  }

  below(count: number): number {
    return (this.#numbers[this.#at++] ?? 0) % count;
  }

  of<T>(values: readonly T[]): T | undefined {
    return values[this.below(Math.max(1, values.length))];
  }
}

/** For what must hold in every test. */
function assertHolds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`broken: ${what}`);
}

class World {
  readonly bucket: ModelBucket = new ModelBucket();
  readonly twins: Twin[] = [];
  readonly releases: Released[] = [];

  start(offer: Offer | null): Twin {
    const twin = new Twin(this.twins.length, this.bucket, offer, this.releases);
    this.twins.push(twin);
    return twin;
  }

  /** Every living enclave waits for a request, or is done with its outputs. */
  async quiet(): Promise<void> {
    const done = new Set<Twin>();
    for (const twin of this.twins) void twin.done.then(() => done.add(twin));
    const isBusy = (twin: Twin): boolean =>
      !twin.dead &&
      !done.has(twin) &&
      !this.bucket.pending.some(({ client }) => client === twin.id);
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.twins.some(isBusy));
  }

  settle(at: number, fate: Fate): void {
    const [request] = this.bucket.pending.splice(at, 1);
    request?.settle(fate);
  }

  /** All that was released is in the one log that the bucket records. */
  check(): readonly RecordedEpoch[] {
    const epochs = readRecord(this.bucket);
    for (const [at, { before }] of epochs.entries()) {
      assertHolds(before === (epochs[at - 1]?.heads.at(-1) ?? ''), `what epoch ${at + 1} follows`);
    }
    for (const { twin, epoch, size, root } of this.releases) {
      const heads = epochs[epoch - 1]?.heads ?? [];
      assertHolds(heads.includes(`${size} ${root}`), `released by ${twin} in epoch ${epoch}`);
    }
    return epochs;
  }

  /** Without anybody's hands: the host reads the bucket and offers its end. */
  async checkGoesOn(): Promise<void> {
    for (const twin of this.twins) twin.kill();
    this.bucket.held = false;
    const before = this.releases.length;
    const twin = this.start(honestOffer(readRecord(this.bucket)));
    await twin.done;
    assertHolds(twin.code === null, `the next epoch begins, not ${twin.code}`);
    assertHolds(this.releases.length - before === 4, 'the next epoch releases');
    this.check();
  }
}

const STARTS = ['honest', 'none', 'older', 'number', 'no number', 'head'] as const;

const HONEST: readonly (typeof STARTS)[number][] = ['honest', 'honest', 'honest'];

function offerAs(
  kind: (typeof STARTS)[number],
  epochs: readonly RecordedEpoch[],
  choices: Choices,
): Offer | null {
  const honest = honestOffer(epochs);
  if (kind === 'none' || honest === null) return null;
  const { entry, nextCommit } = honest;
  switch (kind) {
    case 'older': {
      const older = choices.of(epochs);
      return older === undefined ? null : offerOf(older);
    }
    case 'number':
      return { ...honest, nextCommit: Math.max(0, (nextCommit ?? 0) + 1 - choices.below(3)) };
    case 'no number':
      return { ...honest, nextCommit: null };
    case 'head': {
      const [size, root = ''] = (choices.of(epochs.at(-1)?.heads ?? []) ?? '').split(' ');
      const head = { size: Number(size), root: new Uint8Array(Buffer.from(root, 'hex')) };
      return { ...honest, entry: { ...entry, ...head } };
    }
    case 'honest':
      break;
  }
  return honest;
}

const FATES: readonly Fate[] = ['done', 'done', 'done', 'done', 'before', 'after'];

async function play(numbers: readonly number[]): Promise<World> {
  const world = new World();
  const choices = new Choices(numbers);
  world.bucket.held = true;
  while (choices.left) {
    const living = world.twins.filter(({ dead }) => !dead);
    const action = choices.below(20);
    if (action < 2 && living.length < 3) {
      const kind = choices.of([...STARTS, ...HONEST]) ?? 'honest';
      world.start(offerAs(kind, readRecord(world.bucket), choices));
    } else if (action === 2) choices.of(living)?.kill();
    else if (action === 3) {
      const twin = choices.of(world.twins);
      if (twin !== undefined) completeEpoch(world.bucket, twin);
    } else {
      const at = choices.below(Math.max(1, world.bucket.pending.length));
      world.settle(at, choices.of(FATES) ?? 'done');
    }
    await world.quiet();
    world.check();
  }
  return world;
}

describe('enclaves of one image', () => {
  it('leave one log, whatever is started, killed, lost and late', async () => {
    let released = 0;
    let epochs = 0;
    const numbers = fc.array(fc.nat(10_000), { minLength: 100, maxLength: 400, size: 'max' });
    await fc.assert(
      fc.asyncProperty(numbers, async (choices) => {
        const world = await play(choices);
        released += world.releases.length;
        await world.checkGoesOn();
        epochs += readRecord(world.bucket).length;
      }),
      { numRuns: RUNS },
    );
    // The model must get somewhere, or it proves nothing.
    expect(released).toBeGreaterThan(100);
    expect(epochs).toBeGreaterThan(100);
  });
});

/** One enclave alone, to its end or to its death; answers how many requests it made. */
async function runUntil(
  world: World,
  offer: Offer | null,
  step: number,
  fate: Fate,
): Promise<number> {
  world.bucket.held = true;
  const twin = world.start(offer);
  await world.quiet();
  for (let requests = 0; ; requests++) {
    if (world.bucket.pending.length === 0) return requests;
    if (requests === step) {
      twin.kill();
      world.settle(0, fate);
      await world.quiet();
      return requests;
    }
    world.settle(0, 'done');
    await world.quiet();
  }
}

async function worldWithEpoch(): Promise<World> {
  const world = new World();
  const first = world.start(null);
  await first.done;
  expect(first.code).toBeNull();
  first.kill();
  return world;
}

describe('an enclave killed at each request', () => {
  it.each(['done', 'before'] as const)(
    'with the request %s, leaves a log that goes on',
    async (fate) => {
      const complete = await worldWithEpoch();
      const all = await runUntil(
        complete,
        honestOffer(readRecord(complete.bucket)),
        Number.POSITIVE_INFINITY,
        'done',
      );
      // Bucket, end of epoch 1 and its versions, superseded and its versions, claim, three groups.
      expect(all).toBe(10);
      for (let step = 0; step < all; step++) {
        const world = await worldWithEpoch();
        await runUntil(world, honestOffer(readRecord(world.bucket)), step, fate);
        await world.checkGoesOn();
      }
    },
  );
});

describe('a twin of a running epoch', () => {
  it('that is superseded stops at its next object and releases nothing more', async () => {
    const world = new World();
    world.bucket.held = true;
    const old = world.start(null);
    await world.quiet();
    // Bucket, claim, its versions, first group; the second one waits.
    for (let count = 0; count < 4; count++) {
      world.settle(0, 'done');
      await world.quiet();
    }
    const released = world.releases.length;
    const [second] = world.bucket.pending;
    expect(second?.what).toBe(`PUT ${commitsKey(1, 2)}`);
    world.bucket.pending = [];
    world.bucket.held = false;
    const next = world.start(honestOffer(readRecord(world.bucket)));
    await next.done;
    expect(next.code).toBeNull();
    second?.settle('done');
    await old.done;
    expect(old.code).toBe('superseded');
    expect(world.releases.slice(released).every(({ epoch }) => epoch === 2)).toBe(true);
    world.check();
  });

  it('that begins the same epoch cannot claim it', async () => {
    const world = await worldWithEpoch();
    const offer = honestOffer(readRecord(world.bucket));
    const first = world.start(offer);
    await first.done;
    const second = world.start(offer);
    await second.done;
    expect(second.code).toBe('epoch_claimed');
    expect(first.code).toBeNull();
    world.check();
  });
});

async function codeOf(
  change: (offer: Offer, world: World) => Offer | null,
): Promise<string | null> {
  const world = await worldWithEpoch();
  const second = world.start(honestOffer(readRecord(world.bucket)));
  await second.done;
  second.kill();
  const offer = honestOffer(readRecord(world.bucket));
  if (offer === null) throw new Error('no epoch');
  const twin = world.start(change(offer, world));
  await twin.done;
  world.check();
  return twin.code;
}

/** The state before the last group of epoch 2. */
function rolledBack(offer: Offer, bucket: ModelBucket): Offer {
  const [size, root = ''] = (readRecord(bucket)[1]?.heads.at(-2) ?? '').split(' ');
  const head = { size: Number(size), root: new Uint8Array(Buffer.from(root, 'hex')) };
  return { ...offer, nextCommit: 3, entry: { ...offer.entry, ...head } };
}

describe('what a host may offer as the previous epoch', () => {
  it.each<[string, string | null, (offer: Offer, world: World) => Offer | null]>([
    ['the end in the bucket', null, (offer) => offer],
    ['nothing, although there is a log', 'epoch_claimed', () => null],
    [
      'an epoch that has a successor',
      'epoch_claimed',
      (_, { bucket }) => {
        const [first] = readRecord(bucket);
        return first === undefined ? null : offerOf(first);
      },
    ],
    ['no number', 'previous_stale', (offer) => ({ ...offer, nextCommit: null })],
    ['number zero', 'previous_stale', (offer) => ({ ...offer, nextCommit: 0 })],
    ['a number too low', 'previous_stale', (offer) => ({ ...offer, nextCommit: 3 })],
    ['a number too high', 'previous_stale', (offer) => ({ ...offer, nextCommit: 5 })],
    ['the number of the claim', 'previous_stale', (offer) => ({ ...offer, nextCommit: 1 })],
    [
      'another root',
      'previous_stale',
      (offer) => ({
        ...offer,
        entry: { ...offer.entry, root: new Uint8Array(32) },
      }),
    ],
    [
      'another log key',
      'previous_stale',
      (offer) => ({ ...offer, logKey: offer.logKey.toReversed() }),
    ],
    [
      'an older head and its number, the rest hidden',
      'object_replaced',
      (offer, { bucket }) => {
        bucket.put(commitsKey(2, 3), null);
        return rolledBack(offer, bucket);
      },
    ],
    [
      'the end, under a second version',
      'object_replaced',
      (offer, { bucket }) => {
        const last = bucket.oldest(commitsKey(2, 3)) ?? new Uint8Array();
        bucket.put(commitsKey(2, 3), last);
        return offer;
      },
    ],
    [
      'a place taken by something else',
      'previous_stale',
      (offer, { bucket }) => {
        bucket.put(commitsKey(2, 4), utf8('not a note'));
        return offer;
      },
    ],
    [
      'a hidden claim of the next epoch',
      'object_replaced',
      (offer, { bucket }) => {
        bucket.put(claimKey(3), null);
        return offer;
      },
    ],
  ])('%s: %s', async (_, code, change) => {
    expect(await codeOf(change)).toBe(code);
  });
});

describe('what is written', () => {
  it('is locked until the enclave’s clock plus the retention, in days', async () => {
    const from = Date.now() + 30 * 86_400_000;
    const world = await worldWithEpoch();
    const until = Date.now() + 30 * 86_400_000 + 1000;
    for (const versions of world.bucket.versions.values()) {
      for (const { retainUntil } of versions) {
        expect(retainUntil?.getTime()).toBeGreaterThanOrEqual(from);
        expect(retainUntil?.getTime()).toBeLessThanOrEqual(until);
      }
    }
  });
});
