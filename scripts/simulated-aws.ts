// AWS for a local appliance, all of it simulated in this process: KMS with the owner's key in one account, the
// host's role in another one with short-lived credentials by IMDSv2, and S3 with Object Lock on request. What is
// done with it are the owner's own commands. It is no AWS, says so everywhere, and protects nothing.
//
//   owner/key.pem, owner/plan.json        the owner's signing key, and what to seal
//   owner/key-policy.json                 `trackseal kms policy`: this image and no other
//   host/sealed/*.sealed                  `trackseal seal`: all that the host gets

import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run as policyCommand } from '../owner/commands/kms-policy.ts';
import type { Imds } from '../simulator/imds/imds.ts';
import { startImds } from '../simulator/imds/imds.ts';
import { TlsAuthority } from '../simulator/kms/authority.ts';
import { newKeyArn } from '../simulator/kms/keys.ts';
import type { RunningKms } from '../simulator/kms/server.ts';
import { startKms } from '../simulator/kms/server.ts';
import { SimulatedRoot } from '../simulator/nsm/root.ts';
import { assertAccepted } from '../wire/result.ts';
import { parseSealed, parseStatement, signedBytes } from '../wire/sealed.ts';
import { encodeSealed, encodeStatement } from '../wire/seal.ts';
import type { ConfiguredS3 } from '../wire/configuration.ts';
import type { Appliance, ApplianceCloud } from './appliance.ts';
import type { DemoBucket, SimulatedBucket } from './demo-bucket.ts';
import { openSimulatedBucket } from './demo-bucket.ts';
import { runTrackseal } from './run-trackseal.ts';

const REGION = 'eu-central-1';
const OWNER_ACCOUNT = '111111111111';
const HOST_ACCOUNT = '222222222222';
const KMS_HOST = `kms.${REGION}.amazonaws.com`;
const HOST_ROLE = `arn:aws:iam::${HOST_ACCOUNT}:role/trackseal-host`;
const OWNER = `arn:aws:iam::${OWNER_ACCOUNT}:user/owner`;
const ADMIN = `arn:aws:iam::${OWNER_ACCOUNT}:user/admin`;
const SESSION_MS = 3_600_000;
const S3: ConfiguredS3 = {
  region: REGION,
  host: `s3.${REGION}.amazonaws.com`,
  bucket: 'trackseal-demo',
  prefix: 'log',
  retention_days: 1,
  expected_bucket_owner: HOST_ACCOUNT,
};

/** An access key of somebody in the simulated AWS. */
interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

function newAccessKey(prefix: 'AKIA' | 'ASIA'): AccessKey {
  const accessKeyId = `${prefix}SIMULATED${randomBytes(4).toString('hex').toUpperCase()}`;
  return { accessKeyId, secretAccessKey: randomBytes(30).toString('base64url') };
}

/** The environment without anybody's real AWS. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !name.startsWith('AWS_'));
  const kept = names.map((name) => [name, process.env[name]] as const);
  const nowhere = { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
  return { ...Object.fromEntries(kept), ...nowhere };
}

interface EgressEntry {
  readonly host: string;
  readonly port: number;
  readonly address: string;
}

/** The host's way to a simulator on this machine. */
function egressTo(host: string, port: number): EgressEntry {
  return { host, port: 443, address: `127.0.0.1:${port}` };
}

