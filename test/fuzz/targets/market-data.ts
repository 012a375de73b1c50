// Messages of Binance and the capture files that hold them. Whatever is accepted becomes batches that the
// enclave accepts, with the same rows. Captures are read from files, plain and gzipped: the first byte of an
// input picks the form.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import { Batcher } from '../../../wire/market/batcher.ts';
import { BinanceParser } from '../../../wire/market/venues/binance.ts';
import { readCapture } from '../../../host-proxy/feed/capture.ts';
import type { CaptureChunk } from '../../../host-proxy/feed/capture.ts';
import { formatDecimal, parseDecimal } from '../../../wire/market/scaled.ts';
import type { MarketEvent } from '../../../wire/market/events.ts';
import { rowsOf } from '../../../wire/market/events.ts';
import { parseBatch } from '../../../wire/batch.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import { mutateLines } from '../mutate/lines.ts';
import type { Target } from '../target.ts';
import { expectThat, judge, sameValue } from '../target.ts';

const INSTRUMENT: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 4,
  sequence_rule: 'binance-spot',
};
const FUTURE: Instrument = { ...INSTRUMENT, id: 2, symbol: 'BTCUSDT', market: 'linear' };
const TIME_NS = 1_723_161_254_206_652_067n;

const MESSAGES: readonly string[] = [
  '{"stream":"ethusdt@depth","data":{"e":"depthUpdate","E":1723161255208,"s":"ETHUSDT","U":5,"u":7,"b":[["2683.16","1.5000"],["2683.00","0"]],"a":[["2683.17","0.1"]]}}',
  '{"e":"depthUpdate","E":1723161255208,"T":1723161255200,"s":"BTCUSDT","U":5,"u":7,"pu":4,"b":[],"a":[]}',
  '{"e":"trade","E":1723161255208,"T":1723161255200,"s":"ETHUSDT","t":15205,"p":"2683.80","q":"0.0200","m":true}',
  '{"u":400,"s":"ETHUSDT","b":"2683.16","B":"31.21","a":"2683.17","A":"40.66"}',
  '{"lastUpdateId":50093239218,"bids":[["2683.16","1.5"]],"asks":[["2683.17","2"],["2684","3"]]}',
];
const WORDS = ['data', 'e', 's', 'lastUpdateId', 'pu', 'ETHUSDT', 'BTCUSDT', 'trade', 'bookTicker'];

function batchesOf(events: readonly MarketEvent[], closeRows: number): readonly EncodedBatch[] {
  const batches: EncodedBatch[] = [];
  const batcher = new Batcher({
    stream: 1,
    closeRows,
    closeMs: 50,
    onBatch: (batch) => batches.push(batch),
  });
  for (const event of events) batcher.add(event);
  batcher.flush();
  return batches;
}

/** The enclave takes the batches of these events, and loses no row. */
function checkBatches(events: readonly MarketEvent[]): void {
  const batches = batchesOf(events, 1 + (events.length % 300));
  let rows = 0;
  let timeNs = 0n;
  for (const { bytes, sequence } of batches) {
    const parsed = parseBatch(bytes, new Set([1, 2]));
    if (!parsed.ok) {
      expectThat(false, `the enclave refuses ${JSON.stringify(parsed.refusal)}`);
      return;
    }
    expectThat(parsed.value.sequence === sequence, 'another sequence');
    expectThat(parsed.value.timeNs >= timeNs, 'batch times go back');
    timeNs = parsed.value.timeNs;
    rows += parsed.value.rows;
  }
  expectThat(rows === events.reduce((sum, event) => sum + rowsOf(event), 0), 'rows are lost');
}

const both = new BinanceParser([INSTRUMENT, FUTURE]);
const single = new BinanceParser([INSTRUMENT]);

function runBinance(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const outcomes: string[] = [];
  for (const parser of [both, single]) {
    const parsed = parser.parse(text, TIME_NS);
    const event = parsed.ok ? parsed.value : null;
    if (event !== null) checkBatches([event, event]);
    outcomes.push(judge(parsed), event?.type ?? '');
  }
  return outcomes.join(' ');
}

export function binanceTarget(): Target {
  return {
    name: 'binance',
    files: [
      'wire/market/venues/binance.ts',
      'wire/market/scaled.ts',
      'wire/market/batcher.ts',
      'wire/market/batch-builder.ts',
    ],
    maxBytes: 512 * 1024,
    seeds: MESSAGES.map((message) => utf8(message)),
    mutate: mix([5, mutateJson({ words: WORDS, canonicalOfTen: 1 })], [1, mutateBytes]),
    run: runBinance,
    maxSteps: { base: 60_000, perByte: 400 },
  };
}

