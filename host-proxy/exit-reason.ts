// Port 7005: why an enclave ended, one line of ASCII from its first process (docs/PROTOCOL.md 1). It is that
// enclave's word and proves nothing; it is logged. Nobody else's text gets into the log: a line that is not
// one of the known ones is counted as that. Lines, time and connections are limited.

import type { Duplex } from 'node:stream';
import type { Listener, Transport } from '../wire/node/transport.ts';
import type { LogFields, Logger } from './logger.ts';

export const EXIT_REASON_PORT = 7005;
/** `refused ` and the longest step. */
const MAX_LINE_BYTES = 64;
const MAX_STREAMS = 8;
const LINE_MS = 5000;

/** Steps of enclave/init that can refuse. */
export const INIT_STEPS: ReadonlySet<string> = new Set([
  'clocksource',
  'command',
  'console',
  'exec',
  'fork',
  'heartbeat',
  'loopback',
  'module',
  'mount',
  'privileges',
  'ptrace',
  'rng',
  'root',
  'seed',
  'start',
  // A device that is not there.
  'nsm',
  'null',
  'zero',
  'random',
  'urandom',
  'vsock',
]);

/** What is logged of the line, without its newline; null when it is none of the three. */
export function parseExitReason(line: string): LogFields | null {
  const [, kind, number = ''] = /^exit (code|signal) (0|[1-9]\d{0,2})$/u.exec(line) ?? [];
  const value = Number(number);
  if (kind === 'code' && value <= 255) return { exit_code: value };
  if (kind === 'signal' && value >= 1 && value <= 64) return { exit_signal: value };
  const step = /^refused ([a-z_]{1,32})$/u.exec(line)?.[1];
  if (step === undefined) return null;
  return { refused: INIT_STEPS.has(step) ? step : 'unknown' };
}

/** Closing the listener ends open streams, too. */
export async function listenForExitReason(transport: Transport, logger: Logger): Promise<Listener> {
  const open = new Set<Duplex>();
  const listener = await transport.listen(EXIT_REASON_PORT, (stream) => {
    stream.on('error', () => undefined);
    if (open.size >= MAX_STREAMS) {
      stream.destroy();
      return;
    }
    open.add(stream);
    readReason(stream, logger, () => open.delete(stream));
  });
  return {
    close: async () => {
      for (const stream of open) stream.destroy();
      await listener.close();
    },
  };
}

/** The end of the stream tells the enclave that its line was taken. */
function readReason(stream: Duplex, logger: Logger, onClose: () => void): void {
  let line = '';
  const timer = setTimeout(() => stream.destroy(), LINE_MS);
  stream.on('data', (chunk: Buffer) => {
    if (stream.destroyed) return;
    // An end may not be carried by an emulated vsock: the newline ends the line.
    line += chunk.subarray(0, MAX_LINE_BYTES + 1 - line.length).toString('latin1');
    const at = line.indexOf('\n');
    if (at === -1 && line.length <= MAX_LINE_BYTES) return;
    const reason = at === -1 ? null : parseExitReason(line.slice(0, at));
    if (reason === null) logger.warn('enclave_ended', { reason: 'unknown' });
    else if (reason['exit_code'] === 0) logger.info('enclave_ended', reason);
    else logger.warn('enclave_ended', reason);
    stream.destroy();
  });
  stream.on('end', () => stream.destroy());
  stream.on('close', () => {
    clearTimeout(timer);
    onClose();
  });
}
