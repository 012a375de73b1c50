// What comes sealed: wire/sealed.ts and wire/kms-messages.ts, then enclave/kms/sealed-items.ts behind a signature
// that the model can make, and CiphertextForRecipient with a key that everybody has.

import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEnvelope } from '../../../enclave/kms/cms.ts';
import { SecretError } from '../../../enclave/kms/secret-error.ts';
import type { SealTerms } from '../../../enclave/kms/sealed-items.ts';
import { checkSealed } from '../../../enclave/kms/sealed-items.ts';
import { isRefusalCode } from '../../../wire/codes.ts';
import { toHex } from '../../../wire/bytes.ts';
import * as kms from '../../../wire/kms-messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import * as seal from '../../../wire/seal.ts';
import * as sealed from '../../../wire/sealed.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';
import { testHeader } from '../../helpers/log-writer.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes, replaceRange } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';
import { canonicalTarget, codec } from './canonical.ts';
import { modelCrypto, signDer } from './model-crypto.ts';

const HASH = new Uint8Array(32).fill(9);
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const OTHER_ARN = 'arn:aws:kms:eu-central-1:111122223333:key/mrk-00000000000000000000000000000000';
const IMAGE = new Uint8Array(48).fill(7);
const MAX_BYTES = 32 * 1024;

const statement: sealed.SealStatement = {
  purpose: 'parameters',
  logId: 'trackseal.test/log',
  name: 'example',
  label: '1.0.0',
  version: 3,
  configurationDigest: HASH,
  commitment: HASH,
  keyArn: ARN,
  image: IMAGE,
};

function itemOf(changes: Partial<sealed.SealStatement> = {}): sealed.SealedItem {
  const encoded = seal.encodeStatement({ ...statement, ...changes });
  const wrappedKey = new Uint8Array(100);
  return {
    statement: encoded,
    signature: new Uint8Array(70),
    wrappedKey,
    content: new Uint8Array(80),
  };
}

export function sealedMessagesTarget(): Target {
  const image = IMAGE;
  const record = { name: 'book', version: 1, keyArn: ARN, image, ciphertext: HASH };
  const credentials = { accessKeyId: 'AKID', secretAccessKey: 'secret', expiresMs: 5 };
  return canonicalTarget({
    name: 'sealed-messages',
    files: ['wire/sealed.ts', 'wire/kms-messages.ts', 'wire/kms-frames.ts', 'wire/fields.ts'],
    maxBytes: MAX_BYTES,
    words: [ARN, OTHER_ARN, 'strategy', 'client_ca', 'example', 'book', 'kms.example'],
    codecs: [
      codec('sealed', sealed.parseSealed, seal.encodeSealed, [itemOf()]),
      codec('statement', sealed.parseStatement, seal.encodeStatement, [statement]),
      codec('record', sealed.parseDataKeyRecord, sealed.encodeDataKeyRecord, [record]),
      codec('credentials', kms.parseCredentials, kms.encodeCredentials, [
        { ...credentials, sessionToken: 'token' },
        { ...credentials, sessionToken: null },
      ]),
      codec('data keys', kms.parseDataKeys, kms.encodeDataKeys, [
        { records: [sealed.encodeDataKeyRecord(record)], rotate: ['book'] },
      ]),
      codec('hand-over', kms.parseHandOver, kms.encodeHandOver, [
        { pcrs: [IMAGE, IMAGE, IMAGE], note: 'release 2' },
      ]),
      codec('dial', kms.parseDial, kms.encodeDial, [{ host: 'kms.example', port: 443 }]),
      codec('dialed', kms.parseDialed, kms.encodeDialed, [null, 'egress_refused']),
    ],
  });
}

const OWNER = new Uint8Array(91).fill(4);
const configuration = testConfiguration({
  kms: { region: 'eu-central-1', host: 'kms.example' },
  sealed: [
    { purpose: 'parameters', name: 'example', key_arn: ARN },
    { purpose: 'client_ca', name: 'main', key_arn: OTHER_ARN },
  ],
});
const before = testHeader(1, { spki: OWNER, sign: () => HASH });
const terms: SealTerms = {
  configuration,
  configurationDigest: HASH,
  ownerKey: OWNER,
  image: IMAGE,
  previous: {
    ...before,
    sealed: [{ purpose: 'parameters', name: 'example', version: 2, commitment: HASH, keyArn: ARN }],
  },
};
const CLIENT_CA = signed(
  seal.encodeSealed(
    itemOf({ purpose: 'client_ca', name: 'main', label: '', keyArn: OTHER_ARN, version: 1 }),
  ),
);

/** With the signature that the model's owner makes for what its statement says. */
function signed(bytes: Uint8Array): Uint8Array {
  const parsed = sealed.parseSealed(bytes);
  if (!parsed.ok) return bytes;
  const signature = signDer(OWNER, sealed.signedBytes(parsed.value.statement)).subarray(0, 72);
  return seal.encodeSealed({ ...parsed.value, signature });
}

