import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  EXIT_REASON_PORT,
  INIT_STEPS,
  listenForExitReason,
  parseExitReason,
} from '../../host-proxy/exit-reason.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { ROOT } from '../../scripts/bundle.ts';
import type { Listener } from '../../wire/node/transport.ts';
import { connectUnix, unixTransport } from '../../wire/node/unix.ts';

describe('the line of the end', () => {
  it.each([
    ['exit code 0', { exit_code: 0 }],
    ['exit code 255', { exit_code: 255 }],
    ['exit code 256', null],
    ['exit code 00', null],
    ['exit code -1', null],
    ['exit code', null],
    ['exit signal 0', null],
    ['exit signal 1', { exit_signal: 1 }],
    ['exit signal 64', { exit_signal: 64 }],
    ['exit signal 65', null],
    ['refused clocksource', { refused: 'clocksource' }],
    ['refused something_else', { refused: 'unknown' }],
    ['refused ', null],
    ['refused <script>', null],
    [`refused ${'a'.repeat(33)}`, null],
    ['exit code 0\r', null],
    [' exit code 0', null],
    ['', null],
  ])('%j', (line, fields) => {
    expect(parseExitReason(line)).toEqual(fields);
  });

  it('knows every step of the first process', () => {
    const source = readFileSync(join(ROOT, 'enclave/init/init.c'), 'utf8');
    const steps = [
      ...source.matchAll(/require\(.*?"([a-z_]+)"\);/gu),
      ...source.matchAll(/at = "([a-z_]+)"/gu),
    ].map(([, step]) => step);
    expect(steps.length).toBeGreaterThan(10);
    expect(steps.filter((step) => step === undefined || !INIT_STEPS.has(step))).toEqual([]);
    const devices = /DEVICES\[\] = \{(.*?)\n\};/su.exec(source)?.[1] ?? '';
    const names = [...devices.matchAll(/\{"([a-z]+)"/gu)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => name === undefined || !INIT_STEPS.has(name))).toEqual([]);
  });
});

describe('listenForExitReason', () => {
  let directory = '';
  let lines: string[] = [];
  let listener: Listener;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ts-'));
    lines = [];
    const logger = createLogger({
      level: 'debug',
      now: () => new Date(0),
      write: (line) => lines.push(line),
    });
    listener = await listenForExitReason(unixTransport(directory), logger);
  });
  afterEach(async () => {
    await listener.close();
    await rm(directory, { recursive: true });
  });

  const dial = (): ReturnType<typeof connectUnix> =>
    connectUnix(join(directory, String(EXIT_REASON_PORT)));

  /** Resolves when the host has closed the stream. */
  async function tell(...parts: readonly string[]): Promise<void> {
    const socket = await dial();
    socket.on('error', () => undefined);
    socket.resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const part of parts) {
      socket.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => socket.once('end', resolve));
    socket.end();
    await closed;
  }

  const last = (): unknown => JSON.parse(lines.at(-1) ?? '{}');

  it('logs it and ends the stream, without an end of the other side', async () => {
    await tell('exit code 0\n');
    expect(last()).toMatchObject({ level: 'info', event: 'enclave_ended', exit_code: 0 });
    await tell('exit signal 11\n');
    expect(last()).toMatchObject({ level: 'warn', exit_signal: 11 });
    await tell('refused rng\n');
    expect(last()).toMatchObject({ level: 'warn', refused: 'rng' });
    await tell('e', 'xit co', 'de 13', '7', '\n');
    expect(last()).toMatchObject({ level: 'warn', exit_code: 137 });
    expect(lines).toHaveLength(4);
  });

  it('says unknown of anything else, and quotes nothing', async () => {
    await tell('I am the log key\n');
    await tell(`${'x'.repeat(64)}\n`);
    await tell('x'.repeat(65));
    await tell('exit code 0\nexit code 1\n');
    expect(lines.map((line) => (JSON.parse(line) as { reason?: string }).reason)).toEqual([
      'unknown',
      'unknown',
      'unknown',
      undefined,
    ]);
    expect(lines.join('')).not.toMatch(/log key|xx/u);
  });

  it('logs nothing when the line does not end', async () => {
    const socket = await dial();
    socket.resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end('exit code 0');
    await closed;
    expect(lines).toEqual([]);
  });

  it('takes eight streams at once, and more when they are over', async () => {
    const sockets = await Promise.all(Array.from({ length: 9 }, dial));
    const closed = sockets.map((socket) => {
      let over = false;
      socket.on('close', () => {
        over = true;
      });
      socket.on('end', () => socket.end()).resume();
      return () => over;
    });
    await vi.waitUntil(() => closed.filter((isOver) => isOver()).length === 1);
    for (const socket of sockets) socket.end();
    await vi.waitUntil(() => closed.every((isOver) => isOver()));
    await tell('exit code 3\n');
    expect(last()).toMatchObject({ exit_code: 3 });
  });

  it('gives up on a stream after five seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const socket = await dial();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('end', () => socket.end()).resume();
      socket.write('exit');
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      await vi.advanceTimersByTimeAsync(5000);
      await closed;
      expect(lines).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });
});
