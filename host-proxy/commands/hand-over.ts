// trackseal host hand-over: has the running enclave say, in its log, which image comes next, and close. A
// verifier links the epochs of the two images by it. The host is asked by a file in its state folder.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { removeDurably, writeDurably } from '../durable-file.ts';
import type { HostConfig } from '../config-file.ts';
import { explain } from '../explain.ts';
import type { HostIo } from '../explain.ts';
import { makeDirectories, nodeFiles } from '../files.ts';
import { lockFolder } from '../folder-lock.ts';
import {
  encodeHandOverRequest,
  HAND_OVER_DONE,
  HAND_OVER_REQUEST,
  parseNewImage,
  requestsDirectory,
} from '../requests.ts';
import { parseHostArgs, runHostCommand } from './host-command.ts';

const USAGE = `usage: trackseal host hand-over --config FILE --measurements NEW.json [--note TEXT] [--json]

Has the running enclave log which image comes next (its PCR0, PCR1, PCR2) and close its epoch. The host then
ends; start it again with the new image. docs/UPGRADE.md has all steps.

  --config FILE         the host's configuration
  --measurements FILE   measurements.json of the new image
  --note TEXT           for whoever reads the log: up to 256 printable ASCII characters
  --timeout-ms N        how long the close may take; default: enclave.close_ms of the host and 30 s
  --json                the answer as JSON on stdout

Exit codes: 0 handed over and closed, 1 refused or not closed cleanly, 2 could not (no host runs).
`;
const LOOK_EVERY_MS = 100;
const MORE_MS = 30_000;

const doneSchema = z.object({
  epoch: z.number(),
  origin: z.string().nullable(),
  size: z.number(),
  root: z.string().nullable(),
  closed: z.boolean(),
});

export function run(args: readonly string[], io: HostIo): Promise<number> {
  return runHostCommand(args, io, { usage: USAGE, readOptions, perform: handOver });
}

async function handOver(options: Options, config: HostConfig, io: HostIo): Promise<number> {
  const request = readRequest(options, io);
  if (request === null) return 2;
  const lock = await lockFolder(config.state);
  if (lock !== null) {
    lock.close();
    io.stderr(`no host runs on ${config.state}: nothing can be handed over\n`);
    io.stderr('  next  a stopped log needs no hand-over: start the new image\n');
    return 2;
  }
  const timeoutMs = options.timeoutMs ?? config.enclave.close_ms + MORE_MS;
  return ask(request, requestsDirectory(config.state), timeoutMs, options.json, io);
}

async function ask(
  request: Uint8Array,
  directory: string,
  timeoutMs: number,
  json: boolean,
  io: HostIo,
): Promise<number> {
  await makeDirectories(nodeFiles, directory);
  if (nodeFiles.size(`${directory}/${HAND_OVER_DONE}`) !== null) {
    await removeDurably(nodeFiles, directory, HAND_OVER_DONE);
  }
  await writeDurably(nodeFiles, directory, HAND_OVER_REQUEST, request);
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += LOOK_EVERY_MS) {
    const done = nodeFiles.readFile(`${directory}/${HAND_OVER_DONE}`, 16 * 1024);
    if (done !== null) return showDone(done, json, io);
    await sleep(LOOK_EVERY_MS);
  }
  if (nodeFiles.size(`${directory}/${HAND_OVER_REQUEST}`) !== null) {
    await removeDurably(nodeFiles, directory, HAND_OVER_REQUEST);
  }
  io.stderr('the host did not hand over in time\n');
  io.stderr('  next  look for `hand_over` in its log; no enclave may be ready\n');
  return 1;
}

function showDone(bytes: Uint8Array, json: boolean, io: HostIo): number {
  const text = new TextDecoder().decode(bytes);
  const done = doneSchema.parse(JSON.parse(text));
  if (json) io.stdout(`${JSON.stringify(done)}\n`);
  else {
    const how = done.closed ? 'handed over and closed' : 'NOT CLOSED: the enclave ended before';
    io.stdout(`${how}: ${done.origin ?? 'no log'}\n`);
    io.stdout(`  log   ${done.size} leaves, root ${done.root ?? 'none'}\n`);
    io.stdout('  next  start the new image; tell LPs this head with the new measurements\n');
  }
  return done.closed ? 0 : 1;
}

function readRequest({ measurements, note }: Options, io: HostIo): Uint8Array | null {
  let text: string;
  try {
    text = readFileSync(measurements, 'utf8');
  } catch {
    explain(io, { code: 'file_unreadable', detail: { file: measurements } });
    return null;
  }
  const pcrs = parseNewImage(text);
  if (pcrs === null) {
    io.stderr(`${measurements}: not the measurements of an image, or of one in debug mode\n`);
    return null;
  }
  const request = encodeHandOverRequest(pcrs, note);
  if (request === null) io.stderr('--note: up to 256 printable ASCII characters\n');
  return request;
}

interface Options {
  readonly config: string;
  readonly measurements: string;
  readonly note: string;
  readonly timeoutMs: number | null;
  readonly json: boolean;
}

function readOptions(args: readonly string[]): Options | null {
  const parsed = parseHostArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      measurements: { type: 'string' },
      note: { type: 'string', default: '' },
      'timeout-ms': { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  if (parsed === null) return null;
  const { config, measurements, note, json, 'timeout-ms': timeout } = parsed.values;
  const timeoutMs = timeout === undefined ? null : Number(timeout);
  if (config === undefined || measurements === undefined) return null;
  if (timeoutMs !== null && !(Number.isSafeInteger(timeoutMs) && timeoutMs > 0)) return null;
  return { config, measurements, note, timeoutMs, json };
}