function runDecimal(bytes: Uint8Array): string {
  const scale = (bytes[0] ?? 0) % 13;
  const text = Buffer.from(bytes.subarray(1)).toString('latin1');
  const value = parseDecimal(text, scale);
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?$/u.exec(text);
  const [, sign = '', whole = '', decimals = ''] = match ?? [];
  const beyond = decimals.slice(scale);
  const exact =
    match === null || /[^0]/u.test(beyond)
      ? null
      : BigInt(whole + decimals.slice(0, scale).padEnd(scale, '0'));
  const expected =
    exact === null || exact > BigInt(Number.MAX_SAFE_INTEGER)
      ? null
      : sign === '-'
        ? -exact
        : exact;
  expectThat(value === null ? expected === null : BigInt(value) === expected, 'another value');
  if (value === null) return 'refused';
  expectThat(parseDecimal(formatDecimal(value, scale), scale) === value, 'another value as text');
  return `accepted ${value < 0} ${decimals.length > scale}`;
}

const mutateDecimal: Mutator = (random) => {
  const digits = (): string =>
    Array.from({ length: random.below(19) }, () => random.below(10)).join('');
  const odd = random.oneIn(6)
    ? random.pick(['-', '.', '+', 'e5', ' ', '--', '٣', '9007199254740991'])
    : '';
  const text = `${random.pick(['', '', '-'])}${digits()}${odd}${random.pick(['', '.'])}${digits()}${'0'.repeat(random.below(5))}`;
  return new Uint8Array([random.below(13), ...utf8(text)]);
};

export function decimalTarget(): Target {
  return {
    name: 'decimal',
    files: ['wire/market/scaled.ts'],
    maxBytes: 4096,
    seeds: [utf8('\u00042683.1600'), utf8('\u0000-5'), utf8('\u000c9007.199254740991')],
    mutate: mix([3, mutateDecimal], [1, mutateBytes]),
    run: runDecimal,
  };
}

const FORMS = 3;
const MAX_LINE_BYTES = 20_000;

/** The lines of a whole file, read at once. */
function eventsPlainly(content: Uint8Array): { events: MarketEvent[]; refused: number } {
  const bytes = Buffer.from(content);
  const events: MarketEvent[] = [];
  let refused = 0;
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    start = end + 1;
    const match = /^([0-9]{1,19}) /u.exec(line.toString('latin1'));
    const time = match === null ? -1n : BigInt(match[1] ?? '');
    const parsed =
      line.length > MAX_LINE_BYTES || time < 0n || time >= 2n ** 63n
        ? null
        : both.parse(line.toString('utf8', match?.[0].length), time);
    if (parsed?.ok !== true) refused++;
    else if (parsed.value !== null) events.push(parsed.value);
  }
  return { events, refused };
}

async function collect(path: string, onMalformed: 'stop' | 'continue'): Promise<CaptureChunk> {
  const events: MarketEvent[] = [];
  const refusals: CaptureChunk['refusals'][number][] = [];
  const options = { onMalformed, maxLineBytes: MAX_LINE_BYTES };
  for await (const chunk of readCapture(path, both, options)) {
    events.push(...chunk.events);
    refusals.push(...chunk.refusals);
  }
  return { events, refusals };
}

/** Null when it is no gzip from beginning to end. */
function unzipped(bytes: Uint8Array): Uint8Array | null {
  try {
    return gunzipSync(bytes, { maxOutputLength: 64 * 1024 * 1024 });
  } catch {
    return null;
  }
}

function runCapture(folder: string): (input: Uint8Array) => Promise<string> {
  return async (input) => {
    const form = (input[0] ?? 0) % FORMS;
    const bytes = input.subarray(1);
    const path = join(folder, form === 0 ? 'capture' : 'capture.gz');
    writeFileSync(path, form === 1 ? gzipSync(bytes, { level: 1 }) : bytes);
    const content = form === 2 ? unzipped(bytes) : bytes;
    const read = await collect(path, 'continue');
    const [first] = read.refusals;
    if (first !== undefined && bytes.length % 8 === 0) {
      const stopped = await collect(path, 'stop');
      expectThat(stopped.refusals.length === 1, 'went on after a refusal');
    }
    if (content !== null) {
      const plain = eventsPlainly(content);
      expectThat(read.refusals.length === plain.refused, 'another number of refusals');
      expectThat(sameValue(read.events, plain.events), 'other events than the lines say');
    }
    checkBatches(read.events);
    const outcome = first === undefined ? 'read' : judge({ ok: false, refusal: first });
    return `${form} ${outcome} ${Math.min(read.events.length, 4)} ${content === null}`;
  };
}

export function captureTarget(): Target {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-capture-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const lines = MESSAGES.map((message, at) => `${TIME_NS + BigInt(at)} ${message}`);
  const file = utf8(`${lines.join('\n')}\n`);
  const zipped = gzipSync(file);
  return {
    name: 'capture',
    files: ['host-proxy/feed/capture.ts', 'wire/market/venues/binance.ts'],
    maxBytes: 64 * 1024,
    seeds: [
      new Uint8Array([0, ...file]),
      new Uint8Array([1, ...file]),
      new Uint8Array([2, ...zipped]),
      utf8(`\u0000${lines[2] ?? ''}`),
    ],
    mutate: withSelector(
      FORMS,
      mix([4, mutateLines([...lines, '5 {}', '9223372036854775808 {}', ' {}'])], [1, mutateBytes]),
    ),
    run: runCapture(folder),
    maxSteps: { base: 100_000, perByte: 400 },
  };
}
