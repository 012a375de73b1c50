// A trader's key goes into the enclave and comes out nowhere: all that a host can see is captured and searched, its whole
// memory among it. And what the host keeps for the enclave brings a session back, but not one that was revoked
// without its trace in the log.

import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { originOf } from '../../wire/header.ts';
import type { ResultSummary } from '../../wire/result-summary.ts';
import { SecretSearch } from '../helpers/secret-search.ts';
import { attest, verifyLog } from './appliance.ts';
import { listLeaves, LOG_ID } from './evidence.ts';
import { cleanUpAfterEach, descendantsNamed, temporaryFolder, trackseal } from './processes.ts';
import { inMemory, TraderStage, VENUE_HOST } from './trader-stage.ts';

cleanUpAfterEach();

interface Mark {
  readonly id: string;
  readonly number: number;
}

/** Marks of vault records in the audit leaves of an epoch, for those events. */
async function marksOf(
  { appliance }: TraderStage,
  epoch: number,
  events: readonly string[],
): Promise<readonly Mark[]> {
  const leaves = (await listLeaves(appliance, epoch)).filter(({ kind }) => kind === 'audit');
  return leaves.flatMap(({ payload }) =>
    events.includes(String(payload['event']))
      ? ((payload['records'] ?? []) as readonly Mark[])
      : [],
  );
}

/** Records that came back in an epoch older than the log says they had been. */
async function rolledBack(stage: TraderStage, epoch: number): Promise<readonly string[]> {
  const newest = new Map<string, number>();
  for (let before = 1; before < epoch; before++) {
    for (const { id, number } of await marksOf(stage, before, [
      'vault_written',
      'session_revoked',
      'restored',
    ])) {
      newest.set(id, Math.max(number, newest.get(id) ?? 0));
    }
  }
  const restored = await marksOf(stage, epoch, ['restored']);
  return restored.filter(({ id, number }) => number < (newest.get(id) ?? 0)).map(({ id }) => id);
}

const USER = 'e2e-trader-4711';
/** Bybit's answer to what a key may do. */
const SIGNED = '/v5/user/query-api';
const PATIENCE_MS = 120_000;

/** A summary that the client has verified, once it says what is waited for. */
async function summaryWith(
  stage: TraderStage,
  file: string,
  what: (summary: ResultSummary) => boolean,
): Promise<ResultSummary> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const { code, stdout, stderr } = await stage.session('summary', '-o', file);
    if (code === 0) {
      const { summary } = JSON.parse(stdout) as { readonly summary: ResultSummary };
      if (what(summary)) return summary;
    }
    if (performance.now() > untilMs) throw new Error(`no such summary: ${stdout}${stderr}`);
    await sleep(200);
  }
}

/** Bytes from a client that are no TLS, so that they can be found again. */
async function plant({ ingress }: TraderStage, marker: string): Promise<void> {
  const socket = createConnection({ host: '127.0.0.1', port: ingress.port });
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.resume().write(marker);
  await closed;
}

