import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { TrackEvidence } from '../../../wire/track/evidence.ts';
import {
  encodeTrackEvidence,
  parseTrackEvidence,
  signedStatementToJson,
} from '../../../wire/track/evidence.ts';
import { ORIGIN, vectorChain } from '../../vectors/track.ts';

const EVIDENCE: TrackEvidence = {
  statements: vectorChain().statements.map((statement, position) => ({
    statement,
    signature: new Uint8Array(64).fill(position),
    origin: ORIGIN,
    leafIndex: 97,
    position,
    leafSalt: new Uint8Array(16).fill(3),
  })),
  attestations: [Uint8Array.of(0xd2, 0x84)],
};

type Json = Record<string, unknown>;
const [first] = EVIDENCE.statements.map((one): Json => ({ ...signedStatementToJson(one) }));

function fileWith(statement: Json, more: Json = {}): Uint8Array {
  return utf8(JSON.stringify({ v: 1, statements: [statement], attestations: [], ...more }));
}

describe('a file of a track record', () => {
  it('is read as it was written', () => {
    const file = utf8(encodeTrackEvidence(EVIDENCE));
    expect(assertAccepted(parseTrackEvidence(file))).toEqual(EVIDENCE);
    expect(parseTrackEvidence(fileWith(first ?? {})).ok).toBe(true);
  });

  it.each<readonly [string, Uint8Array]>([
    ['no UTF-8', Uint8Array.of(0xff)],
    ['no JSON', utf8('{')],
    ['a list', utf8('[]')],
    ['another version', fileWith(first ?? {}, { v: 2 })],
    ['a field more', fileWith(first ?? {}, { more: 1 })],
    ['attestations that are no list', fileWith(first ?? {}, { attestations: {} })],
    ['an attestation that is no base64', fileWith(first ?? {}, { attestations: ['?'] })],
    ['an empty attestation', fileWith(first ?? {}, { attestations: [''] })],
    ['a short signature', fileWith({ ...first, signature: 'AAAA' })],
    ['a statement of more than 64 KiB', fileWith({ ...first, statement: 'AAAA'.repeat(21846) })],
    ['a leaf index below 0', fileWith({ ...first, leaf_index: -1 })],
    ['a position that is no number', fileWith({ ...first, position: '0' })],
    ['a short salt', fileWith({ ...first, leaf_salt: '00' })],
    ['a long origin', fileWith({ ...first, origin: 'x'.repeat(97) })],
    ['a field more in a statement', fileWith({ ...first, note: '' })],
  ])('is refused with %s', (_, file) => {
    expect(parseTrackEvidence(file)).toMatchObject({ refusal: { code: 'record_malformed' } });
  });
});
