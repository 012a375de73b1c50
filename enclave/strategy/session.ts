// One strategy's life as a function of frames: START, then INPUT and FILL, to STARTED, OUTPUTS and ENDED
// (docs/PROTOCOL.md 11). No I/O, no clock: the same frames give the same answers, byte for byte. Its
// input comes from the enclave; what the strategy does is checked in realm.ts, and again by whoever reads
// the answers.

import type { Batch } from '../../wire/batch.ts';
import { BatchMemory, parseBatch } from '../../wire/batch.ts';
import { parseUtf8 } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { encodeFrame } from '../../wire/frame.ts';
import type { Frame } from '../../wire/frame.ts';
import { MAX_BATCH_ROWS, MAX_CAUSES, MAX_OUTPUTS_PER_BATCH } from '../../wire/limits.ts';
import { FRAME } from '../../wire/enclave-messages.ts';
import type { Side } from '../../wire/enclave-payloads.ts';
import { MAX_TTL_MS, parseReport } from '../../wire/enclave-payloads.ts';
import { encodeSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { isWebAssembly } from '../../wire/strategy-bundle.ts';
import { parseStrategyFill } from '../../wire/strategy-messages.ts';
import type { StrategyStart } from '../../wire/strategy-frames.ts';
import {
  encodeStrategyEnded,
  encodeStrategyOutputs,
  encodeStrategyStarted,
  parseStrategyInput,
  parseStrategyStart,
} from '../../wire/strategy-messages.ts';
import { Books } from './books.ts';
import { createStrategyRealm } from './context.ts';
import { seededRandom } from './random.ts';
import { BOOK_FIELDS } from './realm-types.ts';
import type { Realm, RealmHost, RealmVerdict } from './realm-types.ts';
import { RowWriter } from './rows.ts';
import { createWasmRealm } from './wasm-realm.ts';

const MAX_SUBSCRIBED = 64;
const MAX_BARS = 4;
const MAX_REPORTS = 1024;
const MAX_OPEN_SIGNALS = 65_536;

export interface Answer {
  /** A frame to send, or null. */
  readonly frame: Uint8Array | null;
  /** Must be sent before the next batch is worked on: signals, the start, the end. */
  readonly urgent: boolean;
  /** True after ENDED: the process must stop. */
  readonly ended: boolean;
}

const NOTHING: Answer = { frame: null, urgent: false, ended: false };

function endedWith(code: RefusalCode): Answer {
  return { frame: encodeFrame(FRAME.ended, encodeStrategyEnded(code)), urgent: true, ended: true };
}

interface Running {
  readonly realm: Realm;
  readonly books: Books;
  readonly rows: RowWriter;
}

export class StrategySession {
  #running: Running | null = null;
  readonly #memory = new BatchMemory();
  /** FILL leaves since the last INPUT, the latest 63. */
  #fills: number[] = [];

  /** Throws only when the enclave's side breaks the protocol. */
  handle(frame: Frame): Answer {
    if (this.#running === null) {
      if (frame.type !== FRAME.start) throw new Error('a strategy session begins with START');
      return this.#start(assertAccepted(parseStrategyStart(frame.payload)));
    }
    if (frame.type === FRAME.input) return this.#input(this.#running, frame.payload);
    if (frame.type === FRAME.fill) return this.#fill(this.#running, frame.payload);
    throw new Error('START came twice');
  }

  #start(start: StrategyStart): Answer {
    let books: Books | null = null;
    const random = seededRandom(start.seed);
    const host: RealmHost = {
      random,
      levelPrice: (slot, side, level) => books?.levelPrice(slot, side, level) ?? 0,
      levelQuantity: (slot, side, level) => books?.levelQuantity(slot, side, level) ?? 0,
      bar: (slot, interval, back, field) => books?.bar(slot, interval, back, field) ?? 0,
      maxRows: MAX_BATCH_ROWS,
      maxOutputs: MAX_OUTPUTS_PER_BATCH,
      maxTtlMs: MAX_TTL_MS,
      maxSubscribed: MAX_SUBSCRIBED,
      maxBars: MAX_BARS,
      bookFields: BOOK_FIELDS,
      maxReports: MAX_REPORTS,
      maxOpenSignals: MAX_OPEN_SIGNALS,
    };
    const { realm, evaluate } = isWebAssembly(start.bundle)
      ? createWasmRealm(host, start)
      : createStrategyRealm(host, start.bundle);
    for (const one of start.instruments) {
      const { id, venue, symbol, market, price_scale, quantity_scale } = one;
      realm.instrument(id, venue, symbol, market, price_scale, quantity_scale);
    }
    const verdict = load(realm, evaluate, start);
    if (verdict !== 'ok') return endedWith(verdict);
    const subscribed = list((slot) => realm.subscribed(slot));
    const barsMs = list((number) => realm.barInterval(number));
    const instruments = subscribed.flatMap(
      (id) => start.instruments.find((one) => one.id === id) ?? [],
    );
    books = new Books(instruments, barsMs, realm.columns.tops);
    const rows = new RowWriter(realm.columns, subscribed);
    this.#running = { realm, books, rows };
    const payload = encodeStrategyStarted(subscribed);
    return { frame: encodeFrame(FRAME.started, payload), urgent: true, ended: false };
  }

  #input(running: Running, payload: Uint8Array): Answer {
    const { realm, books, rows } = running;
    const { leafIndex, bytes } = assertAccepted(parseStrategyInput(payload));
    const batch = assertAccepted(parseBatch(bytes, null, this.#memory));
    books.apply(batch);
    const length = rows.write(batch);
    const verdict = realm.batch(batch.stream, batch.sequence, batch.timeNs, length);
    if (verdict !== 'ok') return endedWith(verdict);
    const causes = [...this.#fills, leafIndex];
    this.#fills = [];
    const outputs = encodeSignals(realm, batch, causes);
    const answer = encodeStrategyOutputs({ leafIndex, outputs });
    const urgent = outputs.length > 0;
    return { frame: encodeFrame(FRAME.outputs, answer), urgent, ended: false };
  }

  #fill({ realm }: Running, payload: Uint8Array): Answer {
    const { leafIndex, report, signal } = assertAccepted(parseStrategyFill(payload));
    const { status, reason, filledQuantity, fills } = assertAccepted(parseReport(report));
    this.#fills.push(leafIndex);
    if (this.#fills.length === MAX_CAUSES) this.#fills.shift();
    realm.report(signal, status, reason, filledQuantity);
    for (const { price, quantity, fee, timeNs } of fills) realm.fill(price, quantity, fee, timeNs);
    return NOTHING;
  }
}

/** Objects of the realm are not handed over; lists come element by element. */
function list(element: (index: number) => number): readonly number[] {
  const values: number[] = [];
  for (let index = 0; element(index) >= 0; index++) values.push(element(index));
  return values;
}

function load(realm: Realm, evaluate: () => unknown, start: StrategyStart): RealmVerdict {
  const parameters = parseUtf8(start.parameters);
  if (parameters === null) return 'strategy_parameters';
  let definition: unknown;
  try {
    definition = evaluate();
  } catch {
    return 'strategy_malformed';
  }
  return realm.load(definition, parameters);
}

function encodeSignals(realm: Realm, batch: Batch, causes: readonly number[]): Uint8Array[] {
  const { signals } = realm.columns;
  const firstId = realm.firstSignal();
  const outputs: Uint8Array[] = [];
  for (let index = 0; index < realm.signalCount(); index++) {
    const field = (number: number): number => signals[index * 5 + number] ?? 0;
    outputs.push(
      encodeSignal({
        id: firstId + index,
        instrument: field(0),
        side: field(1) as Side,
        quantity: field(2),
        limit: field(3),
        ttlMs: field(4),
        decisionNs: batch.timeNs,
        causes,
      }),
    );
  }
  return outputs;
}
