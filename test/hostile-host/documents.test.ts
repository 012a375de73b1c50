// Lies with attestation documents: made for one thing and shown as another, old ones, and other people's.

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, it } from 'vitest';
import { generateTlsKey } from '../../enclave/desk/keys.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { toHex } from '../../wire/bytes.ts';
import { KIND, encodePublicLeaf } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { parseAnchor } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { EpochBuilder } from '../helpers/epoch-builder.ts';
import type { BuiltEpoch } from '../helpers/epoch-files.ts';
import {
  attest,
  batch,
  boot,
  bootAfter,
  close,
  refusalOf,
  get,
  logOf,
  newVerifier,
  send,
  serve,
  verifyDocument,
} from './stage.ts';

const closers: (() => void)[] = [];
afterAll(() => {
  for (const end of closers) end();
});

const NOW = ['--at', 'signing'];

async function challenge(url: string, nonce: Uint8Array): Promise<Uint8Array> {
  const { status, body } = await get(`${url}/attestation?nonce=${toHex(nonce)}`);
  expect(status).toBe(200);
  return body;
}

/** Whoever sits between the LP and the enclave, with a TLS key of its own. Answers its URL. */
async function middleman(answer: (target: string) => Promise<Uint8Array>): Promise<string> {
  const key = generateTlsKey();
  const server = createServer(
    {
      key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
      cert: await createCertificate(key, ['localhost'], Date.now()),
    },
    (request, response) => {
      void answer(request.url ?? '').then((document) => {
        response.setHeader('content-type', 'application/cbor').end(document);
      });
    },
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  closers.push(() => server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The same log with another document in a leaf, and tiles that fit. */
function withLeaf(host: TestHost, index: number, plaintext: Uint8Array): BuiltEpoch {
  const log = logOf(host);
  const { bytes } = encodePublicLeaf(nodeCrypto, host.leaf(index), new Uint8Array(16), plaintext);
  const leaves = log.leaves.with(index, bytes);
  const tree = new MemoryTree(nodeCrypto);
  for (const leaf of leaves) tree.append(leafHash(nodeCrypto, leaf));
  return { ...log, leaves, tree };
}

it('an LP whose nonce is a root of the log, to make an anchor of the answer: `purpose_mismatch`, in a log `anchor_invalid`', async () => {
  const host = await boot();
  const url = await serve(host);
  await send(host, batch(0));
  const root = host.tree.root();
  const document = await challenge(url, root);
  const folder = await newVerifier();
  for (const purpose of ['anchor', 'boot', 'kms']) {
    const { exit, report } = await verifyDocument(folder, document, '--purpose', purpose);
    expect([report.code, exit]).toEqual(['purpose_mismatch', 1]);
  }
  const own = ['--purpose', 'challenge', '--nonce', toHex(root)];
  expect((await verifyDocument(folder, document, ...own)).exit).toBe(0);

  // Planted by somebody who even had the key of the log: same size, root, nonce, key, configuration.
  const planted = await EpochBuilder.create();
  await planted.addAnchor({ userData: (data) => ({ ...data, purpose: 2 }) });
  planted.commit();
  await folder.write([planted]);
  const { exit, verdict } = await folder.verify();
  expect([verdict.code, verdict.detail['cause'], exit]).toEqual([
    'anchor_invalid',
    'purpose_mismatch',
    1,
  ]);
});

it('a host that shows an anchor as the answer to a challenge: `purpose_mismatch`', async () => {
  const host = await boot();
  await send(host, batch(0));
  await close(host);
  const [anchor = -1] = host.leavesOf(KIND.anchor);
  const { document } = assertAccepted(parseAnchor(host.open(anchor)));
  const folder = await newVerifier();
  const { report: any } = await verifyDocument(folder, document, ...NOW);
  expect(any).toMatchObject({ verdict: 'verified', user_data: { purpose: 'anchor' } });
  expect(any.residual_risks).toContain('any_purpose');
  const demands = ['--purpose', 'challenge', '--nonce', any.nonce ?? ''];
  const { exit, report } = await verifyDocument(folder, document, ...NOW, ...demands);
  expect([report.code, exit]).toEqual(['purpose_mismatch', 1]);
});

it('a host that shows the boot document as the answer to a challenge: `nonce_mismatch`, `purpose_mismatch`', async () => {
  const host = await boot();
  const document = host.open(1);
  const folder = await newVerifier();
  const other = await verifyDocument(folder, document, '--nonce', 'ab'.repeat(32));
  expect([other.report.code, other.exit]).toEqual(['nonce_mismatch', 1]);
  const purpose = await verifyDocument(folder, document, '--purpose', 'challenge');
  expect([purpose.report.code, purpose.exit]).toEqual(['purpose_mismatch', 1]);
  const url = await middleman(() => Promise.resolve(document));
  const { exit, report } = await attest(folder, url);
  expect([report.code, exit]).toEqual(['nonce_mismatch', 1]);
});

it('a host that puts an answer to a challenge, or an anchor, in the place of the boot document: `purpose_mismatch`', async () => {
  const host = await boot();
  const url = await serve(host);
  const answer = await challenge(url, new Uint8Array(32).fill(7));
  await close(host);
  const [anchor = -1] = host.leavesOf(KIND.anchor);
  const { document } = assertAccepted(parseAnchor(host.open(anchor)));
  const folder = await newVerifier();
  for (const other of [answer, document]) {
    await folder.write([withLeaf(host, 1, other)]);
    expect(refusalOf(await folder.verify())).toBe('purpose_mismatch');
  }
});

it('a host that plays back the answer to an earlier challenge: `nonce_mismatch`', async () => {
  const host = await boot();
  const url = await serve(host);
  const recorded = await challenge(url, new Uint8Array(32).fill(7));
  const folder = await newVerifier();
  const { exit, report } = await attest(folder, await middleman(() => Promise.resolve(recorded)));
  expect([report.code, exit]).toEqual(['nonce_mismatch', 1]);
});

it('a host that ends the TLS connection itself and asks the enclave in its stead: `tls_key_mismatch`', async () => {
  const host = await boot();
  const url = await serve(host);
  const between = await middleman(async (target) => (await get(url + target)).body);
  const folder = await newVerifier();
  const { exit, report } = await attest(folder, between);
  expect([report.code, exit]).toEqual(['tls_key_mismatch', 1]);
  // Nothing of it is remembered, and the honest way still works.
  expect((await attest(folder, url)).exit).toBe(0);
});

it('a host that answers for an epoch that is over: `rollback` for who has seen the next one', async () => {
  const first = await boot();
  const old = await serve(first);
  const folder = await newVerifier();
  expect((await attest(folder, old)).exit).toBe(0);
  const second = await bootAfter(first);
  expect((await attest(folder, await serve(second))).exit).toBe(0);
  // The first enclave still runs, and answers as freshly as ever.
  const { exit, report } = await attest(folder, old);
  expect([report.code, exit]).toEqual(['rollback', 1]);
});

it('a caller that wants more than a nonce in the document: `nonce_invalid`, 400', async () => {
  const host = await boot();
  const url = await serve(host);
  const nonce = '0f'.repeat(32);
  for (const query of [
    `nonce=${nonce}&user_data=00`,
    `nonce=${nonce}&public_key=00`,
    `nonce=${nonce}&purpose=3`,
    `nonce=${'0f'.repeat(65)}`,
    `nonce=${'0f'.repeat(15)}`,
    `user_data=${nonce}`,
  ]) {
    const { status, body } = await get(`${url}/attestation?${query}`);
    const answer: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    expect([status, answer]).toMatchObject([400, { error: 'nonce_invalid' }]);
  }
});

it('a host that answers no challenge: undecided, `source_unreachable`, exit 2', async () => {
  const url = await middleman(() => new Promise(() => undefined));
  const folder = await newVerifier();
  const args = ['--timeout-ms', '1000'];
  const { exit, report } = await attest(folder, url, [...folder.trust(), ...args]);
  expect([report.code, exit]).toEqual(['source_unreachable', 2]);
});
