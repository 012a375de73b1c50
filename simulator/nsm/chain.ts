// The chain of five certificates under the simulator's root, with the subjects, lifetimes and extensions
// of AWS's: root, regional, zonal, instance, leaf. The leaf is used for all documents until it expires,
// then renewed, as are the ones above it before they could outlive their child.

import type { Extension } from '@peculiar/x509';
import {
  authorityExtensions,
  generateKeyPair,
  instanceExtensions,
  issueCertificate,
  leafExtensions,
} from './certificates.ts';
import type { Issuer, JsonName, KeyPair } from './certificates.ts';
import type { SimulatedRoot } from './root.ts';

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_COMMON_NAME = 64; // AWS cuts there too

export interface SigningChain {
  /** Root first, then down to the issuer of the leaf. */
  readonly cabundle: readonly Uint8Array[];
  readonly certificate: Uint8Array;
  readonly keys: KeyPair;
}

interface Level {
  readonly subject: JsonName;
  /** Before and after the moment of issue. */
  readonly earlierMs: number;
  readonly lifeMs: number;
  readonly extensions: (keys: KeyPair, issuer: KeyPair) => Promise<readonly Extension[]>;
}

interface Issued extends Issuer {
  readonly der: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

function hex(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

function cut(name: string): string {
  return name.slice(0, MAX_COMMON_NAME);
}

function levelsOf(region: string, instanceId: string, moduleId: string): readonly Level[] {
  const base = `${region}.nitro-simulator.trackseal`;
  const organisation: JsonName = [{ O: ['Trackseal simulator'] }, { OU: ['Not AWS'] }];
  const place: JsonName = [
    { C: ['US'] },
    { ST: ['Washington'] },
    { L: ['Seattle'] },
    ...organisation,
  ];
  return [
    {
      subject: [{ C: ['US'] }, ...organisation, { CN: [cut(`${hex()}.${base}`)] }],
      earlierMs: HOUR_MS,
      lifeMs: 20 * DAY_MS,
      extensions: (keys, issuer) => authorityExtensions(keys, issuer, 2),
    },
    {
      // AWS's zonal names have this other order of attributes.
      subject: [
        { CN: [cut(`${hex()}.zonal.${base}`)] },
        { OU: ['Not AWS'] },
        { O: ['Trackseal simulator'] },
        { C: ['US'] },
        { ST: ['WA'] },
        { L: ['Seattle'] },
      ],
      earlierMs: HOUR_MS,
      lifeMs: 6 * DAY_MS,
      extensions: (keys, issuer) => authorityExtensions(keys, issuer, 1),
    },
    {
      subject: [...place, { CN: [cut(`${instanceId}.${base}`)] }],
      earlierMs: 60 * SECOND_MS,
      lifeMs: DAY_MS - 60 * SECOND_MS,
      extensions: () => Promise.resolve(instanceExtensions()),
    },
    {
      subject: [...place, { CN: [cut(`${moduleId}.${base}`)] }],
      earlierMs: 3 * SECOND_MS,
      lifeMs: 3 * HOUR_MS,
      extensions: () => Promise.resolve(leafExtensions()),
    },
  ];
}

export class SimulatedChain {
  readonly #root: SimulatedRoot;
  readonly #levels: readonly Level[];
  #issued: readonly Issued[] = [];

  constructor(root: SimulatedRoot, region: string, instanceId: string, moduleId: string) {
    this.#root = root;
    this.#levels = levelsOf(region, instanceId, moduleId);
  }

  /** The chain to sign with at `nowMs`; certificates are reused while they last. */
  async at(nowMs: number): Promise<SigningChain> {
    const issued: Issued[] = [];
    let issuer: Issuer = this.#root.issuer;
    let renewed = false;
    for (const [index, level] of this.#levels.entries()) {
      const old: Issued | undefined = this.#issued[index];
      const childMs = this.#levels[index + 1]?.lifeMs ?? 0;
      const lasts =
        old !== undefined && nowMs >= old.notBeforeMs && nowMs + childMs <= old.notAfterMs;
      renewed ||= !lasts;
      const next: Issued = old === undefined || renewed ? await issue(level, issuer, nowMs) : old;
      issued.push(next);
      issuer = next;
    }
    this.#issued = issued;
    const leaf = issued.at(-1);
    if (leaf === undefined) throw new Error('a chain has a leaf');
    return {
      cabundle: [this.#root.certificateDer, ...issued.slice(0, -1).map(({ der }) => der)],
      certificate: leaf.der,
      keys: leaf.keys,
    };
  }
}

async function issue(level: Level, issuer: Issuer, nowMs: number): Promise<Issued> {
  const keys = await generateKeyPair();
  const second = Math.floor(nowMs / SECOND_MS) * SECOND_MS;
  const notBeforeMs = second - level.earlierMs;
  const notAfterMs = second + level.lifeMs;
  const extensions = await level.extensions(keys, issuer.keys);
  const { subject } = level;
  const der = await issueCertificate(
    { subject, notBeforeMs, notAfterMs, extensions },
    keys,
    issuer,
  );
  return { subject, keys, der, notBeforeMs, notAfterMs };
}
