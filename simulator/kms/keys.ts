// The keys of the simulator: symmetric ones, with their policies. Kept in a folder, so that a simulator that
// is started again can open what it wrapped before:
//
//   <folder>/keys.json   mode 0600; whoever reads it can unwrap everything, without any policy
//
// A ciphertext is `TSK1` ‖ key id (16) ‖ nonce (12) ‖ AES-256-GCM with the encryption context as AAD. AWS's
// own ciphertexts are opaque too.

import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { canonicalJson } from '../../wire/configuration.ts';
import { invalidCiphertext } from './errors.ts';
import { parsePolicy } from './policy.ts';

export const KEY_STATES = ['Enabled', 'Disabled', 'PendingDeletion'] as const;
export type KeyState = (typeof KEY_STATES)[number];

export interface SimulatedKey {
  readonly arn: string;
  readonly material: string;
  readonly policy: string;
  readonly state: KeyState;
  readonly createdMs: number;
}

/** What a caller says of a key; a key of this ARN that is there already keeps its material. */
export interface KeyOptions {
  readonly arn: string;
  readonly policy: string;
  readonly state?: KeyState;
}

const MAGIC = Buffer.from('TSK1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = MAGIC.length + 16;
const ARN =
  /^arn:aws:kms:([a-z0-9-]+):([0-9]{12}):key\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/u;

const stateSchema = z.strictObject({
  version: z.literal(1),
  keys: z.array(
    z.strictObject({
      arn: z.string().regex(ARN),
      material: z.string().regex(/^[0-9a-f]{64}$/u),
      policy: z.string(),
      state: z.enum(KEY_STATES),
      createdMs: z.int(),
    }),
  ),
});

export type EncryptionContext = ReadonlyMap<string, string>;

function associatedData(arn: string, context: EncryptionContext): Uint8Array {
  const pairs = [...context].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify([arn, pairs]));
}

function idBytes(arn: string): Buffer {
  return Buffer.from((ARN.exec(arn)?.[3] ?? '').replaceAll('-', ''), 'hex');
}

export function newKeyArn(region: string, account: string): string {
  return `arn:aws:kms:${region}:${account}:key/${randomUUID()}`;
}

export class KeyStore {
  readonly #folder: string | null;
  readonly #keys = new Map<string, SimulatedKey>();
  #written: Promise<void> = Promise.resolve();

  private constructor(folder: string | null, keys: readonly SimulatedKey[]) {
    this.#folder = folder;
    for (const key of keys) this.#keys.set(key.arn, key);
  }

  /** In memory without a folder. Rejects for a file that this program has not written. */
  static async open(folder: string | null): Promise<KeyStore> {
    if (folder === null) return new KeyStore(null, []);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const text = await readFile(join(folder, 'keys.json'), 'utf8').catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      },
    );
    return new KeyStore(folder, text === null ? [] : stateSchema.parse(JSON.parse(text)).keys);
  }

  get all(): readonly SimulatedKey[] {
    return [...this.#keys.values()];
  }

  find(arn: string): SimulatedKey | null {
    return this.#keys.get(arn) ?? null;
  }

  /** Throws for an ARN or a policy that AWS would refuse. */
  async put({ arn, policy, state }: KeyOptions): Promise<SimulatedKey> {
    if (!ARN.test(arn)) throw new Error(`not the full ARN of a key: ${arn}`);
    parsePolicy(policy, 'key');
    const before = this.#keys.get(arn);
    const key: SimulatedKey = {
      arn,
      material: before?.material ?? randomBytes(32).toString('hex'),
      policy,
      state: state ?? before?.state ?? 'Enabled',
      createdMs: before?.createdMs ?? Date.now(),
    };
    this.#keys.set(arn, key);
    await this.#write();
    return key;
  }

  /** One write after the other; the file is replaced as a whole. */
  #write(): Promise<void> {
    const folder = this.#folder;
    if (folder === null) return Promise.resolve();
    this.#written = this.#written.then(async () => {
      const path = join(folder, 'keys.json');
      await writeFile(`${path}.new`, canonicalJson({ version: 1, keys: this.all }), {
        mode: 0o600,
      });
      await chmod(`${path}.new`, 0o600);
      await rename(`${path}.new`, path);
    });
    return this.#written;
  }
}

export function wrap(
  key: SimulatedKey,
  plaintext: Uint8Array,
  context: EncryptionContext,
): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key.material, 'hex'), nonce);
  cipher.setAAD(associatedData(key.arn, context));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return new Uint8Array(Buffer.concat([MAGIC, idBytes(key.arn), nonce, body]));
}

/** The key that a ciphertext was made with, by what it says of itself; null for bytes of another kind. */
export function keyOfCiphertext(store: KeyStore, blob: Uint8Array): SimulatedKey | null {
  const id = Buffer.from(blob.subarray(MAGIC.length, HEAD_BYTES));
  if (!Buffer.from(blob.subarray(0, MAGIC.length)).equals(MAGIC)) return null;
  return store.all.find(({ arn }) => idBytes(arn).equals(id)) ?? null;
}

/** Throws InvalidCiphertextException: another context, another key, changed bytes. */
export function unwrap(
  key: SimulatedKey,
  blob: Uint8Array,
  context: EncryptionContext,
): Uint8Array {
  const body = blob.subarray(HEAD_BYTES + NONCE_BYTES);
  if (body.length < TAG_BYTES) throw invalidCiphertext();
  const nonce = blob.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key.material, 'hex'), nonce);
  decipher.setAAD(associatedData(key.arn, context));
  decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
  try {
    const first = decipher.update(body.subarray(0, body.length - TAG_BYTES));
    return new Uint8Array(Buffer.concat([first, decipher.final()]));
  } catch {
    throw invalidCiphertext();
  }
}
