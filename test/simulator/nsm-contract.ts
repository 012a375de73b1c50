// What every NSM must do, simulated or real: AWS's own nsm-check, plus what our code relies on. A real
// device is never rebooted between tests, so they run in order on one device that was just booted.

import { beforeAll, describe, expect, it } from 'vitest';
import type { NsmDevice } from '../../enclave/nsm/nsm.ts';
import { parseCoseSign1 } from '../../wire/attestation/cose.ts';
import type { AttestationDocument } from '../../wire/attestation/document.ts';
import { extendedPcr } from '../../wire/attestation/policy.ts';
import { checkAge, checkTime, verifyAttestation } from '../../wire/attestation/verify.ts';
import { parseHex, toHex, utf8 } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { AttestationRequest, PcrState } from '../../wire/nsm.ts';
import { encodeNsm, MAX_NSM_REQUEST_BYTES, parseNsm } from '../../wire/nsm.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';

export interface ContractSubject {
  readonly device: NsmDevice;
  readonly rootDer: Uint8Array;
}

const ZERO = new Uint8Array(48);
const NONE: AttestationRequest = { userData: null, nonce: null, publicKey: null };

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(128);
}

function errorOf(result: Result<unknown>): unknown {
  return result.ok ? null : result.refusal.detail['error'];
}

