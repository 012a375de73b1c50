// The enclave's log without host and disk: entries a second at several entries a commit, against what one
// writes first: JSON entries in a hash chain, signed with P-256 once a batch. Acknowledged at once.

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Clock, systemClock } from '../enclave/clock.ts';
import { generateLogKey } from '../enclave/keys.ts';
import { LogWriter } from '../enclave/log/writer.ts';
import { parseCommit } from '../wire/commit.ts';
import { encodeAck } from '../wire/messages.ts';
import { KIND, LABEL } from '../wire/leaf.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { assertAccepted } from '../wire/result.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';

export interface LogRow {
  readonly entriesPerCommit: number;
  readonly entriesPerSecond: number;
  readonly baselineEntriesPerSecond: number;
  readonly ratio: number;
}

const ENTRY_BYTES = 256;
const ORIGIN = 'bench.local/log/e0000000001';

/** Entries a second of LogWriter; the time to parse a commit for its acknowledgement is not counted. */
function runLog(entriesPerCommit: number, entries: number, payload: Uint8Array): number {
  const key = generateLogKey();
  let pending: Uint8Array | null = null;
  const log = new LogWriter({
    crypto: nodeCrypto,
    clock: new Clock(systemClock),
    origin: ORIGIN,
    epoch: 1,
    key,
    disclosureKey: new Uint8Array(randomBytes(32)),
    commitMs: 1000,
    stallMs: 60_000,
    onStalled: () => undefined,
    send: (commit) => {
      pending = commit;
    },
    onAcknowledged: () => {},
    onTimer: (work) => {
      work();
    },
  });
  let uncountedMs = 0;
  const start = performance.now();
  for (let done = 0; done < entries; done += entriesPerCommit) {
    for (let step = 0; step < entriesPerCommit; step++) {
      const draft = { kind: KIND.input, stream: 1, label: LABEL.host, causes: [] } as const;
      log.append({ ...draft, plaintext: payload });
    }
    log.flush();
    const before = performance.now();
    if (pending === null) throw new Error('flush sent no commit');
    const { note } = assertAccepted(parseCommit(pending));
    const head = assertAccepted(verifyCheckpoint(nodeCrypto, note, ORIGIN, key.spki));
    const ack = encodeAck({ epoch: 1, size: head.size, root: head.root });
    uncountedMs += performance.now() - before;
    log.receiveAck(ack);
  }
  const seconds = (performance.now() - start - uncountedMs) / 1000;
  log.stop();
  return entries / seconds;
}

function runBaseline(entriesPerCommit: number, entries: number, payload: Uint8Array): number {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const text = Buffer.from(payload).toString('base64');
  let previous = '';
  let bytes = 0;
  const start = performance.now();
  for (let done = 0; done < entries; done += entriesPerCommit) {
    for (let step = 0; step < entriesPerCommit; step++) {
      const entry = { index: done + step, time: Date.now(), stream: 1, kind: 'input', data: text };
      const line = JSON.stringify({ ...entry, previous });
      previous = createHash('sha256').update(line).digest('hex');
      bytes += line.length;
    }
    bytes += sign('sha256', Buffer.from(previous), privateKey).length;
  }
  const seconds = (performance.now() - start) / 1000;
  if (bytes < entries * ENTRY_BYTES) throw new Error('the baseline lost entries');
  return entries / seconds;
}

function median(run: () => number): number {
  const values = [run(), run(), run()].sort((a, b) => a - b);
  return values[1] ?? 0;
}

/** Both in turn at each size, the median of three. */
export function benchLog(entries: number): readonly LogRow[] {
  const payload = new Uint8Array(randomBytes(ENTRY_BYTES));
  return [1, 10, 100, 1000].map((entriesPerCommit) => {
    const count = entriesPerCommit === 1 ? entries / 10 : entries;
    const entriesPerSecond = median(() => runLog(entriesPerCommit, count, payload));
    const baselineEntriesPerSecond = median(() => runBaseline(entriesPerCommit, count, payload));
    const ratio = entriesPerSecond / baselineEntriesPerSecond;
    return { entriesPerCommit, entriesPerSecond, baselineEntriesPerSecond, ratio };
  });
}
