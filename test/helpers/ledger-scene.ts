// Desk and ledger with everything real but the processes and the log: polling over TLS to the simulated exchange, the
// connector's own code, the desk's link and the ledger's, joined by a stream of this process. A test gives the parts of the
// ledger and, where it wants one, a database; time is the test's.

import { randomBytes } from 'node:crypto';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import type { LedgerServicesOfDesk } from '../../enclave/desk/ledger.ts';
import { Ledger } from '../../enclave/desk/ledger.ts';
import { askPrices } from '../../enclave/desk/price-legs.ts';
import type { DeskLeaf } from '../../enclave/desk/services.ts';
import { createGuard } from '../../enclave/fatal.ts';
import type { OpenLedgerParts, RunningLedger } from '../../enclave/ledger/ledger.ts';
import { startLedger } from '../../enclave/ledger/ledger.ts';
import type { LedgerServices } from '../../enclave/ledger/services.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { DeskKind, DeskState } from '../../wire/desk-frames.ts';
import { originOf } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { hostConfiguration } from './enclave-host.ts';
import type { PolledExchange } from './polled-exchange.ts';
import { polledExchange } from './polled-exchange.ts';
import { VirtualTime } from './virtual-time.ts';

export interface SceneLeaf {
  readonly kind: DeskKind;
  readonly plaintext: Uint8Array;
  readonly salt: Uint8Array;
}

export interface LedgerSceneOptions {
  /** For each ledger process that is started. */
  readonly openParts?: OpenLedgerParts;
  readonly configuration?: Partial<Configuration>;
  readonly vaultKeys?: ReadonlyMap<number, Uint8Array>;
  readonly databasePassword?: string;
  /** A connection to the database of the configuration. */
  readonly dialDatabase?: () => Promise<Duplex>;
  /** In place of a ledger in this process. */
  readonly spawnLedger?: () => Promise<Duplex>;
  readonly startMs?: number;
  readonly maxKeptBytes?: number;
  readonly epoch?: number;
}

export interface LedgerScene extends PolledExchange {
  /** The desk's side of it. */
  readonly ledger: Ledger;
  /** What the ledgers that were started were given, the last one at the end. */
  readonly services: LedgerServices[];
  readonly leaves: SceneLeaf[];
  readonly keys: ReturnType<typeof generateDeskKeys>;
  /** Codes with which ledgers ended; null: the desk ended it. */
  readonly ended: (string | null)[];
  /** While true no leaf is acknowledged. */
  hold(held: boolean): void;
  state(state: Partial<DeskState>): void;
  /** As when the process dies. */
  kill(): void;
  /** Real time goes on until it is so; virtual time in steps of `stepMs`. */
  until(condition: () => boolean, stepMs?: number): Promise<void>;
}

/** Without anything that listens, polls are taken and forgotten. */
const NO_PARTS: OpenLedgerParts = (services) => {
  services.onPoll(({ id, poll }) => {
    services.takePoll(id, poll, false);
  });
  return Promise.resolve([]);
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

export async function ledgerScene(options: LedgerSceneOptions = {}): Promise<LedgerScene> {
  const time = new VirtualTime(options.startMs ?? Date.UTC(2026, 10, 20, 12));
  const { openParts = NO_PARTS, vaultKeys = new Map(), databasePassword, epoch = 1 } = options;
  const desk = { polling_ms: 300_000, max_sessions: 10, sandbox: true };
  const configuration = hostConfiguration({ strategies: [], desk, ...options.configuration });
  const keys = generateDeskKeys();
  const leaves: SceneLeaf[] = [];
  const services: LedgerServices[] = [];
  const ended: (string | null)[] = [];
  const fatal: string[] = [];
  const guard = createGuard((code) => fatal.push(code));
  let state: DeskState = { acknowledgedSize: 0, ready: true, stalled: false };
  let held = false;
  const stateListeners: ((state: DeskState) => void)[] = [];
  const waiting: (() => void)[] = [];
  const processes: { readonly stream: Duplex; readonly ledger: RunningLedger }[] = [];

  const append = (kind: DeskKind, plaintext: Uint8Array): Promise<DeskLeaf> => {
    const salt = new Uint8Array(randomBytes(16));
    leaves.push({ kind, plaintext: plaintext.slice(), salt });
    const hash = nodeCrypto.sha256(salt, plaintext);
    return Promise.resolve({ index: leaves.length - 1, salt, hash });
  };
  const inProcess = (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    near.on('error', () => undefined);
    far.on('error', () => undefined);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    const ledger = startLedger({
      stream: far,
      openParts: (given) => {
        services.push(given);
        return openParts(given);
      },
      clock: {
        wallNs: () => BigInt(time.nowMs()) * 1_000_000n,
        monotonicNs: () => BigInt(time.nowMs()) * 1_000_000n,
      },
      onExit: (code) => {
        ended.push(code);
        far.destroy();
      },
    });
    processes.push({ stream: far, ledger });
    return Promise.resolve(near);
  };
  const ofDesk: LedgerServicesOfDesk = {
    origin: originOf(configuration.log_id, epoch),
    epoch,
    configuration,
    configurationBytes: canonicalJson(configuration),
    guard,
    keys,
    leafZeroHash: nodeCrypto.sha256(Uint8Array.of(epoch)),
    databasePassword: databasePassword === undefined ? null : Buffer.from(databasePassword),
    vaultKeys,
    nowNs: () => BigInt(time.nowMs()) * 1_000_000n,
    append,
    acknowledged: () =>
      held
        ? new Promise((resolve) => {
            waiting.push(resolve);
          })
        : Promise.resolve(),
    onState: (listener) => {
      stateListeners.push(listener);
      listener(state);
    },
    spawnLedger: options.spawnLedger ?? inProcess,
    dialDatabase: options.dialDatabase ?? ((): Promise<Duplex> => Promise.reject(new Error())),
  };
  const ledger = new Ledger({
    services: ofDesk,
    audit: {
      append: async (event, facts) =>
        append(KIND.audit, Buffer.from(JSON.stringify({ event, ...facts }))),
    },
    time,
    ...(options.maxKeptBytes === undefined ? {} : { maxKeptBytes: options.maxKeptBytes }),
  });
  const scene = await polledExchange({}, 2, { ledger, append }, time);
  ledger.start({
    prices: (question) => askPrices(scene.polling.prices, question),
    isHeard: (id, heardMs) => scene.polling.isHeard(id, heardMs),
    resync: (id, again) => {
      scene.polling.resync(id, again);
    },
  });
  onTestFinished(() => {
    for (const { stream } of processes) stream.destroy();
  });
  return {
    ...scene,
    fatal: Object.assign(scene.fatal, {}),
    ledger,
    services,
    leaves,
    keys,
    ended,
    hold: (on) => {
      held = on;
      if (!on) for (const resolve of waiting.splice(0)) resolve();
    },
    state: (change) => {
      state = { ...state, ...change };
      for (const listener of stateListeners) listener(state);
    },
    kill: () => {
      processes.at(-1)?.stream.destroy();
    },
    until: async (condition, stepMs = 0) => {
      while (!condition()) {
        if (fatal.length + scene.fatal.length > 0)
          throw new Error(`fatal: ${fatal.join(' ')} ${String(scene.fatal[0])}`);
        await pause(2);
        if (stepMs > 0 && !scene.polling.busy) await time.run(stepMs, 1);
        else if (scene.polling.busy) await time.run(20, 1);
      }
    },
  };
}
