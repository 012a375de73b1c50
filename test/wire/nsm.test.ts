import { describe, expect, it } from 'vitest';
import { parseHex, toHex } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { encodeNsm, NSM_ERRORS, parseNsm } from '../../wire/nsm.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';

function codeOf(result: Result<unknown>): string | null {
  return result.ok ? null : result.refusal.code;
}

function response(name: string, fields: Readonly<Record<string, CborValue>>): Uint8Array {
  return encodeCbor(new Map([[name, new Map(Object.entries(fields))]]));
}

describe('requests', () => {
  // The bytes of AWS's nsm-api.
  it.each<[Uint8Array, string]>([
    [encodeNsm.describe(), '6b44657363726962654e534d'],
    [encodeNsm.random(), '6947657452616e646f6d'],
    [encodeNsm.describePcr(0), 'a16b4465736372696265504352a165696e64657800'],
    [
      encodeNsm.extendPcr(16, new Uint8Array(3)),
      'a169457874656e64504352a265696e64657810646461746143000000',
    ],
    [encodeNsm.lockPcr(16), 'a1674c6f636b504352a165696e64657810'],
    [encodeNsm.lockPcrs(32), 'a1684c6f636b50435273a16572616e67651820'],
    [
      encodeNsm.attestation({ userData: null, nonce: null, publicKey: null }),
      'a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f66a7075626c69635f6b6579f6',
    ],
    [
      encodeNsm.attestation({
        userData: Uint8Array.of(1),
        nonce: Uint8Array.of(2),
        publicKey: Uint8Array.of(3),
      }),
      'a16b4174746573746174696f6ea369757365725f646174614101656e6f6e636541026a7075626c69635f6b65794103',
    ],
  ])('%#', (bytes, expected) => {
    expect(toHex(bytes)).toBe(expected);
  });
});

const description = {
  version_major: 1,
  version_minor: 2,
  version_patch: 3,
  module_id: 'i-0123-enc0123',
  max_pcrs: 32,
  locked_pcrs: [0, 1, 2],
  digest: 'SHA384',
};

describe('responses', () => {
  it('are read by key, in any order', () => {
    const value = {
      version: '1.2.3',
      moduleId: 'i-0123-enc0123',
      maxPcrs: 32,
      lockedPcrs: [0, 1, 2],
    };
    expect(assertAccepted(parseNsm.describe(response('DescribeNSM', description)))).toEqual(value);
    const other = Object.fromEntries(Object.entries(description).toReversed());
    expect(assertAccepted(parseNsm.describe(response('DescribeNSM', other)))).toEqual(value);
  });

  it('may have maps of indefinite length', () => {
    const bytes = parseHex('bf6947657452616e646f6dbf6672616e646f6d420102ffff') ?? new Uint8Array();
    expect(assertAccepted(parseNsm.random(bytes))).toEqual(Uint8Array.of(1, 2));
  });

  it.each<[string, Readonly<Record<string, CborValue>>]>([
    ['a text as version', { ...description, version_major: '1' }],
    ['a version above u16', { ...description, version_patch: 65_536 }],
    ['no module id', { ...description, module_id: '' }],
    ['a module id with an escape', { ...description, module_id: 'i-\u001b[2J' }],
    ['16 registers', { ...description, max_pcrs: 16 }],
    ['64 registers', { ...description, max_pcrs: 64 }],
    ['SHA256', { ...description, digest: 'SHA256' }],
    ['locked registers as text', { ...description, locked_pcrs: ['0'] }],
    ['33 locked registers', { ...description, locked_pcrs: Array.from({ length: 33 }, () => 0) }],
    ['nothing', {}],
  ])('that describe an NSM with %s are refused', (_, fields) => {
    expect(codeOf(parseNsm.describe(response('DescribeNSM', fields)))).toBe('nsm_malformed');
  });

  it('with registers have 48 bytes', () => {
    for (const [length, code] of [
      [47, 'nsm_malformed'],
      [48, null],
      [49, 'nsm_malformed'],
    ] as const) {
      const data = new Uint8Array(length);
      expect(codeOf(parseNsm.describePcr(response('DescribePCR', { lock: true, data })))).toBe(
        code,
      );
      expect(codeOf(parseNsm.extendPcr(response('ExtendPCR', { data })))).toBe(code);
    }
    const numbers = response('DescribePCR', { lock: 1, data: new Uint8Array(48) });
    expect(codeOf(parseNsm.describePcr(numbers))).toBe('nsm_malformed');
  });

  it('with random bytes have 1 to 256', () => {
    const codes = [0, 1, 256, 257].map((length) =>
      codeOf(parseNsm.random(response('GetRandom', { random: new Uint8Array(length) }))),
    );
    expect(codes).toEqual(['nsm_malformed', null, null, 'nsm_malformed']);
  });

  it('without fields are bare texts', () => {
    expect(codeOf(parseNsm.lockPcr(encodeCbor('LockPCR')))).toBeNull();
    expect(codeOf(parseNsm.lockPcrs(encodeCbor('LockPCRs')))).toBeNull();
    expect(codeOf(parseNsm.lockPcrs(encodeCbor('LockPCR')))).toBe('nsm_malformed');
    expect(codeOf(parseNsm.lockPcr(response('LockPCR', {})))).toBe('nsm_malformed');
  });

  it.each(NSM_ERRORS)('that say %s are refusals with that code', (error) => {
    const bytes = encodeCbor(new Map([['Error', error]]));
    for (const [name, parse] of Object.entries(parseNsm)) {
      const result = parse(bytes);
      expect([name, result.ok ? null : result.refusal]).toMatchObject([
        name,
        { code: 'nsm_error', detail: { error } },
      ]);
    }
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['another answer', response('GetRandom', { random: new Uint8Array(3) })],
    [
      'two answers',
      encodeCbor(
        new Map([
          ['Attestation', new Map([['document', new Uint8Array(1)]])],
          ['x', new Map()],
        ]),
      ),
    ],
    ['an error of its own', encodeCbor(new Map([['Error', 'secret']]))],
    ['bytes after the end', Buffer.concat([response('Attestation', {}), Buffer.of(0)])],
    ['more than 0x3000 bytes', response('Attestation', { document: new Uint8Array(0x3000) })],
  ])('with %s are refused', (_, bytes) => {
    const result = parseNsm.attestation(bytes);
    expect(codeOf(result)).toBe('nsm_malformed');
    expect(JSON.stringify(result)).not.toContain('secret');
  });
});
