// The whole way of a secret with the owner's own commands: `trackseal kms policy`, `trackseal seal`, and a real
// enclave core whose host and KMS are the test. Each attack changes one thing on that way.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run as sealCommand } from '../../owner/commands/seal.ts';
import { run as policyCommand } from '../../owner/commands/kms-policy.ts';
import type { KmsOptions, RunningKms } from '../../simulator/kms/server.ts';
import type { Principal } from '../../simulator/kms/signature.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import type { SimulatedNsmOptions } from '../../simulator/nsm/device.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { ADMIN, HOST_ROLE, KEY_ARN, OWNER, simulatedKms, simulatedRoot } from '../helpers/kms.ts';
import { IMAGE, openPolicy, PRINCIPALS } from '../helpers/kms.ts';
import type { OwnersDesk } from '../helpers/owner.ts';
import { actAs, call, endpointOf, ownersDesk, temporaryFolder } from '../helpers/owner.ts';
import { writeMeasurements } from '../helpers/owner.ts';
import type { SealedHostOptions } from '../helpers/sealing.ts';
import { bootWith, CREDENTIALS } from '../helpers/sealing.ts';

export type Image = typeof IMAGE;

/** The image, with one bit changed somewhere: every register that covers it is another. */
export const CHANGED_IMAGE: Image = {
  ...IMAGE,
  pcr0: IMAGE.pcr0.map((byte, at) => (at === 47 ? byte ^ 1 : byte)),
};

/** What `trackseal kms policy` writes for these images. */
export async function generatedPolicy(
  images: readonly Image[] = [IMAGE],
  ...more: readonly string[]
): Promise<string> {
  const folder = temporaryFolder();
  const files = images.map((image, at) => writeMeasurements(join(folder, `${at}.json`), image));
  const measurements = files.flatMap((file) => ['--measurements', file]);
  const who = ['--enclave-role', HOST_ROLE, '--owner', OWNER.arn, '--admin', ADMIN.arn];
  const { code, stdout, stderr } = await call(policyCommand, [...measurements, ...who, ...more]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

export class Stage {
  readonly kms: RunningKms;
  readonly desk: OwnersDesk;
  readonly configuration: Configuration;

  constructor(kms: RunningKms, desk: OwnersDesk) {
    this.kms = kms;
    this.desk = desk;
    const bytes = new Uint8Array(readFileSync(desk.configuration));
    this.configuration = assertAccepted(parseConfiguration(bytes));
  }

  static async open(policy: string, options: Partial<KmsOptions> = {}): Promise<Stage> {
    const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy }], ...options });
    return new Stage(kms, ownersDesk());
  }

  async put(policy: string): Promise<void> {
    await this.kms.putKey({ arn: KEY_ARN, policy });
  }

  /** Payloads of SEALED, as `trackseal seal` writes them for this image. */
  async seal(image: Image = IMAGE, desk: OwnersDesk = this.desk): Promise<readonly Uint8Array[]> {
    writeMeasurements(desk.measurements, image);
    actAs(OWNER);
    const out = join(temporaryFolder(), 'sealed');
    const versions = ['--versions', join(desk.folder, 'versions.json')];
    const to = [...versions, '--plan', desk.plan, '-o', out, ...endpointOf(this.kms)];
    const { code, stderr } = await call(sealCommand, [...desk.options, ...to]);
    if (code !== 0) throw new Error(stderr);
    const names = readdirSync(out).filter((name) => name.endsWith('.sealed'));
    return names.toSorted().map((name) => new Uint8Array(readFileSync(join(out, name))));
  }

  /** Sealed as if the policy let anybody: what is attacked is opening. */
  async sealUnderOpenPolicy(image: Image, policy: string): Promise<readonly Uint8Array[]> {
    await this.put(openPolicy(...PRINCIPALS));
    const sealed = await this.seal(image);
    await this.put(policy);
    return sealed;
  }

  async boot(
    sealed: readonly Uint8Array[],
    nsm: Partial<SimulatedNsmOptions> = {},
    options: SealedHostOptions = {},
  ): Promise<TestHost> {
    const root = await simulatedRoot();
    return bootWith(this.kms, this.configuration, {
      sealed,
      items: [],
      nsmDevice: new SimulatedNsm({ root, measurements: IMAGE, ...nsm }),
      ...options,
      manifest: {
        owner_key: toHex(this.desk.spki),
        roots_sha256: toHex(nodeCrypto.sha256(options.roots ?? utf8(this.kms.caPem))),
        ...options.manifest,
      },
    });
  }
}

export function credentialsOf(principal: Principal): typeof CREDENTIALS {
  const { accessKeyId, secretAccessKey, sessionToken = null } = principal;
  return { ...CREDENTIALS, accessKeyId, secretAccessKey, sessionToken };
}
