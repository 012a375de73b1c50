import { describe, expect, it } from 'vitest';
import { utf8 } from '../../wire/bytes.ts';
import { parseHandOver } from '../../wire/kms-messages.ts';
import { encodeHandOver } from '../../wire/kms-messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SealStatement } from '../../wire/sealed.ts';
import {
  dataKeyContext,
  openContent,
  parseKeyArn,
  parseSealed,
  parseStatement,
  sealContext,
} from '../../wire/sealed.ts';
import { encodeSealed, encodeStatement, sealContent } from '../../wire/seal.ts';

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const KEY = new Uint8Array(32).fill(9);
const SALT = new Uint8Array(32).fill(7);
const BYTES = utf8('{"threshold": 3}');
const STATEMENT: SealStatement = {
  purpose: 'parameters',
  logId: 'trackseal.test/log',
  name: 'imbalance',
  label: '1',
  version: 3,
  configurationDigest: new Uint8Array(32).fill(1),
  commitment: nodeCrypto.sha256(SALT, BYTES),
  keyArn: ARN,
  image: new Uint8Array(48).fill(0xab),
};

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

function itemOf(statement: Uint8Array, changes: Partial<Record<'wrappedKey', Uint8Array>> = {}) {
  const content = sealContent(nodeCrypto, KEY, new Uint8Array(12), statement, SALT, BYTES);
  const signature = new Uint8Array(70);
  return { statement, signature, wrappedKey: Uint8Array.of(1), content, ...changes };
}

describe('content', () => {
  const statement = encodeStatement(STATEMENT);
  const item = itemOf(statement);

  it('opens under its key and statement', () => {
    const opened = assertAccepted(openContent(nodeCrypto, KEY, item, STATEMENT.commitment));
    expect(opened.bytes).toEqual(BYTES);
    expect(opened.salt).toEqual(SALT);
  });

  it('opens under no other key, statement, nonce or byte', () => {
    const open = (changed: Partial<typeof item>, key: Uint8Array = KEY): string =>
      codeOf(openContent(nodeCrypto, key, { ...item, ...changed }, STATEMENT.commitment));
    expect(open({}, new Uint8Array(32))).toBe('seal_malformed');
    const other = encodeStatement({ ...STATEMENT, version: 4 });
    expect(open({ statement: other })).toBe('seal_malformed');
    for (const at of [0, 11, 12, item.content.length - 1]) {
      const content = item.content.slice();
      content[at] = (content[at] ?? 0) ^ 1;
      expect(open({ content }), `byte ${at}`).toBe('seal_malformed');
    }
  });

  it('is refused when the owner committed to something else', () => {
    expect(codeOf(openContent(nodeCrypto, KEY, item, new Uint8Array(32)))).toBe(
      'seal_commitment_mismatch',
    );
  });
});

describe('sizes', () => {
  const statement = encodeStatement(STATEMENT);
  it.each([
    [0, 'message_malformed'],
    [1, 'accepted'],
    [6144, 'accepted'],
    [6145, 'message_malformed'],
  ])('a wrapped key of %i bytes: %s', (length, code) => {
    const wrappedKey = new Uint8Array(length);
    expect(codeOf(parseSealed(encodeSealed(itemOf(statement, { wrappedKey }))))).toBe(code);
  });

  it('has at least one byte and at most 4 MiB of content', () => {
    const item = itemOf(statement);
    const parsed = [60, 61, 60 + 4 * 1024 * 1024, 61 + 4 * 1024 * 1024].map((length) =>
      parseSealed(encodeSealed({ ...item, content: new Uint8Array(length) })),
    );
    expect(parsed.map((result) => codeOf(result))).toEqual([
      'message_malformed',
      'accepted',
      'accepted',
      'message_malformed',
    ]);
  });
});

describe('a statement', () => {
  it.each<[string, Partial<Record<keyof SealStatement, unknown>>, number]>([
    ['another purpose', { purpose: 'log_key' }, 2],
    ['a log id in upper case', { logId: 'Log' }, 3],
    ['a name with control characters', { name: 'a\u001b[2J' }, 4],
    ['a label with control characters', { label: '\n' }, 5],
    ['version 0', { version: 0 }, 6],
    ['a short digest', { configurationDigest: new Uint8Array(31) }, 7],
    ['a long commitment', { commitment: new Uint8Array(33) }, 8],
    ['an alias for a key', { keyArn: 'arn:aws:kms:eu-central-1:111122223333:alias/x' }, 9],
    ['a PCR of SHA-256', { image: new Uint8Array(32) }, 10],
  ])('with %s is refused', (_, changes, field) => {
    const bytes = encodeStatement({ ...STATEMENT, ...changes } as SealStatement);
    expect(parseStatement(bytes)).toMatchObject({
      refusal: { code: 'message_malformed', detail: { message: 'seal_statement', field } },
    });
  });

  it('gives the encryption context', () => {
    expect(sealContext(STATEMENT)).toEqual({
      'trackseal:purpose': 'parameters/imbalance',
      'trackseal:image': 'ab'.repeat(48),
      'trackseal:version': '3',
    });
    const { image } = STATEMENT;
    expect(dataKeyContext({ name: 'book', version: 12, image })['trackseal:purpose']).toBe(
      'data-key/book',
    );
  });
});

it('a key ARN names region and account, and is a full one', () => {
  expect(parseKeyArn(ARN)).toEqual({ region: 'eu-central-1', account: '111122223333' });
  expect(parseKeyArn(ARN.replace('aws:', 'aws-us-gov:'))).not.toBeNull();
  for (const wrong of [
    ARN.slice(0, -1),
    `${ARN}0`,
    ARN.replace('kms', 's3'),
    ARN.replace('111122223333', '11112222333'),
    `x${ARN}`,
    `${ARN}\n`,
    '1234abcd-12ab-34cd-56ef-1234567890ab',
  ]) {
    expect(parseKeyArn(wrong), wrong).toBeNull();
  }
});

it('a hand-over has three PCRs and a note that a terminal can show', () => {
  const pcrs = [1, 2, 3].map((fill) => new Uint8Array(48).fill(fill));
  const code = (note: string, some = pcrs): string =>
    codeOf(parseHandOver(encodeHandOver({ pcrs: some, note })));
  expect([code(''), code('a'.repeat(256))]).toEqual(['accepted', 'accepted']);
  for (const refused of [
    code('a'.repeat(257)),
    code('\u001b[2J'),
    code('é'),
    code('', pcrs.slice(1)),
    code('', [...pcrs, new Uint8Array(48)]),
    code('', [...pcrs.slice(1), new Uint8Array(32)]),
  ]) {
    expect(refused).toBe('message_malformed');
  }
});