export class SimulatedAws {
  /** What the appliance is prepared with. */
  readonly appliance: ApplianceCloud;
  readonly #directory: string;
  readonly #owner: AccessKey = newAccessKey('AKIA');
  readonly #host: AccessKey & { readonly sessionToken: string } = {
    ...newAccessKey('ASIA'),
    sessionToken: randomBytes(48).toString('base64'),
  };
  #kms: RunningKms | null = null;
  #imds: Imds | null = null;
  #bucket: SimulatedBucket | null = null;
  #withdrawn = false;

  private constructor(directory: string, appliance: ApplianceCloud) {
    this.#directory = directory;
    this.appliance = appliance;
  }

  /** Makes what an image measures: the owner's key, the TLS roots, the names; `s3`: a bucket as well. */
  static async open(directory: string, s3: boolean): Promise<SimulatedAws> {
    const authority = await TlsAuthority.open(join(directory, 'aws', 'kms'));
    await mkdir(join(directory, 'owner'), { recursive: true });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(directory, 'owner', 'key.pem'), pem, { mode: 0o600 });
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    return new SimulatedAws(directory, {
      roots: authority.pem,
      ownerKey: spki.toString('hex'),
      hosts: [KMS_HOST, ...(s3 ? [S3.host] : [])].map((host) => ({ host, port: 443 })),
      keyArn: newKeyArn(REGION, OWNER_ACCOUNT),
      kms: { region: REGION, host: KMS_HOST },
      s3: s3 ? S3 : null,
    });
  }

  get kms(): RunningKms {
    if (this.#kms === null) throw new Error('not started');
    return this.#kms;
  }

  /** For the host's `egress.allow`. */
  get egress(): readonly EgressEntry[] {
    const kms = egressTo(KMS_HOST, this.kms.port);
    return this.#bucket === null ? [kms] : [kms, egressTo(S3.host, this.#bucket.s3.port)];
  }

  /** Of the host: its role comes by IMDSv2. `base` has the keys of a bucket that is not simulated. */
  hostEnvironment(base: NodeJS.ProcessEnv = cleanEnvironment()): NodeJS.ProcessEnv {
    return { ...base, AWS_EC2_METADATA_SERVICE_ENDPOINT: this.#imds?.endpoint ?? '' };
  }

  /** KMS with a key whose policy lets in the image of `appliance` and no other. */
  async start({ directory, measurements, roots }: Appliance): Promise<void> {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#host;
    const root = await SimulatedRoot.open(join(directory, 'aws'));
    const policy = await this.#writePolicy(measurements);
    this.#kms = await startKms({
      attestationRootDer: root.certificateDer,
      region: REGION,
      folder: join(directory, 'aws', 'kms'),
      names: [KMS_HOST],
      keys: [{ arn: this.appliance.keyArn, policy }],
      principals: [
        { arn: OWNER, ...this.#owner },
        {
          arn: `arn:aws:sts::${HOST_ACCOUNT}:assumed-role/trackseal-host/i-0123456789abcdef0`,
          ...this.#host,
          identityPolicy: JSON.stringify({
            Version: '2012-10-17',
            Statement: [
              {
                Effect: 'Allow',
                Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
                Resource: this.appliance.keyArn,
              },
            ],
          }),
        },
      ],
    });
    this.#bucket = await this.#openBucket(roots);
    const credentials = { accessKeyId, secretAccessKey, sessionToken };
    this.#imds = await startImds({
      role: 'trackseal-host',
      credentials: () =>
        this.#withdrawn
          ? { status: 404, body: '' }
          : { ...credentials, expiresMs: Date.now() + SESSION_MS },
    });
  }

  /** The simulated bucket; null where it was not asked for. */
  get bucket(): DemoBucket | null {
    return this.#bucket;
  }

  async #openBucket(ca: string): Promise<SimulatedBucket | null> {
    const { s3: configured } = this.appliance;
    if (configured === null) return null;
    const authority = await TlsAuthority.open(join(this.#directory, 'aws', 'kms'));
    return openSimulatedBucket({
      configured,
      tls: await authority.issue([configured.host, 'localhost', '127.0.0.1']),
      ca,
      account: HOST_ACCOUNT,
      host: { arn: HOST_ROLE, ...this.#host },
      environment: cleanEnvironment(),
    });
  }

  /** `trackseal seal` for the appliance's image; the files. */
  async seal(appliance: Appliance): Promise<readonly string[]> {
    const owner = join(this.#directory, 'owner');
    const plan = join(owner, 'plan.json');
    const items = appliance.strategies.flatMap((one) => [
      { purpose: 'strategy', name: one.name, path: one.pack },
      { purpose: 'parameters', name: one.name, path: one.parameters, salt: one.parametersSalt },
    ]);
    const compliance = {
      purpose: 'compliance_key',
      name: 'main',
      path: appliance.compliancePublicKey,
    };
    const password = appliance.databasePassword;
    const database =
      password === null ? [] : [{ purpose: 'database_password', name: 'main', path: password }];
    await writeFile(plan, JSON.stringify({ items: [...items, compliance, ...database] }, null, 2));
    const out = join(this.#directory, 'host', 'sealed');
    const options = {
      '--configuration': appliance.configuration,
      '--measurements': appliance.measurements,
      '--owner-key': join(owner, 'key.pem'),
      '--manifest': appliance.measured,
      '--versions': join(owner, 'versions.json'),
      '--plan': plan,
      '--endpoint': this.kms.endpoint,
      '--ca': appliance.roots,
      '-o': out,
    };
    await this.#trackseal(['seal', ...Object.entries(options).flat()]);
    const names = (await readdir(out)).filter((file) => file.endsWith('.sealed')).sort();
    return names.map((file) => join(out, file));
  }

  /**
   * What whoever stole the owner's signing key can do: the sealed items, signed anew for another image (PCR0).
   * Not sealed anew: the key's policy lets nobody encrypt for an image that it does not name.
   */
  async signForImage(
    sealed: readonly string[],
    image: Uint8Array,
    name: string,
  ): Promise<readonly string[]> {
    const key = await readFile(join(this.#directory, 'owner', 'key.pem'), 'utf8');
    const out = join(this.#directory, 'host', name);
    await mkdir(out, { recursive: true });
    const files: string[] = [];
    for (const file of sealed) {
      const item = assertAccepted(parseSealed(new Uint8Array(await readFile(file))));
      const about = assertAccepted(parseStatement(item.statement));
      const statement = encodeStatement({ ...about, image });
      const signature = new Uint8Array(sign('sha256', signedBytes(statement), key));
      files.push(join(out, basename(file)));
      await writeFile(join(out, basename(file)), encodeSealed({ ...item, statement, signature }));
    }
    return files;
  }

  /** From now on the instance has no role. */
  withdrawCredentials(): void {
    this.#withdrawn = true;
  }

  async close(): Promise<void> {
    await Promise.all([this.#kms?.close(), this.#imds?.close(), this.#bucket?.close()]);
  }

  async #writePolicy(measurements: string): Promise<string> {
    const file = join(this.#directory, 'owner', 'key-policy.json');
    const who = ['--enclave-role', HOST_ROLE, '--owner', OWNER, '--admin', ADMIN];
    let said = '';
    const note = (text: string): void => {
      said += text;
    };
    const code = await policyCommand(['--measurements', measurements, ...who, '--out', file], {
      stdout: note,
      stderr: note,
      env: {},
    });
    if (code !== 0) throw new Error(`trackseal kms policy: ${said}`);
    return readFile(file, 'utf8');
  }

  /** As the owner: a command of its own process, because AWS's SDK takes credentials from there. */
  async #trackseal(args: readonly string[]): Promise<void> {
    const { code, stderr } = await runTrackseal(args, {
      ...cleanEnvironment(),
      AWS_ACCESS_KEY_ID: this.#owner.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.#owner.secretAccessKey,
    });
    if (code !== 0) throw new Error(`trackseal ${args[0] ?? ''}: ${stderr}`);
  }
}
