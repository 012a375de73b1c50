// The scene after the demo: one bit of the image is changed, and nothing that is sealed opens for it. First with
// the items as they are, which the enclave itself refuses. Then with items that somebody has signed anew for the
// changed image, with the owner's own key: now the enclave asks, and KMS refuses, because the key's policy names
// the image by its measurements. What the changed image checks by itself counts for nothing then.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHex } from '../wire/bytes.ts';
import type { Appliance } from './appliance.ts';
import { measureImage } from './appliance.ts';
import { runTrackseal } from './run-trackseal.ts';
import type { SimulatedAws } from './simulated-aws.ts';

/** Somewhere in the enclave's program. */
const FLIPPED_BIT = 80_000;

export interface ChangedImageStage {
  readonly appliance: Appliance;
  readonly aws: SimulatedAws;
  /** Of the image as it should be. */
  readonly sealed: readonly string[];
  readonly transport: string;
  /** Starts an enclave with these measurements. */
  readonly command: (measurements: string) => readonly [string, ...string[]];
  /** The host's file, without what the scene changes. */
  readonly hostConfig: object;
}

export interface Attempt {
  /** Whether the items are signed for the changed image. */
  readonly signed_for_it: boolean;
  readonly exit_code: number;
  /** The enclave's reason. */
  readonly code: string | null;
  readonly ready: boolean;
  /** What an operator reads. */
  readonly says: string;
  /** What KMS answered, by its own log; null when it was not asked. */
  readonly kms: string | null;
}

export async function tryChangedImage(stage: ChangedImageStage): Promise<readonly Attempt[]> {
  const { appliance, aws } = stage;
  const changed = join(appliance.directory, 'image', 'changed.json');
  const manifest = new Uint8Array(await readFile(appliance.measured));
  const measurements = await measureImage(manifest, FLIPPED_BIT);
  await writeFile(changed, measurements);
  const { Measurements } = JSON.parse(measurements) as {
    readonly Measurements: { readonly PCR0: string };
  };
  const image = parseHex(Measurements.PCR0) ?? new Uint8Array(0);
  const signed = await aws.signForImage(stage.sealed, image, 'sealed-changed');
  return [
    await attempt(stage, changed, stage.sealed, false),
    await attempt(stage, changed, signed, true),
  ];
}

async function attempt(
  { appliance, aws, transport, command, hostConfig }: ChangedImageStage,
  measurements: string,
  sealed: readonly string[],
  signedForIt: boolean,
): Promise<Attempt> {
  const folder = join(appliance.directory, 'host', signedForIt ? 'changed-signed' : 'changed');
  await mkdir(folder, { recursive: true });
  const configFile = join(folder, 'host.json');
  const changes = {
    transport,
    state: join(folder, 'state'),
    log: join(folder, 'log'),
    sealed,
    enclave: { command: command(measurements), restart: false, show_output: false },
    feed: null,
    tiles: null,
    ingress: null,
    metrics: null,
    logging: { level: 'info', file: join(folder, 'host.log') },
  };
  await writeFile(configFile, JSON.stringify({ ...hostConfig, ...changes }, null, 2));
  const before = aws.kms.events.length;
  const args = ['host', '--config', configFile, '--json', '--quiet'];
  const { code, stdout, stderr } = await runTrackseal(args, aws.hostEnvironment());
  const asked = aws.kms.events.slice(before).filter(({ eventName }) => eventName === 'Decrypt');
  const { epochs } = JSON.parse(stdout === '' ? '{"epochs":[]}' : stdout) as {
    readonly epochs: readonly { readonly code: string | null; readonly ready: boolean }[];
  };
  return {
    signed_for_it: signedForIt,
    exit_code: code,
    code: epochs.at(-1)?.code ?? null,
    ready: epochs.at(-1)?.ready ?? false,
    says: stderr.trimEnd(),
    kms: asked.length === 0 ? null : asked.map(({ errorCode }) => errorCode ?? 'opened').join(' '),
  };
}
