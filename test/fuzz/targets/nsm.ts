// Responses of the NSM, through enclave/nsm/nsm.ts as the enclave asks. The first byte picks the request.

import { Nsm } from '../../../enclave/nsm/nsm.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeOrderedMap, MAX_NSM_RESPONSE_BYTES, NSM_ERRORS } from '../../../wire/nsm.ts';
import type { Result } from '../../../wire/result.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Target } from '../target.ts';
import { expectThat, judge } from '../target.ts';

const PCR = new Uint8Array(48).fill(3);

const REQUESTS: readonly ((nsm: Nsm) => Promise<Result<unknown>>)[] = [
  (nsm) => nsm.describe(),
  (nsm) => nsm.describePcr(16),
  (nsm) => nsm.extendPcr(16, PCR),
  (nsm) => nsm.lockPcrs(32),
  (nsm) => nsm.attest({ userData: PCR, nonce: null, publicKey: null }),
  (nsm) => nsm.random(),
];

async function run(input: Uint8Array): Promise<string> {
  const ask = REQUESTS[(input[0] ?? 0) % REQUESTS.length];
  const response = input.subarray(1);
  const nsm = new Nsm({ request: () => Promise.resolve(response) });
  const answer = await ask?.(nsm);
  if (answer === undefined) return '';
  const outcome = judge(answer);
  if (!answer.ok) {
    const { code } = answer.refusal;
    expectThat(code === 'nsm_error' || code === 'nsm_malformed', 'another code');
  }
  return outcome;
}

function response(name: string, ...fields: readonly (readonly [string, CborValue])[]): Uint8Array {
  return new Uint8Array([0xa1, ...encodeCbor(name), ...encodeOrderedMap(...fields)]);
}

export function nsmTarget(): Target {
  const described = response(
    'DescribeNSM',
    ['version_major', 1],
    ['version_minor', 0],
    ['version_patch', 0],
    ['module_id', 'i-0123456789abcdef0-enc0123456789abcdef'],
    ['max_pcrs', 32],
    ['locked_pcrs', [0, 1, 2]],
    ['digest', 'SHA384'],
  );
  const samples = [
    described,
    response('DescribePCR', ['lock', true], ['data', PCR]),
    response('ExtendPCR', ['data', PCR]),
    encodeCbor('LockPCRs'),
    response('Attestation', ['document', new Uint8Array(500)]),
    response('GetRandom', ['random', new Uint8Array(256)]),
  ];
  const errors = REQUESTS.map((_, at) => [at, ...encodeCbor(new Map([['Error', 'InvalidIndex']]))]);
  const words = [...NSM_ERRORS, 'Error', 'LockPCRs', 'LockPCR', 'locked_pcrs', 'SHA384', 'a b'];
  return {
    name: 'nsm',
    files: ['wire/nsm.ts', 'enclave/nsm/nsm.ts'],
    maxBytes: MAX_NSM_RESPONSE_BYTES + 2,
    seeds: [
      ...samples.map((sample, at) => new Uint8Array([at, ...sample])),
      ...errors.map((error) => Uint8Array.from(error)),
    ],
    mutate: withSelector(
      REQUESTS.length,
      mix([4, mutateCbor({ words, maxBytes: MAX_NSM_RESPONSE_BYTES })], [1, mutateBytes]),
    ),
    run,
  };
}