/** The model's signatures are longer than those of P-256: the first bytes of one count. */
const ownerCrypto = {
  ...modelCrypto,
  verifyP256Der: (spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
    toHex(signDer(spki, message).subarray(0, 72)) === toHex(signature),
};

function runItems(bytes: Uint8Array): string {
  try {
    const [first, ...more] = checkSealed(ownerCrypto, terms, [CLIENT_CA, bytes]);
    expectThat(more.length === 1 && first !== undefined, 'not all, or more than is configured');
    const { item, statement: said } = first ?? { item: itemOf(), statement };
    const own = sealed.signedBytes(item.statement);
    expectThat(ownerCrypto.verifyP256Der(OWNER, own, item.signature), 'nobody signed it');
    expectThat(said.purpose === 'parameters' && said.name === 'example', 'another item');
    expectThat(said.version >= 2, 'an older version');
    expectThat(said.keyArn === ARN && said.logId === configuration.log_id, 'another key or log');
    expectThat(toHex(said.image) === toHex(IMAGE), 'another image');
    expectThat(toHex(said.configurationDigest) === toHex(HASH), 'another configuration');
    return `accepted ${said.version}`;
  } catch (error) {
    if (!(error instanceof SecretError)) throw error;
    const { code, secret } = error;
    expectThat(isRefusalCode(code), 'a code of its own');
    const known = [null, 'example', 'main'].includes(secret.name);
    expectThat(known, 'a name that is not of our configuration');
    return `${code} ${secret.position} ${secret.purpose}`;
  }
}

const mutateItem = mutateCbor({
  maxBytes: MAX_BYTES,
  words: [ARN, OTHER_ARN, 'client_ca', 'main'],
});

/** Another statement under a right signature. */
const mutateStatement: Mutator = (random, input, other) => {
  const parsed = sealed.parseSealed(input);
  if (!parsed.ok) return mutateItem(random, input, other);
  const changed = mutateItem(random, parsed.value.statement, other);
  return signed(seal.encodeSealed({ ...parsed.value, statement: changed.slice(0, 2048) }));
};

export function sealedItemsTarget(): Target {
  const variants: readonly Partial<sealed.SealStatement>[] = [
    {},
    { version: 1 },
    { version: 2 },
    { image: new Uint8Array(48) },
    { logId: 'other' },
    { label: '' },
    { keyArn: OTHER_ARN },
    { name: 'main', purpose: 'client_ca' },
  ];
  return {
    name: 'sealed-items',
    files: ['enclave/kms/sealed-items.ts', 'wire/sealed.ts', 'wire/fields.ts'],
    maxBytes: MAX_BYTES,
    seeds: variants.map((changes) => signed(seal.encodeSealed(itemOf(changes)))),
    mutate: mix([4, mutateStatement], [2, mutateItem], [1, mutateBytes]),
    run: runItems,
  };
}

interface CmsVectors {
  readonly private_key: string;
  readonly cases: readonly { readonly envelope: string; readonly plaintext: string }[];
}

/** The form of the content changed, and the rest left as it is: few other mutants get beyond the head. */
const mutateContent: Mutator = (random, input, other) => {
  const start = Math.min(input.length, 390);
  const tail = mutateBytes(random, input.subarray(start), other.subarray(start));
  return replaceRange(input, start, input.length, tail);
};

const appendBytes: Mutator = (_, input, other) =>
  replaceRange(input, input.length, input.length, other.subarray(0, 1 + (other.length % 9)));

export function cmsTarget(): Target {
  const path = join(import.meta.dirname, '../../vectors/cms.json');
  const vectors = JSON.parse(readFileSync(path, 'utf8')) as CmsVectors;
  const key = createPrivateKey(vectors.private_key);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const spkiHash = new Uint8Array(createHash('sha256').update(spki).digest());
  const wrapped = new Set(
    vectors.cases.map(({ envelope }) => toHex(nodeCrypto.sha256(wrappedOf(envelope)))),
  );
  return {
    name: 'cms',
    files: ['enclave/kms/cms.ts'],
    maxBytes: 8192,
    seeds: vectors.cases.map(({ envelope }) => Buffer.from(envelope, 'hex')),
    mutate: mix([6, mutateContent], [2, mutateBytes], [1, appendBytes]),
    run: (bytes) => {
      const copy = bytes.slice();
      const opened = openEnvelope(key, spkiHash, bytes);
      expectThat(toHex(copy) === toHex(bytes), 'the reader changes its input');
      if (opened === null) return 'refused';
      const known = wrapped.has(toHex(nodeCrypto.sha256(wrappedOf(toHex(bytes)))));
      expectThat(known, 'a content key that was never wrapped');
      expectThat(toHex(bytes.subarray(-8)) === '00'.repeat(8), 'other bytes at the end');
      return `opened ${opened.length}`;
    },
  };
}

/** The 256 bytes of encryptedKey, where they are in every envelope for RSA-2048. */
function wrappedOf(envelope: string): Uint8Array {
  return Buffer.from(envelope.slice(2 * WRAPPED_AT, 2 * (WRAPPED_AT + 256)), 'hex');
}

/** 33 bytes of head, identifier, 62 of parameters, 4 of head. */
const WRAPPED_AT = 33 + 32 + 62 + 4;