export function describeNsmContract(name: string, open: () => Promise<ContractSubject>): void {
  let device: NsmDevice;
  let rootDer: Uint8Array;
  beforeAll(async () => {
    ({ device, rootDer } = await open());
  });

  const send = async <T>(
    request: Uint8Array,
    parse: (response: Uint8Array) => Result<T>,
  ): Promise<Result<T>> => parse(await device.request(request));

  const attest = async (request: AttestationRequest): Promise<Uint8Array> =>
    assertAccepted(await send(encodeNsm.attestation(request), parseNsm.attestation));

  const verified = async (request: AttestationRequest): Promise<AttestationDocument> => {
    const document = await attest(request);
    return assertAccepted(verifyAttestation(nodeCrypto, document, { rootDer })).document;
  };

  const describeAll = async (): Promise<readonly PcrState[]> => {
    const pcrs: PcrState[] = [];
    for (let index = 0; index < 32; index++) {
      pcrs.push(assertAccepted(await send(encodeNsm.describePcr(index), parseNsm.describePcr)));
    }
    return pcrs;
  };

  describe(`${name}, after boot`, () => {
    it('describes itself', async () => {
      const described = assertAccepted(await send(encodeNsm.describe(), parseNsm.describe));
      expect(described.moduleId).toMatch(/^i-[0-9a-f]{17}-enc[0-9a-f]{16}$/u);
      expect(described.lockedPcrs).toEqual(Array.from({ length: 16 }, (_, index) => index));
    });

    it('has PCR0 to 15 locked and PCR16 to 31 unlocked, and zero from PCR5 on', async () => {
      const pcrs = await describeAll();
      expect(pcrs.map(({ locked }) => locked)).toEqual(pcrs.map((_, index) => index < 16));
      for (const { value } of pcrs.slice(5)) expect(value).toEqual(ZERO);
    });

    it('has its instance in PCR4', async () => {
      const { moduleId } = assertAccepted(await send(encodeNsm.describe(), parseNsm.describe));
      const [instance = ''] = moduleId.split('-enc');
      const pcrs = await describeAll();
      expect(pcrs[4]?.value).toEqual(extendedPcr(nodeCrypto, utf8(instance)));
    });

    it('neither locks nor extends PCR0 to 15', async () => {
      for (let index = 0; index < 16; index++) {
        expect(errorOf(await send(encodeNsm.lockPcr(index), parseNsm.lockPcr))).toBeTypeOf(
          'string',
        );
        const extended = await send(encodeNsm.extendPcr(index, bytes(3)), parseNsm.extendPcr);
        expect(errorOf(extended)).toBeTypeOf('string');
      }
    });

    it('lists the 16 locked PCRs in a document', async () => {
      expect((await verified(NONE)).pcrs.size).toBe(16);
    });
  });

  describe(`${name}, registers`, () => {
    it('extend by SHA-384(old ‖ data)', async () => {
      let expected: Uint8Array = ZERO;
      for (const data of [bytes(3), bytes(0), bytes(1000)]) {
        expected = nodeCrypto.sha384(expected, data);
        const extended = await send(encodeNsm.extendPcr(16, data), parseNsm.extendPcr);
        expect(assertAccepted(extended)).toEqual(expected);
      }
      const read = assertAccepted(await send(encodeNsm.describePcr(16), parseNsm.describePcr));
      expect(read).toEqual({ locked: false, value: expected });
    });

    it('are refused from index 32 on', async () => {
      const answers = [
        await send(encodeNsm.describePcr(32), parseNsm.describePcr),
        await send(encodeNsm.extendPcr(32, bytes(1)), parseNsm.extendPcr),
        await send(encodeNsm.lockPcr(32), parseNsm.lockPcr),
        await send(encodeNsm.describePcr(65_535), parseNsm.describePcr),
      ];
      for (const answer of answers) expect(errorOf(answer)).toBeTypeOf('string');
    });

    it('once locked can neither be extended nor locked again, and are listed', async () => {
      assertAccepted(await send(encodeNsm.lockPcr(16), parseNsm.lockPcr));
      const extended = await send(encodeNsm.extendPcr(16, bytes(3)), parseNsm.extendPcr);
      expect(errorOf(extended)).toBeTypeOf('string');
      expect(errorOf(await send(encodeNsm.lockPcr(16), parseNsm.lockPcr))).toBeTypeOf('string');
      const { pcrs } = await verified(NONE);
      expect([...pcrs.keys()]).toEqual(Array.from({ length: 17 }, (_, index) => index));
      expect(pcrs.get(16)).not.toEqual(ZERO);
    });

    it('lock as a range of 32, twice, but not of 33', async () => {
      expect(errorOf(await send(encodeNsm.lockPcrs(33), parseNsm.lockPcrs))).toBeTypeOf('string');
      assertAccepted(await send(encodeNsm.lockPcrs(32), parseNsm.lockPcrs));
      assertAccepted(await send(encodeNsm.lockPcrs(32), parseNsm.lockPcrs));
      for (let index = 0; index < 32; index++) {
        const extended = await send(encodeNsm.extendPcr(index, bytes(3)), parseNsm.extendPcr);
        expect(errorOf(extended)).toBeTypeOf('string');
      }
      expect((await verified(NONE)).pcrs.size).toBe(32);
    });
  });

  describe(`${name}, documents`, () => {
    it.each<[string, AttestationRequest]>([
      ['nothing', NONE],
      ['empty user data', { ...NONE, userData: bytes(0) }],
      ['user data of 1,024 bytes', { ...NONE, userData: bytes(1024) }],
      ['user data and nonce', { ...NONE, userData: bytes(1024), nonce: bytes(1024) }],
      ['all fields full', { userData: bytes(1024), nonce: bytes(1024), publicKey: bytes(1024) }],
    ])('with %s verify and hold what was asked', async (_, request) => {
      const { userData, nonce, publicKey } = await verified(request);
      expect({ userData, nonce, publicKey }).toEqual(request);
    });

    it('are untagged COSE with the payload in the order of the hardware, null for nothing', async () => {
      const document = await attest(NONE);
      expect(toHex(document.subarray(0, 8))).toBe('8444a1013822a059');
      const { payload } = assertAccepted(parseCoseSign1(document));
      const decoded = parseCbor(payload, { maxBytes: 16_384, deterministic: false });
      const map = assertAccepted(decoded) as ReadonlyMap<string, CborValue>;
      expect([...map.keys()].join()).toBe(
        'module_id,digest,timestamp,pcrs,certificate,cabundle,public_key,user_data,nonce',
      );
      expect([map.get('public_key'), map.get('user_data'), map.get('nonce')]).toEqual([
        null,
        null,
        null,
      ]);
    });

    it('are signed now, by certificates that are valid now', async () => {
      const document = await attest(NONE);
      const proven = assertAccepted(verifyAttestation(nodeCrypto, document, { rootDer }));
      expect(proven.certificates).toHaveLength(5);
      assertAccepted(checkTime(proven, proven.document.timestampMs));
      assertAccepted(checkAge(proven, Date.now(), 60_000));
    });

    it('share one leaf certificate', async () => {
      const [first, second] = [await verified(NONE), await verified(NONE)];
      expect(second.certificate).toEqual(first.certificate);
    });
  });

  describe(`${name}, the rest`, () => {
    it('gives other random bytes each time', async () => {
      const seen = new Set<string>();
      for (let round = 0; round < 16; round++) {
        seen.add(toHex(assertAccepted(await send(encodeNsm.random(), parseNsm.random))));
      }
      expect(seen.size).toBe(16);
    });

    it.each<[string, Uint8Array]>([
      ['nothing', new Uint8Array()],
      ['half a text', encodeNsm.describe().subarray(0, 5)],
      ['an unknown name', encodeCbor('SelfDestruct')],
      ['a call without its fields', encodeCbor('Attestation')],
      ['an unknown call', encodeCbor(new Map([['X', new Map()]]))],
      ['an index as text', encodeCbor(new Map([['DescribePCR', new Map([['index', '0']])]]))],
      ['an index above u16', encodeNsm.describePcr(65_536)],
      [
        'data as text',
        parseHex('a169457874656e64504352a265696e64657818116464617461616100') ?? bytes(1),
      ],
    ])('answers %s with an error', async (_, request) => {
      expect(errorOf(await send(request, parseNsm.random))).toBeTypeOf('string');
    });

    it('says InputTooLarge to requests above 0x1000 bytes', async () => {
      const request = encodeNsm.extendPcr(17, bytes(MAX_NSM_REQUEST_BYTES));
      expect(errorOf(await send(request, parseNsm.extendPcr))).toBe('InputTooLarge');
    });
  });
}
