// Desk and connectors as the image starts them: the desk's bundle, the addon (whose vsock is Unix sockets here) and
// Node under the launcher's filter for their users. What the filter kills would show as a desk that ends.

import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleImage } from '../../../eif/build/bundles.ts';
import { connectorFlags, deskFlags, ledgerFlags } from '../../../enclave/child-flags.ts';
import type { RunningDesk } from '../../../enclave/desk-link.ts';
import { deskStarter } from '../../../enclave/desk-process.ts';
import { Channel } from '../../../wire/channel.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import {
  DESK_FRAME,
  encodeDeskAttested,
  encodeDeskOpen,
  encodeDeskState,
  MAX_DESK_OUT_BYTES,
  parseDeskAttest,
  parseDeskKeys,
} from '../../../wire/desk-messages.ts';
import type { Frame } from '../../../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../../../wire/limits.ts';
import { PORT } from '../../../wire/messages.ts';
import { loadAddon } from '../../../wire/node/native-addon.ts';
import { vsockTransport } from '../../../wire/node/vsock.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { hostConfiguration, manifestOf } from '../../helpers/enclave-host.ts';
import { jobOf, routes, runJobOver } from '../../helpers/connector-desk.ts';
import { compileTestAddon, hasCompiler } from '../../helpers/native-addon.ts';
import type { LaunchPrograms } from './program.ts';
import { makePrograms, whyNot } from './program.ts';

const missing = hasCompiler ? whyNot() : 'needs gcc';
if (missing !== null) console.log(`launcher of the desk not tested: ${missing}`);

const FOLDER = `ts-desk-${process.pid}`;
const CORE_FRAMES = Object.values(DESK_FRAME).filter((type) => type >= DESK_FRAME.keys);

/** Says what it is, then what it was told, in the words of the stream that the core gave it. */
const CONNECTOR = `
import { Socket } from 'node:net';
import { readFileSync } from 'node:fs';
const stream = new Socket({ fd: 0, readable: true, writable: true });
let seen = [];
for (const attempt of [
  () => { readFileSync('/etc/passwd'); return 'files'; },
  () => { readFileSync(process.argv[1]); return 'its own file'; },
]) try { seen.push(attempt()); } catch (error) { seen.push(error.code); }
stream.write(JSON.stringify({ user: process.getuid(), seen }) + '\\n');
stream.on('data', (chunk) => stream.write(Buffer.from(chunk.toString().toUpperCase())));
stream.on('end', () => process.exit(0));
`;

/** Stands where the desk would: talks to each connector and passes on what it says. */
const DESK = `
import { createServer } from 'node:net';
const path = process.argv[4].replace('@', String.fromCharCode(0));
createServer((stream) => {
  stream.write('some words');
  stream.on('data', (chunk) => {
    process.stdout.write(chunk);
    if (chunk.includes('SOME WORDS')) stream.end();
  });
}).listen(path, () => process.stdout.write('listening;'));
setInterval(() => undefined, 1000);
`;

/** The core's end of the pipe. */
class Core {
  readonly frames: Frame[] = [];
  readonly channel: Channel;
  ended = false;
  #watchers: (() => void)[] = [];

