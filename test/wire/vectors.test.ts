import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseHex } from '../../wire/bytes.ts';
import { parseCommit } from '../../wire/commit.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { parseHeader } from '../../wire/header.ts';
import { leafKey, parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { COMPLIANCE, wireVectors } from '../vectors/wire.ts';

const FILE = new URL('../vectors/wire.json', import.meta.url);
const committed = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, string>>;

function bytesOf(name: string): Uint8Array {
  const bytes = parseHex(committed[name] ?? 'none');
  if (bytes === null) throw new Error(`no vector ${name}`);
  return bytes;
}

describe('test/vectors/wire.json', () => {
  it('is what the code makes, byte for byte', () => {
    expect(wireVectors()).toEqual(committed);
  });

  it('opens with the private key of compliance alone', () => {
    const header = assertAccepted(parseHeader(bytesOf('header')));
    const { wrappedDisclosureKey, origin } = header;
    const key = unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, COMPLIANCE, origin);
    expect(key.ok).toBe(true);
    const leaf = assertAccepted(parseLeaf(bytesOf('output leaf, private')));
    const disclosure = assertAccepted(key);
    const opened = openLeaf(nodeCrypto, leaf, leafKey(nodeCrypto, disclosure, origin, 97), null);
    expect(assertAccepted(parseSignal(assertAccepted(opened).plaintext)).limit).toBe(268_317);
    expect(assertAccepted(parseCommit(bytesOf('commit'))).leaves).toHaveLength(2);
  });
});
