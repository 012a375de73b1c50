// What an owner hands in, read as the enclave will read it: forms, sizes, salts, plans; and the owner's key.

import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readOwnerKey } from '../../../owner/owner-key.ts';
import { parseSource, readMaterial, readPlan } from '../../../owner/seal/sources.ts';
import { chooseVersion, readVersions, writeVersions } from '../../../owner/seal/versions.ts';
import { SimulatedRoot } from '../../../simulator/nsm/root.ts';
import { parseConfiguration } from '../../../wire/configuration.ts';
import { MAX_ITEM_BYTES } from '../../../wire/limits.ts';
import type { Result } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { SealedPurpose } from '../../../wire/sealed.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import { hostConfiguration } from '../../helpers/enclave-host.ts';
import { KEY_ARN } from '../../helpers/kms.ts';
import { temporaryFolder } from '../../helpers/owner.ts';

const CONFIGURATION = assertAccepted(parseConfiguration(canonicalJson(hostConfiguration())));

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

async function materialOf(
  purpose: SealedPurpose,
  content: string | Uint8Array,
  salt?: string,
): Promise<ReturnType<typeof readMaterial>> {
  const folder = temporaryFolder();
  const path = join(folder, 'item');
  writeFileSync(path, content);
  const saltPath = join(folder, 'salt');
  if (salt !== undefined) writeFileSync(saltPath, salt);
  const name = 'example';
  const source = { purpose, name, path, ...(salt === undefined ? {} : { salt: saltPath }) };
  return readMaterial(source, { purpose, name, key_arn: KEY_ARN }, CONFIGURATION);
}

describe('an item', () => {
  it.each<[SealedPurpose, string, string]>([
    ['parameters', '{}', 'accepted'],
    ['parameters', '', 'seal_malformed'],
    ['exchange_account', '{"key": "a"}', 'accepted'],
    ['exchange_account', '["key"]', 'seal_malformed'],
    ['exchange_account', 'null', 'seal_malformed'],
    ['exchange_account', '{', 'seal_malformed'],
    ['client_ca', 'no certificate', 'seal_malformed'],
    ['database_password', 'one line of text', 'accepted'],
    ['database_password', 'one line\n', 'seal_malformed'],
    ['database_password', 'x'.repeat(1024), 'accepted'],
    ['database_password', 'x'.repeat(1025), 'seal_malformed'],
    [
      'client_ca',
      '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
      'seal_malformed',
    ],
    ['compliance_key', 'x'.repeat(32), 'compliance_key_mismatch'],
    ['compliance_key', 'x'.repeat(31), 'seal_malformed'],
    ['compliance_key', 'x'.repeat(33), 'seal_malformed'],
  ])('%s with %j: %s', async (purpose, content, expected) => {
    expect(codeOf(await materialOf(purpose, content))).toBe(expected);
  });

  it('client_ca with real certificates: taken as it is', async () => {
    const { pem } = await SimulatedRoot.create();
    const { bytes } = assertAccepted(await materialOf('client_ca', `${pem}${pem}`));
    expect(Buffer.from(bytes).toString('utf8')).toBe(`${pem}${pem}`);
  });

  it.each([
    [MAX_ITEM_BYTES, 'accepted'],
    [MAX_ITEM_BYTES + 1, 'file_unreadable'],
  ])('of %d bytes: %s', async (bytes, expected) => {
    expect(codeOf(await materialOf('parameters', new Uint8Array(bytes)))).toBe(expected);
  });

  it('takes the salt that it is given, and draws another one each time otherwise', async () => {
    const given = assertAccepted(await materialOf('parameters', '{}', `${'5a'.repeat(32)}\n`));
    expect(given.salt).toEqual(new Uint8Array(32).fill(0x5a));
    const [a, b] = [await materialOf('parameters', '{}'), await materialOf('parameters', '{}')];
    expect(assertAccepted(a).salt).not.toEqual(assertAccepted(b).salt);
    for (const wrong of ['', '5a'.repeat(31), '5A'.repeat(32), 'x'.repeat(64)]) {
      expect(codeOf(await materialOf('parameters', '{}', wrong)), wrong).toBe('usage_invalid');
    }
  });
});

describe('a plan', () => {
  const item = { purpose: 'parameters', name: 'example', path: 'p.json' };
  it('has paths relative to it', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'plan'), JSON.stringify({ items: [{ ...item, salt: 's' }] }));
    expect(assertAccepted(await readPlan(join(folder, 'plan')))).toEqual([
      { ...item, path: join(folder, 'p.json'), salt: join(folder, 's') },
    ]);
  });

  it.each([
    '{',
    '[]',
    '{"items": []}',
    JSON.stringify({ items: [{ ...item, purpose: 'data-key' }] }),
    JSON.stringify({ items: [{ ...item, salts: 's' }] }),
    JSON.stringify({ items: Array.from({ length: 65 }, () => item) }),
  ])('%j is none', async (text) => {
    const path = join(temporaryFolder(), 'plan');
    writeFileSync(path, text);
    expect(codeOf(await readPlan(path))).toBe('json_malformed');
  });

  it.each([
    ['parameters/example=/p.json', '/p.json'],
    ['parameters/a/b=/p=q', '/p=q'],
    ['parameter/example=/p.json', null],
    ['parameters=/p.json', null],
    ['parameters/example=', null],
  ])('or items: %s', (text, path) => {
    expect(parseSource(text)?.path ?? null).toBe(path);
  });
});

describe("the owner's key", () => {
  it.each([
    ['P-256', undefined, undefined, 'accepted'],
    ['P-256', 'secret', 'secret', 'accepted'],
    ['P-256', 'secret', 'guess', 'usage_invalid'],
    ['P-256', 'secret', undefined, 'usage_invalid'],
    ['P-384', undefined, undefined, 'usage_invalid'],
  ])('%s, passphrase %s, given %s: %s', async (namedCurve, passphrase, given, expected) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve });
    const path = join(temporaryFolder(), 'owner.pem');
    const pem = privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
    });
    writeFileSync(path, pem);
    expect(codeOf(await readOwnerKey(path, given))).toBe(expected);
  });
});

describe('the counter of versions', () => {
  it('is empty before it is there, and keeps what was written', async () => {
    const path = join(temporaryFolder(), 'versions.json');
    expect(assertAccepted(await readVersions(path))).toEqual({});
    assertAccepted(await writeVersions(path, { 'parameters/example': 3 }));
    expect(assertAccepted(await readVersions(path))).toEqual({ 'parameters/example': 3 });
  });

  it.each(['{', '{"a": 0}', '{"a": 1.5}', '{"a": "1"}', '[]'])(
    'that is damaged (%s) is refused, not begun anew',
    async (text) => {
      const path = join(temporaryFolder(), 'versions.json');
      writeFileSync(path, text);
      expect(codeOf(await readVersions(path))).toBe('json_malformed');
    },
  );

  it.each([
    [null, 4],
    [2, 'seal_rolled_back'],
    [3, 3],
    [9, 9],
    [0, 'seal_rolled_back'],
  ])('at 3, asked for %s: %s', (wanted, expected) => {
    const chosen = chooseVersion({ a: 3 }, 'a', wanted);
    expect(chosen.ok ? chosen.value : chosen.refusal.code).toBe(expected);
  });
});
