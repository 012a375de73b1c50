// The way of a gRPC call with everything real but the record, the log and the security module: the host's ingress, mutual TLS
// in the desk's port, the link to the ledger with its frames and windows, the ledger's gRPC service. Beside it the HTTPS port,
// where clients have the enclave prove itself.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { GrpcPort } from '../../enclave/desk/grpc-port.ts';
import { HttpsService } from '../../enclave/desk/https.ts';
import type { HttpsServices } from '../../enclave/desk/https.ts';
import type { DeskKeys } from '../../enclave/desk/keys.ts';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import { LedgerLink } from '../../enclave/desk/ledger-link.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { createGuard } from '../../enclave/fatal.ts';
import { openGrpc } from '../../enclave/ledger/grpc/part.ts';
import { startLedger } from '../../enclave/ledger/ledger.ts';
import type { TrackService } from '../../enclave/ledger/track-service-types.ts';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { Ingress } from '../../host-proxy/ingress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { measure, measurementsJson } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import { utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { PORT } from '../../wire/messages.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import { ORIGIN } from '../vectors/track.ts';
import { ClientAuthority } from './client-certificates.ts';
import type { ClientIdentity } from './client-certificates.ts';
import { hostConfiguration } from './enclave-host.ts';
import { FakeTrack } from './fake-track.ts';

const CONFIG = new Uint8Array(32).fill(9);
const HASH = new Uint8Array(32);

export interface TrackScene {
  readonly url: string;
  /** `127.0.0.1:PORT` of the host's ingress in front of gRPC. */
  readonly grpc: string;
  readonly policy: string;
  readonly rootPem: string;
  readonly authority: ClientAuthority;
  readonly identity: ClientIdentity;
  readonly keys: DeskKeys;
  readonly track: FakeTrack;
  readonly fatal: string[];
  /** Certificates of clients that the log has. */
  readonly connected: string[];
  /** A document of purpose challenge, of this enclave or of another epoch with another key. */
  document(origin: string, ed25519Key: Uint8Array): Promise<Uint8Array>;
  /** The enclave starts anew: other keys, the same log. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

interface Running {
  readonly https: HttpsService;
  readonly port: GrpcPort;
  readonly link: LedgerLink;
}

export interface TrackSceneOptions {
  readonly hours?: number;
  /** In place of the fake. */
  readonly track?: (fake: FakeTrack) => TrackService;
}

/** Desk and ledger, joined by the link of the two. */
function joinLedger(keys: DeskKeys, track: TrackService, fatal: string[]): LedgerLink {
  const [near, far] = duplexPair();
  for (const end of [near, far]) end.on('error', () => undefined);
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
  startLedger({
    stream: far,
    openParts: (services) => Promise.resolve([openGrpc(services, track)]),
    onExit: (code) => {
      if (code !== null) fatal.push(code);
      far.destroy();
    },
  });
  const configuration = canonicalJson(hostConfiguration({ strategies: [] }));
  const open = {
    origin: ORIGIN,
    epoch: 7,
    configuration,
    nowNs: BigInt(Date.now()) * 1_000_000n,
    storageKeys: [],
    leafZeroHash: HASH,
    ed25519: keys.ed25519.publicKey,
    databasePassword: null,
    userKey: HASH,
  };
  return new LedgerLink(near, open, {
    runAsync: (work) => work(),
    onReady: () => undefined,
    onTaken: () => undefined,
    onStated: () => undefined,
    onResync: () => undefined,
    onAudit: () => undefined,
    onDatabase: (stream) => stream.destroy(),
    prices: () => Promise.resolve({ rows: [], missing: [] }),
    sign: () => Promise.resolve(null),
    onEnd: () => undefined,
  });
}

async function stop({ https, port, link }: Running): Promise<void> {
  await port.close();
  await https.close();
  link.end('ledger_ended');
}

