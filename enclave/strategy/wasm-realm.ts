// A WebAssembly module as a strategy (docs/PROTOCOL.md 11). The realm is the same as for JavaScript, so that
// inputs, limits and the names of ends are the same; here the module is put behind its interface. Integers
// are all that the two exchange, and the only memory that the runner touches is the input area. A trap, or
// an exception of a function that the module called, ends the strategy: modules cannot catch.

import { utf8 } from '../../wire/bytes.ts';
import type { StrategyStart } from '../../wire/strategy-frames.ts';
import type { RealmHost, StrategyRealm } from './realm-types.ts';
import { buildRealm } from './realm.ts';
import type { BarView, InstrumentSelector, StrategyContext, StrategyDefinition } from './sdk.ts';
import type { WasmMemory } from './wasm-area.ts';
import { InputArea } from './wasm-area.ts';
import { moduleFault } from './wasm-module.ts';

const VERSION = 1;
const ACCEPTED = 1;
const TEXT = { parameters: 0, reason: 4 } as const;
const LEVEL_PRICE = 1;
const BAR_FIELDS: Readonly<Record<number, keyof BarView>> = {
  1: 'startNs',
  2: 'open',
  3: 'high',
  4: 'low',
  5: 'close',
  6: 'volume',
  7: 'buyVolume',
  8: 'trades',
};
const TWO_53: number = 2 ** 53;
/** Of no epoch: an instrument has a name. */
const NO_INSTRUMENT: InstrumentSelector = { venue: '', symbol: '', market: '' };

/** What is used of the JavaScript interface of WebAssembly; only the types of browsers describe it. */
interface WasmInterface {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

interface WasmExports {
  readonly memory: WasmMemory;
  readonly version: () => number;
  readonly input: () => number;
  readonly configure: () => number;
  readonly start: () => void;
  readonly onBatch: () => void;
}

/** The functions that a module may call. What is not there is 0; a call out of place throws. */
class Calls {
  /** Null until the first batch. */
  context: StrategyContext<unknown, unknown> | null = null;
  configuring = false;
  readonly selectors: InstrumentSelector[] = [];
  readonly barsMs: number[] = [];
  readonly #start: StrategyStart;
  readonly #host: RealmHost;
  readonly #names: readonly (readonly Uint8Array[])[];

  constructor(start: StrategyStart, host: RealmHost) {
    this.#start = start;
    this.#host = host;
    this.#names = start.instruments.map(({ venue, symbol, market }) =>
      [venue, symbol, market].map((name) => utf8(name)),
    );
  }

  #text(what: number, index: number): Uint8Array | undefined {
    if (what === TEXT.parameters) return this.#start.parameters;
    if (what === TEXT.reason) return utf8(this.context?.reports[index]?.reason ?? '');
    return this.#names[index]?.[what - 1];
  }

  /** One more than the realm allows is kept, so that the realm refuses it. */
  #configure<T>(list: T[], maximum: number, item: T): void {
    if (!this.configuring) throw new Error('only while it is configured');
    if (list.length <= maximum) list.push(item);
  }

  #report(index: number, field: number): number {
    const found = this.context?.reports[index];
    if (found === undefined) return 0;
    const { signal, instrument, side, status, filledQuantity, fills } = found;
    return [0, signal, instrument, side, status, filledQuantity, fills.length][field] ?? 0;
  }

  #fill(report: number, index: number, field: number): number | bigint {
    const found = this.context?.reports[report]?.fills[index];
    if (found === undefined) return 0;
    return [0, found.price, found.quantity, found.fee, found.timeNs][field] ?? 0;
  }

  #signal(
    instrument: number,
    side: number,
    quantity: bigint,
    limit: bigint,
    ttlMs: number,
  ): bigint {
    if (this.context === null) throw new Error('only in a batch');
    // Beyond 2^53 a number is rounded, to one that is refused just as well.
    const integers = { quantity: Number(quantity), limit: Number(limit), ttlMs };
    return BigInt(this.context.signal({ instrument, side: side as 1 | 2, ...integers }));
  }

  imports(): object {
    const { instruments } = this.#start;
    const host = this.#host;
    return {
      text: (what: number, index: number, at: number) => this.#text(what, index)?.[at] ?? -1,
      instrument: (index: number) => instruments[index]?.id ?? 0,
      subscribe: (id: number) => {
        const known = instruments.find((one) => one.id === id) ?? NO_INSTRUMENT;
        this.#configure(this.selectors, host.maxSubscribed, known);
      },
      bars: (intervalMs: number) => {
        this.#configure(this.barsMs, host.maxBars, intervalMs);
      },
      random: () => BigInt(host.random() * TWO_53),
      level: (slot: number, side: number, level: number, field: number) => {
        const what = field === LEVEL_PRICE ? 'levelPrice' : 'levelQuantity';
        return BigInt(host[what](slot, side, level));
      },
      bar: (slot: number, interval: number, back: number, field: number) => {
        const name = BAR_FIELDS[field];
        return BigInt(name === undefined ? 0 : host.bar(slot, interval, back, name));
      },
      report: (index: number, field: number) => BigInt(this.#report(index, field)),
      fill: (report: number, index: number, field: number) =>
        BigInt(this.#fill(report, index, field)),
      signal: this.#signal.bind(this),
    };
  }
}

/** Throws for a module that is no strategy. */
function define(calls: Calls, bundle: Uint8Array, tops: Float64Array): object {
  const fault = moduleFault(bundle);
  if (fault !== null) throw new Error(fault);
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WasmInterface };
  const module = new WebAssembly.Module(bundle);
  const instance = new WebAssembly.Instance(module, { trackseal: calls.imports() });
  // Names and types as moduleFault has checked them.
  const strategy = instance.exports as WasmExports;
  if (strategy.version() !== VERSION) throw new Error('another version');
  const area = new InputArea(strategy.memory, strategy.input(), tops);
  const definition: StrategyDefinition<null, null> = {
    parameters: {
      safeParse: () => {
        calls.configuring = true;
        const success = strategy.configure() === ACCEPTED;
        calls.configuring = false;
        return { success, data: null };
      },
    },
    subscribe: () => calls.selectors,
    barsMs: calls.barsMs,
    start: (_, instruments) => {
      area.writeSlots(instruments, () => 0);
      strategy.start();
      return null;
    },
    onBatch: (batch, context) => {
      calls.context = context;
      area.writeBatch(batch, context);
      strategy.onBatch();
    },
  };
  return definition;
}

export function createWasmRealm(host: RealmHost, start: StrategyStart): StrategyRealm {
  const realm = buildRealm(host);
  const calls = new Calls(start, host);
  return { realm, evaluate: () => define(calls, start.bundle, realm.columns.tops) };
}
