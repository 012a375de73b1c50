import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listEpochs } from '../../../host-proxy/previous.ts';
import { listUnshipped } from '../../../host-proxy/ship/unshipped.ts';
import { StoreError } from '../../../wire/node/objects/store.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import type { PutResult } from '../../../wire/node/objects/store.ts';
import {
  receiveAll,
  SHIP_FOLDERS,
  ShipHost,
  shipRest,
  wholeEpoch,
} from '../../helpers/ship-host.ts';
import { readShippedLog } from '../../helpers/shipped-log.ts';

interface Life {
  /** Store calls that it lives to see; none when null: it ends by a crash of the disk. */
  readonly calls: number;
  /** What becomes of the call that is under way. */
  readonly last: 'not_done' | 'done' | 'late';
  readonly groupBytes: number;
  readonly settles: boolean;
  /** Power, not only the process. */
  readonly power: boolean;
}

const life: fc.Arbitrary<Life> = fc.record({
  calls: fc.integer({ min: 0, max: 60 }),
  last: fc.constantFrom('not_done', 'done', 'late'),
  groupBytes: fc.constantFrom(1, 700, 2500, 1 << 20),
  settles: fc.boolean(),
  power: fc.boolean(),
});

/** A store whose client dies at a call; a late put is done when somebody asks for it. */
class MortalStore extends MemoryStore {
  /** Resolves when the client has died. */
  dies: PromiseWithResolvers<null> = Promise.withResolvers<null>();
  #left = 0;
  #last: Life['last'] = 'done';
  #late: (() => void)[] = [];

  live({ calls, last }: Life): void {
    this.#left = calls;
    this.#last = last;
    this.dies = Promise.withResolvers<null>();
    this.before = (call) => {
      if (call !== 'put') this.#count();
    };
  }

  liveOn(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }

  arrive(): void {
    for (const put of this.#late.splice(0)) put();
  }

  override async putOnce(...call: Parameters<MemoryStore['putOnce']>): Promise<PutResult> {
    if (this.#left > 1) {
      this.#left--;
      return super.putOnce(...call);
    }
    const put = (): void => void super.putOnce(...call);
    if (this.#last === 'done') put();
    if (this.#last === 'late' && this.#left === 1) this.#late.push(put);
    this.#count();
    throw new StoreError('stopped');
  }

  #count(): void {
    this.#left--;
    if (this.#left > 0) return;
    this.dies.resolve(null);
    throw new StoreError('stopped');
  }
}

/** One host from its start to its end by force; answers the disk that it leaves. */
async function liveOnce(
  files: MemoryFiles,
  store: MortalStore,
  plan: Life,
  count: number,
  leaves: number,
): Promise<MemoryFiles> {
  store.live(plan);
  const host = await ShipHost.open(files, store, { groupBytes: plan.groupBytes, groupMs: 1 });
  // What was on its way for the host before comes now.
  store.arrive();
  let isKilled = false;
  const work = async (): Promise<void> => {
    const writer = new LogWriter((listEpochs(files, SHIP_FOLDERS).at(-1) ?? 0) + 1);
    await host.begin(writer.header.epoch);
    await receiveAll(host, wholeEpoch(writer, count, leaves));
    if (plan.settles) await host.settle();
  };
  const ended = work().catch((error: unknown) => {
    if (!isKilled) throw error;
  });
  await Promise.race([
    store.dies.promise,
    ended.then(() => new Promise((go) => setTimeout(go, 5))),
  ]);
  isKilled = true;
  const left = plan.power ? files.afterCrash('nothing') : host.kill();
  files.crashAt = 0;
  await host.shipper.stop();
  await host.log?.abandon();
  await ended;
  return left;
}

describe('a host that is killed while it ships', () => {
  it('ends with a log that is whole, and with one version of everything', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(life, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 60 }),
        async (lives, count, leaves) => {
          const store = new MortalStore();
          let files = new MemoryFiles();
          for (const plan of lives) files = await liveOnce(files, store, plan, count, leaves);
          store.liveOn();
          const host = await ShipHost.open(files, store);
          store.arrive();
          await host.shipper.finish(60_000);
          expect(host.shipper.findings).toEqual([]);
          expect(listUnshipped(files, SHIP_FOLDERS)).toEqual([]);
          const { findings, epochs } = await readShippedLog(store, true);
          expect(findings).toEqual([]);
          expect(epochs.map(({ epoch }) => epoch)).toEqual(listEpochs(files, SHIP_FOLDERS));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('has removed no spool whose epoch is not whole in the store, whenever it dies', async () => {
    let calls = 0;
    let isRemoved = false;
    while (!isRemoved) {
      calls++;
      const store = new MortalStore();
      const plan: Life = { calls, last: 'not_done', groupBytes: 700, settles: true, power: false };
      const files = await liveOnce(new MemoryFiles(), store, plan, 6, 60);
      const left = [...files.list('/state/unshipped'), ...files.list('/state/spool')];
      isRemoved = left.length === 0;
      store.liveOn();
      // Nothing is left to do when it was removed, and all can be done when it was not.
      if (!isRemoved) await shipRest(files, store);
      expect(await readShippedLog(store, true), `${calls} calls`).toMatchObject({ findings: [] });
    }
    expect(calls).toBeGreaterThan(20);
  });
});