describe('a trader whose key goes to the enclave', () => {
  it('leaves it in nothing that the host has: memory, traffic, files, output', async () => {
    const marker = `marker-${Date.now()}-of-the-host`;
    const stage = await TraderStage.open();
    const host = await stage.startHost(marker);
    const { api_key: apiKey, secret } = stage.keys;
    const search = new SecretSearch({ apiKey, secret, userId: USER });
    const controls = new SecretSearch({ marker });

    // The exchange has the key in a request and the client waits: it has come through everywhere.
    await stage.exchange.control('fault', { type: 'slow', path: SIGNED, delayMs: 2000, times: 1 });
    const registration = stage.register(USER);
    while (!(await stage.exchange.wasAsked(SIGNED)) && registration.end === null) await sleep(10);
    expect(registration.end).toBeNull();
    expect(await inMemory(host.process.pid, search), 'while it registers').toEqual([]);
    expect((await registration.closed).code, registration.stderr).toBe(0);
    expect(JSON.parse(registration.stdout)).toMatchObject({
      registered: true,
      permissions: { read: true, trade: false, withdraw: false },
    });
    const { session_id: sessionId } = JSON.parse(readFileSync(stage.sessionFile, 'utf8')) as {
      session_id: string;
    };
    const all = new SecretSearch({ apiKey, secret, userId: USER, sessionId });

    const file = join(temporaryFolder(), 'result.json');
    const first = await summaryWith(stage, file, ({ polls }) => polls.complete > 0);
    expect(first).toMatchObject({ environment: 'sandbox', trades: 2 });
    expect(await inMemory(host.process.pid, all), 'after a poll').toEqual([]);
    await summaryWith(stage, file, ({ polls }) => polls.complete > first.polls.complete);
    expect(await inMemory(host.process.pid, all), 'after another poll').toEqual([]);

    // The same search finds what is there: the key where it has to be, and a marker at the host's.
    await plant(stage, marker);
    const connectors = descendantsNamed(await host.enclavePid(), 'connector/main.ts');
    expect(connectors.length).toBeGreaterThan(0);
    const keys = ['apiKey', 'secret'];
    const inConnectors = await Promise.all(connectors.map((pid) => inMemory(pid, search)));
    expect(inConnectors).toContainEqual(keys);
    expect(await inMemory(stage.exchange.process.pid, search)).toEqual(keys);
    expect(await inMemory(host.process.pid, controls)).toEqual(['marker']);

    const whileItLives = stage.written['state and logs of the host'] ?? Buffer.alloc(0);
    expect((await stage.session('revoke')).code).toBe(0);
    expect(await inMemory(host.process.pid, all), 'after the revocation').toEqual([]);
    host.process.signal('SIGTERM');
    expect((await host.finish()).end, host.process.stderr).toEqual({ code: 0, signal: null });

    const places: Readonly<Record<string, Buffer>> = {
      ...stage.traffic,
      ...stage.written,
      'state of the host with the session in its vault': whileItLives,
    };
    const found = Object.entries(places).flatMap(([place, bytes]) =>
      all.in(bytes).map((name) => `${place}: ${name}`),
    );
    expect(found).toEqual([]);
    // Each place holds what only it can hold; what is quiet is named.
    const quiet = Object.entries(places).filter(([, bytes]) => bytes.length === 0);
    expect(quiet.map(([place]) => place)).toEqual([
      'grpc, from the enclave',
      'grpc, to the enclave',
      'diagnostics, to the enclave',
      'output of the enclave',
      'stderr of host 0',
    ]);
    const holds: Readonly<Record<string, string>> = {
      'https, to the enclave': marker,
      'TCP with clients': marker,
      'egress, from the enclave': VENUE_HOST,
      'TCP with the exchange': VENUE_HOST,
      'boot, to the enclave': LOG_ID,
      'log, from the enclave': originOf(LOG_ID, 1),
      'state and logs of the host': 'enclave_ready',
      'folder of the log': originOf(LOG_ID, 1),
      'stdout of host 0': 'epochs',
      'state of the host with the session in its vault': '.record',
    };
    for (const [place, text] of Object.entries(holds)) {
      expect(places[place]?.includes(text), place).toBe(true);
    }
    // A key in any of them would be found, in any form.
    for (const [place, bytes] of Object.entries(places)) {
      for (const form of [secret, Buffer.from(`x${secret}`).toString('base64')]) {
        const planted = Buffer.concat([bytes, Buffer.from(form)]);
        expect(all.in(planted), place).toEqual(['secret']);
      }
    }
  });

  it('has its session back after a restart, not after it was revoked, and a rollback is in the log', async () => {
    const stage = await TraderStage.open();
    const host = await stage.startHost('none');
    const registration = stage.register(USER);
    expect((await registration.closed).code, registration.stderr).toBe(0);
    const folder = temporaryFolder();
    const [result, document, session, kept] = ['result', 'document', 'session', 'kept'].map(
      (name) => join(folder, name),
    ) as [string, string, string, string];
    cpSync(stage.sessionFile, session);
    const first = await summaryWith(stage, result, ({ polls }) => polls.complete > 0);
    cpSync(stage.vault, kept, { recursive: true });
    // One of the session, one of the state of its polling.
    expect(readdirSync(kept)).toHaveLength(2);

    process.kill(await host.enclavePid(), 'SIGKILL');
    await host.waitForEvent('enclave_ready', 2);
    const second = await summaryWith(
      stage,
      result,
      ({ polls }) => polls.complete > first.polls.complete,
    );
    expect(second).toMatchObject({
      origin: originOf(LOG_ID, 2),
      account_commitment: first.account_commitment,
      observed_since_ns: first.observed_since_ns,
      trades: first.trades,
      volume: first.volume,
    });
    const attested = await attest(stage.appliance, stage.url, join(folder, 'heads'), [
      '-o',
      document,
    ]);
    expect(attested.code, attested.stderr).toBe(0);
    const { logDirectory, trust } = stage.appliance;
    const evidence = ['--attestation', document, ...trust, '--json'];
    const verified = await trackseal(['verify', 'result', result, ...evidence]);
    expect(verified.code, verified.stderr).toBe(0);
    expect(verified.json).toMatchObject({ verdict: 'verified' });

    expect((await stage.session('revoke')).code).toBe(0);
    expect(readdirSync(stage.vault)).toEqual([]);
    process.kill(await host.enclavePid(2), 'SIGKILL');
    await host.waitForEvent('enclave_ready', 3);
    // The epoch is over, and its log whole: the result is in it.
    const logged = await trackseal([
      'verify',
      'result',
      result,
      ...evidence,
      '--log',
      logDirectory,
    ]);
    expect(logged.code, logged.stderr).toBe(0);
    expect(logged.json).toMatchObject({ verdict: 'verified' });
    cpSync(session, stage.sessionFile);
    const unknown = await stage.session('summary');
    expect([unknown.code, unknown.json['code']]).toEqual([1, 'session_unknown']);
    host.process.signal('SIGTERM');
    expect((await host.finish()).end, host.process.stderr).toEqual({ code: 0, signal: null });

    // A host that brings back what it was told to forget.
    cpSync(kept, stage.vault, { recursive: true });
    const again = await stage.startHost('none');
    await summaryWith(stage, result, ({ origin }) => origin === originOf(LOG_ID, 4));
    again.process.signal('SIGTERM');
    expect((await again.finish()).end, again.process.stderr).toEqual({ code: 0, signal: null });
    for (const epoch of [2, 3]) expect(await rolledBack(stage, epoch)).toEqual([]);
    expect(await marksOf(stage, 2, ['restored'])).toHaveLength(2);
    expect(await marksOf(stage, 3, ['restored'])).toEqual([]);
    const names = (await rolledBack(stage, 4)).map((id) => `${id}.record`);
    expect(names.toSorted()).toEqual(readdirSync(kept).toSorted());
    for (const epoch of [1, 2, 3, 4]) {
      const { code, json } = await verifyLog(stage.appliance, { epoch });
      expect([code, json['verdict']], `epoch ${epoch}`).toEqual([0, 'verified']);
    }
  });
});
