import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listenForDiagnostics } from '../../host-proxy/diagnostics.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { formatProgress, ProgressDisplay } from '../../host-proxy/progress.ts';
import { Backoff, EnclaveProcess } from '../../host-proxy/supervisor.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { encodeDiagnostic, FRAME, PORT } from '../../wire/messages.ts';
import { unixTransport } from '../../wire/node/unix.ts';

function start(...args: [string, ...string[]]): EnclaveProcess {
  return EnclaveProcess.start({ command: args, showOutput: false });
}

describe('enclave process', () => {
  it('tells how it ended', async () => {
    const done = start(process.execPath, '-e', 'process.exitCode = 3');
    expect(await done.exited).toEqual({ code: 3, signal: null, error: null });
    const missing = start('/nonexistent/enclave');
    expect(await missing.exited).toEqual({ code: null, signal: null, error: 'ENOENT' });
    expect(await missing.terminate(10)).toMatchObject({ error: 'ENOENT' });
  });

  it('is asked to end, and ended when it does not', async () => {
    const obedient = start(process.execPath, '-e', 'setInterval(() => {}, 1000)');
    expect(await obedient.terminate(60_000)).toMatchObject({ signal: 'SIGTERM' });
    const directory = mkdtempSync(join(tmpdir(), 'stub-'));
    const marker = join(directory, 'ready');
    const program = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);
      require('node:fs').writeFileSync(process.argv[1], '');`;
    const stubborn = start(process.execPath, '-e', program, marker);
    while (!existsSync(marker)) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await stubborn.terminate(50)).toMatchObject({ signal: 'SIGKILL' });
    rmSync(directory, { recursive: true });
  });
});

describe('backoff', () => {
  it('doubles up to its maximum and starts again after a good epoch', () => {
    const backoff = new Backoff({ firstMs: 100, maximumMs: 1000, resetAfterMs: 5000 });
    const waits = [0, 0, 4999, 10, 0, 0].map((readyMs) => backoff.next(readyMs));
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect([5000, 0].map((readyMs) => backoff.next(readyMs))).toEqual([100, 200]);
  });
});

describe('logger', () => {
  it('writes one object a line, from its level on', () => {
    const lines: string[] = [];
    const write = (line: string): void => {
      lines.push(line);
    };
    const logger = createLogger({ level: 'warn', write, now: () => new Date(1000) });
    logger.debug('a');
    logger.info('b');
    logger.warn('c', { size: 3, event: 'forged', level: 'debug', time: 'never' });
    logger.error('d\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { time: '1970-01-01T00:00:01.000Z', level: 'warn', event: 'c', size: 3 },
      { time: '1970-01-01T00:00:01.000Z', level: 'error', event: 'd\n' },
    ]);
    expect(lines.every((line) => line.indexOf('\n') === line.length - 1)).toBe(true);
  });
});

describe('progress', () => {
  const numbers = { epoch: 2, batchesSent: 12, batchesDone: 10, signals: 3, leaves: 1500 };

  it('says events a second, batches, signals, leaves and lag', () => {
    expect(formatProgress({ ...numbers, events: 20_000 }, 4999.7)).toBe(
      'epoch 2  20,000 events (5,000/s)  10/12 batches  3 signals  1,500 leaves  lag 2',
    );
  });

  it.each([true, false])('measures between two looks (terminal: %s)', (isTerminal) => {
    const written: string[] = [];
    let [nowMs, events] = [0, 0];
    const display = new ProgressDisplay({
      isTerminal,
      write: (text) => written.push(text),
      nowMs: () => nowMs,
      read: () => ({ ...numbers, events }),
    });
    [nowMs, events] = [2000, 1000];
    display.show();
    // A new epoch counts from the beginning.
    [nowMs, events] = [3000, 200];
    display.show();
    expect(written.map((text) => /\(([0-9,]+)\/s\)/u.exec(text)?.[1])).toEqual(['500', '200']);
    expect(written.every((text) => text.startsWith('\r') === isTerminal)).toBe(true);
    expect(written.every((text) => text.endsWith('\n') !== isTerminal)).toBe(true);
  });
});

describe('diagnostics', () => {
  it('logs closed codes and counters, and nothing that a peer made up', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'diag-'));
    const transport = unixTransport(directory);
    const lines: string[] = [];
    const logger = createLogger({
      level: 'debug',
      write: (line) => lines.push(line),
      now: () => new Date(0),
    });
    const received: string[] = [];
    const listener = await listenForDiagnostics(transport, logger, ({ code }) => {
      received.push(code);
    });
    const stream = await transport.connect(PORT.diagnostics);
    stream.on('error', () => undefined);
    const ended = new Promise((resolve) => {
      stream.on('close', resolve);
    });
    stream.resume();
    for (const [code, counters] of [
      ['ready', { leaves: 7 }],
      ['log_unavailable', {}],
      ['<script>', { leaves: 1 }],
    ] as const) {
      stream.write(encodeFrame(FRAME.diagnostic, encodeDiagnostic({ code, counters })));
    }
    stream.write(encodeFrame(FRAME.diagnostic, Uint8Array.of(0xff)));
    while (received.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.end();
    await ended;
    await listener.close();
    rmSync(directory, { recursive: true });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 'debug', event: 'enclave_diagnostic', code: 'ready', leaves: 7 },
      { level: 'warn', event: 'enclave_diagnostic', code: 'log_unavailable' },
      { level: 'debug', event: 'enclave_diagnostic', code: 'unknown' },
      { level: 'warn', event: 'diagnostics_refused', code: 'cbor_malformed' },
    ]);
  });
});
