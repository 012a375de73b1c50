// The enclave's KMS client as a program, bundled as the image's programs are: makes one data key and opens it
// again. Its parent is the NSM; it tells it what became of the calls.

import { lookedAt } from './trapped-environment.ts';
import { connect } from 'node:net';
import { Egress } from '../../../enclave/egress.ts';
import { Kms } from '../../../enclave/kms/client.ts';
import { Credentials } from '../../../enclave/kms/credentials.ts';
import { Recipient } from '../../../enclave/kms/recipient.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { AwsCredentials } from '../../../wire/kms-messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, assertAccepted } from '../../../wire/result.ts';

export interface ClientTask {
  readonly egressPort: number;
  readonly host: string;
  readonly region: string;
  readonly roots: string;
  readonly keyArn: string;
  readonly credentials: AwsCredentials;
}

/** What the program sends: a public key for a document, and then how it went. */
export type FromClient =
  { readonly publicKey: string } | { readonly same: boolean; readonly lookedAt: readonly string[] };

function nextMessage<T>(): Promise<T> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as T)));
}

async function attest({
  publicKey,
}: {
  readonly publicKey: Uint8Array | null;
}): Promise<Result<Uint8Array>> {
  const answer = nextMessage<string>();
  process.send?.({ publicKey: toHex(publicKey ?? new Uint8Array()) } satisfies FromClient);
  return accept(Buffer.from(await answer, 'hex'));
}

const task = await nextMessage<ClientTask>();
const roots = utf8(task.roots);
const transport = {
  connect: () => Promise.resolve(connect(task.egressPort, '127.0.0.1')),
  listen: () => Promise.reject(new Error('nobody listens')),
};
const manifest = {
  hosts: [{ host: task.host, port: 443 }],
  roots_sha256: toHex(nodeCrypto.sha256(roots)),
};
const egress = assertAccepted(Egress.open(nodeCrypto, transport, manifest, roots));
const credentials = new Credentials(1000, () => Date.now());
credentials.push(task.credentials);
const identity = { origin: 'trackseal.test/log/e0000000001', configDigest: new Uint8Array(32) };
const recipient = assertAccepted(await Recipient.create(nodeCrypto, { attest }, identity));
const kms = new Kms({ egress, credentials, recipient }, task);
const context = { 'trackseal:purpose': 'data-key/book' };
const made = assertAccepted(await kms.generateDataKey(task.keyArn, context));
const opened = assertAccepted(await kms.decrypt(task.keyArn, made.ciphertext, context));
kms.close();
const same = toHex(opened) === toHex(made.key) && opened.length === 32;
process.send?.({ same, lookedAt: lookedAt() } satisfies FromClient, () => process.exit(0));