  constructor(desk: RunningDesk) {
    this.channel = new Channel(desk.stream, {
      maxReceiveBytes: MAX_DESK_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: CORE_FRAMES,
      onFrame: (frame) => {
        this.frames.push(frame);
        for (const wake of this.#watchers.splice(0)) wake();
      },
      onEnd: () => {
        this.ended = true;
        for (const wake of this.#watchers.splice(0)) wake();
      },
    });
  }

  async next(type: number): Promise<Uint8Array> {
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.type === type);
      const [frame] = at < 0 ? [] : this.frames.splice(at, 1);
      if (frame !== undefined) return frame.payload;
      if (this.ended) throw new Error(`the desk ended before frame ${type.toString(16)}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }
}

function ask(stream: Duplex, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        path,
        createConnection: () => connect({ socket: stream, rejectUnauthorized: false }),
      },
      (response) => {
        let text = '';
        response.setEncoding('latin1').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(`${response.statusCode ?? 0} ${text}`));
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

describe.skipIf(missing !== null)('desk and connectors under the launcher', () => {
  let programs: LaunchPrograms;
  let desk: RunningDesk;
  let core: Core;

  beforeAll(async () => {
    programs = await makePrograms();
    const { folder, launcher, node } = programs;
    const bundle = (await bundleImage()).find(({ name }) => name === 'desk.mjs');
    writeFileSync(join(folder, 'desk.mjs'), bundle?.bytes ?? '');
    copyFileSync(await compileTestAddon(), join(folder, 'addon.node'));
    chmodSync(join(folder, 'addon.node'), 0o755);
    // The launcher takes the environment away, and the test's addon wants its folder.
    writeFileSync(
      join(folder, 'start.mjs'),
      `process.env.TRACKSEAL_TEST_VSOCK = '${FOLDER}';\nawait import('./desk.mjs');\n`,
    );
    writeFileSync(join(folder, 'connector.mjs'), CONNECTOR);
    const program = { execPath: node, launcher };
    desk = deskStarter({
      desk: { ...program, flags: deskFlags(), path: join(folder, 'start.mjs') },
      connector: { ...program, flags: connectorFlags(), path: join(folder, 'connector.mjs') },
      ledger: { ...program, flags: ledgerFlags(), path: join(folder, 'connector.mjs') },
      socket: `@${FOLDER}`,
      address: 'vsock:1',
    })();
    core = new Core(desk);
  });
  afterAll(async () => {
    await desk.stop();
    rmSync(programs.folder, { recursive: true });
  });

  it('serves HTTPS, asks the core for documents, and ends with it', async () => {
    const keys = assertAccepted(parseDeskKeys(await core.next(DESK_FRAME.keys)));
    expect(keys.x25519).toHaveLength(32);
    const configuration = hostConfiguration();
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const state = { acknowledgedSize: 9, ready: true, stalled: false };
    core.channel.send(DESK_FRAME.state, encodeDeskState(state));
    const open = encodeDeskOpen({
      origin: 'trackseal.test/log/e0000000001',
      epoch: 1,
      configuration: canonicalJson(configuration),
      nowNs,
      vaultKeys: [],
      accounts: [],
      clientCa: null,
      databasePassword: null,
      manifest: manifestOf(configuration),
      roots: new Uint8Array(0),
      document: new Uint8Array(0),
      leafZeroHash: new Uint8Array(32),
    });
    core.channel.send(DESK_FRAME.open, open);
    await core.next(DESK_FRAME.opened);

    process.env['TRACKSEAL_TEST_VSOCK'] = FOLDER;
    const transport = vsockTransport(loadAddon(join(programs.folder, 'addon.node')), [1]);
    const health = await ask(await transport.connect(PORT.https), '/health');
    expect(health).toContain('200 {"status":"ready","epoch":1');
    expect(health).toContain('"acknowledged_size":9');
    const asked = ask(await transport.connect(PORT.https), `/attestation?nonce=${'ab'.repeat(32)}`);
    const { id, nonce } = assertAccepted(parseDeskAttest(await core.next(DESK_FRAME.attest)));
    expect(Buffer.from(nonce).toString('hex')).toBe('ab'.repeat(32));
    const document = Buffer.from('a document');
    core.channel.send(DESK_FRAME.attested, encodeDeskAttested({ id, document, code: null }));
    expect(await asked).toBe('200 a document');

    core.channel.send(DESK_FRAME.shut, new Uint8Array(0));
    expect(await core.next(DESK_FRAME.down)).toHaveLength(0);
  });

  it('hands a connector to the desk alone: its user, no files, and a stream that the core does not read', async () => {
    const { folder, launcher, node } = programs;
    writeFileSync(join(folder, 'other-desk.mjs'), DESK);
    const program = { execPath: node, launcher };
    const other = deskStarter({
      desk: { ...program, flags: deskFlags(), path: join(folder, 'other-desk.mjs') },
      connector: { ...program, flags: connectorFlags(), path: join(folder, 'connector.mjs') },
      ledger: { ...program, flags: ledgerFlags(), path: join(folder, 'connector.mjs') },
      socket: `@${FOLDER}-other`,
      address: 'vsock:1',
    })();
    let said = '';
    let wake: (() => void) | null = null;
    other.stream.on('data', (chunk) => {
      said += Buffer.from(chunk).toString();
      wake?.();
    });
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    };
    await until(() => said === 'listening;');
    for (let count = 0; count < 9; count++) other.spawn('connector');
    const answers = (): readonly string[] => said.match(/SOME WORDS/gu) ?? [];
    // The ninth has the place of one that has ended.
    await until(() => answers().length === 9);
    const found = [...said.matchAll(/\{[^}]*\}/gu)].map(([text]) => JSON.parse(text) as unknown);
    const users = found.map((one) => (one as { user: number }).user);
    // It may answer before the eighth.
    expect(users).toHaveLength(9);
    expect(new Set(users)).toEqual(new Set([2008, 2009, 2010, 2011, 2012, 2013, 2014, 2015]));
    for (const one of found)
      expect(one).toMatchObject({ seen: ['ERR_ACCESS_DENIED', 'its own file'] });
    await other.stop();
  });

  it('lets a connector do its work: ccxt loads, asks for a request and ends with its stream', async () => {
    const { folder, launcher, node } = programs;
    const bundle = (await bundleImage()).find(({ name }) => name === 'connector.mjs');
    writeFileSync(join(folder, 'real-connector.mjs'), bundle?.bytes ?? '');
    writeFileSync(join(folder, 'idle.mjs'), 'setInterval(() => undefined, 1000);');
    const streams: Socket[] = [];
    const arrived = Promise.withResolvers<null>();
    const server = createServer((stream) => {
      streams.push(stream);
      if (streams.length === 2) arrived.resolve(null);
    });
    await new Promise<void>((resolve) => server.listen(`\0${FOLDER}-real`, resolve));
    const program = { execPath: node, launcher };
    const other = deskStarter({
      desk: { ...program, flags: deskFlags(), path: join(folder, 'idle.mjs') },
      connector: { ...program, flags: connectorFlags(), path: join(folder, 'real-connector.mjs') },
      ledger: { ...program, flags: ledgerFlags(), path: join(folder, 'ledger.mjs') },
      socket: `@${FOLDER}-real`,
      address: 'vsock:1',
    })();
    other.spawn('connector');
    other.spawn('connector');
    await arrived.promise;
    const asked: string[] = [];
    const nothing = routes({});
    const outcomes = await Promise.all(
      (['kraken', 'binance'] as const).map(async (venue, at) => {
        const stream = streams[at];
        if (stream === undefined) throw new Error('no connector');
        const { done } = await runJobOver(stream, jobOf(venue), (fetch) => {
          asked.push(new URL(fetch.url).host);
          return nothing(fetch);
        });
        stream.end();
        return done.outcome;
      }),
    );
    expect(outcomes).toEqual(['failed', 'failed']);
    expect(asked).toEqual(expect.arrayContaining(['api.kraken.com', 'api.binance.com']));
    await other.stop();
    server.close();
  });
});