export async function openTrackScene(options: TrackSceneOptions = {}): Promise<TrackScene> {
  const folder = await mkdtemp(join(tmpdir(), 'ts-track-'));
  const root = await SimulatedRoot.open(folder);
  const measurements = measure({ boot: utf8('boot'), application: utf8('app') });
  const nsm = new Nsm(new SimulatedNsm({ root, measurements }));
  assertAccepted(await nsm.extendPcr(16, CONFIG));
  assertAccepted(await nsm.lockPcrs(32));
  const authority = await ClientAuthority.create();
  const identity = await authority.issue();
  const transport = unixTransport(folder);
  const fatal: string[] = [];
  const connected: string[] = [];
  let keys = generateDeskKeys();
  const track = new FakeTrack({
    hours: options.hours ?? 4,
    sign: (message) => keys.ed25519.sign(message),
  });

  const attest = (
    nonce: Uint8Array,
    origin: string,
    ed25519Key: Uint8Array,
  ): ReturnType<typeof nsm.attest> => {
    const userData = encodeUserData({
      purpose: PURPOSE.challenge,
      origin,
      head: { size: 10, root: new Uint8Array(32).fill(3) },
      leafZeroHash: HASH,
      x25519Key: keys.x25519.publicKey,
      tlsKeyHash: keys.tls.spkiHash,
      ed25519Key,
      configDigest: CONFIG,
    });
    return nsm.attest({ userData, nonce, publicKey: new Uint8Array(91).fill(4) });
  };

  const start = async (): Promise<Running> => {
    const guard = createGuard((code) => fatal.push(code));
    const certificate = await createCertificate(keys.tls, ['localhost'], Date.now());
    const services: HttpsServices = {
      origin: ORIGIN,
      epoch: 7,
      configuration: hostConfiguration({ strategies: [] }),
      guard,
      acknowledgedSize: () => 10,
      attest: (nonce) => attest(nonce, ORIGIN, keys.ed25519.publicKey),
      isReady: () => true,
      logStalled: () => false,
      nowNs: () => BigInt(Date.now()) * 1_000_000n,
    };
    const https = new HttpsService(services, keys.tls, certificate);
    await https.listen(transport);
    const link = joinLedger(keys, options.track?.(track) ?? track, fatal);
    const port = new GrpcPort({
      guard,
      key: keys.tls,
      certificate,
      clientCa: utf8(authority.pem),
      openGrpc: (fingerprint): Duplex | null => (link.isReady ? link.openGrpc(fingerprint) : null),
      audit: {
        append: (_, facts) => {
          connected.push(Buffer.from(facts?.sessionHash ?? HASH).toString('hex'));
          return Promise.resolve({ index: 1, salt: HASH.slice(0, 16), hash: HASH });
        },
        clientRefused: () => undefined,
      },
      nowMs: () => Date.now(),
    });
    await port.listen(transport);
    return { https, port, link };
  };
  let running = await start();
  const inFront = (to: typeof PORT.https | typeof PORT.grpc): Promise<Ingress> =>
    Ingress.listen({
      transport,
      host: '127.0.0.1',
      port: 0,
      maxConnections: 64,
      idleMs: 60_000,
      logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date(0) }),
      to,
    });
  const https = await inFront(PORT.https);
  const grpc = await inFront(PORT.grpc);
  return {
    url: `https://127.0.0.1:${https.port}`,
    grpc: `127.0.0.1:${grpc.port}`,
    policy: measurementsJson(measurements),
    rootPem: await readFile(join(folder, 'root.pem'), 'utf8'),
    authority,
    identity,
    get keys(): DeskKeys {
      return keys;
    },
    track,
    fatal,
    connected,
    async document(origin, ed25519Key): Promise<Uint8Array> {
      const made = await attest(new Uint8Array(16), origin, ed25519Key);
      return assertAccepted(made.ok ? accept(made.value) : made);
    },
    async restart(): Promise<void> {
      await stop(running);
      keys = generateDeskKeys();
      running = await start();
    },
    async close(): Promise<void> {
      await grpc.close();
      await https.close();
      await stop(running);
      await rm(folder, { recursive: true });
    },
  };
}
