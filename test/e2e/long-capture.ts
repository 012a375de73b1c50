// A capture that is longer than the committed one: the same messages again and again, with times and ids
// that go on, so that it is one feed without a hole, with a snapshot in each round.

import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { CAPTURE } from './appliance.ts';

interface Span {
  first: number;
  last: number;
}

const EMPTY: Span = { first: Number.POSITIVE_INFINITY, last: 0 };

function extend(span: Span, value: number): void {
  span.first = Math.min(span.first, value);
  span.last = Math.max(span.last, value);
}

type Message = Record<string, unknown>;

/** Names of the venue's fields that count updates. */
const UPDATE_IDS: readonly string[] = ['U', 'u', 'lastUpdateId'];

/** Writes `rounds` times the committed capture to `path`. */
export function writeLongCapture(path: string, rounds: number): void {
  const lines = gunzipSync(readFileSync(CAPTURE)).toString('utf8').split('\n').filter(Boolean);
  const parsed = lines.map((line) => {
    const space = line.indexOf(' ');
    const json = JSON.parse(line.slice(space + 1)) as Message;
    return { timeNs: BigInt(line.slice(0, space)), json, data: (json['data'] ?? json) as Message };
  });
  const updates = { ...EMPTY };
  const trades = { ...EMPTY };
  for (const { data } of parsed) {
    // The first and the last update of the book; best quotes may be ahead of it.
    if (data['e'] === 'depthUpdate') {
      extend(updates, Number(data['U']));
      extend(updates, Number(data['u']));
    }
    if (data['e'] === 'trade') extend(trades, Number(data['t']));
  }
  const [firstNs, lastNs] = [parsed[0]?.timeNs ?? 0n, parsed.at(-1)?.timeNs ?? 0n];
  const parts: Buffer[] = [];
  for (let round = 0; round < rounds; round++) {
    const shift = (data: Message, field: string, by: number): void => {
      if (typeof data[field] === 'number') data[field] += by;
    };
    for (const { data } of parsed) {
      if (round === 0) continue;
      for (const field of UPDATE_IDS) shift(data, field, updates.last - updates.first + 1);
      shift(data, 't', trades.last - trades.first + 1);
      for (const field of ['E', 'T']) shift(data, field, Number((lastNs - firstNs) / 1_000_000n));
    }
    const offsetNs = BigInt(round) * (lastNs - firstNs + 1_000_000n);
    const text = parsed
      .map(({ timeNs, json }) => `${timeNs + offsetNs} ${JSON.stringify(json)}\n`)
      .join('');
    // Members of one gzip file follow one another.
    parts.push(gzipSync(text, { level: 1 }));
  }
  writeFileSync(path, Buffer.concat(parts));
}
