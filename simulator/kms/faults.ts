// Wrong answers, each named after what an attacker between enclave and KMS, or an operator of a false KMS,
// would want with it. A client that takes one of them for right has a hole.

import { toBase64 } from '../../wire/bytes.ts';
import type { EnvelopeVariant } from './envelope.ts';
import { sealForRecipient } from './envelope.ts';
import { internal, KmsError, throttled } from './errors.ts';
import type { Answer, Trace } from './operations.ts';

/** What goes over the wire. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Waits before the answer. */
  readonly delayMs?: number;
  /** The connection is cut after so many bytes of the body. */
  readonly cutAfterBytes?: number;
}

export interface FaultScene {
  readonly operation: string;
  readonly trace: Readonly<Trace>;
  readonly variant: EnvelopeVariant;
  /** The envelope that was answered before this one; null at the first answer. */
  readonly previousEnvelope: string | null;
}

export interface Fault {
  /** In place of an answer. */
  readonly error?: () => KmsError;
  /** Of what would have been answered. */
  readonly answer?: (answer: Answer, scene: FaultScene) => Answer;
  readonly reply?: (reply: Reply) => Reply;
}

function plaintextOf({ trace }: FaultScene): string {
  return toBase64(trace.plaintext ?? new Uint8Array(32));
}

function without(answer: Answer, ...fields: readonly string[]): Answer {
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !fields.includes(name)));
}

/** A well-formed envelope for the attested key, which is public: anybody can make one. */
function forge(content: Uint8Array): Fault {
  return {
    answer: (answer, { trace, variant }) => {
      if (trace.recipient === null) return answer;
      const envelope = sealForRecipient(content, trace.recipient.spki, variant);
      return { ...answer, CiphertextForRecipient: toBase64(envelope) };
    },
  };
}

function changeEnvelope(change: (envelope: Buffer) => Uint8Array): Fault {
  return {
    answer: (answer) => {
      const text = answer['CiphertextForRecipient'];
      if (typeof text !== 'string') return answer;
      return { ...answer, CiphertextForRecipient: toBase64(change(Buffer.from(text, 'base64'))) };
    },
  };
}

function flip(bytes: Buffer, at: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

export const FAULT_NAMES = [
  'plaintext_beside',
  'plaintext_instead',
  'no_ciphertext_for_recipient',
  'empty_ciphertext_for_recipient',
  'other_key_id',
  'bare_key_id',
  'no_key_id',
  'other_algorithm',
  'no_algorithm',
  'swapped_envelope',
  'forged_envelope',
  'forged_short_key',
  'forged_long_key',
  'envelope_for_another_key',
  'envelope_with_a_flipped_bit',
  'envelope_with_trailing_bytes',
  'envelope_cut',
  'not_json',
  'empty_body',
  'truncated_body',
  'cut',
  'huge_body',
  'huge_header',
  'redirect',
  'never',
  'throttled',
  'internal',
  'expired_token',
] as const;
export type FaultName = (typeof FAULT_NAMES)[number];

const HUGE_BYTES = 64 * 1024 * 1024;
const CUT_AT = 40;
/** Where the identifier of the recipient's key starts in an envelope. */
const SKI_OFFSET = 33;

export const FAULTS: Readonly<Record<FaultName, Fault>> = {
  plaintext_beside: {
    answer: (answer, scene) => ({ ...answer, Plaintext: plaintextOf(scene) }),
  },
  plaintext_instead: {
    answer: (answer, scene) => ({
      ...without(answer, 'CiphertextForRecipient'),
      Plaintext: plaintextOf(scene),
    }),
  },
  no_ciphertext_for_recipient: {
    answer: (answer) => without(answer, 'CiphertextForRecipient'),
  },
  empty_ciphertext_for_recipient: {
    answer: (answer) => ({ ...answer, CiphertextForRecipient: '' }),
  },
  other_key_id: {
    answer: (answer) => ({
      ...answer,
      KeyId: String(answer['KeyId']).replace(/[0-9a-f]{12}$/u, '000000000000'),
    }),
  },
  bare_key_id: {
    answer: (answer) => ({ ...answer, KeyId: String(answer['KeyId']).replace(/^.*key\//u, '') }),
  },
  no_key_id: { answer: (answer) => without(answer, 'KeyId') },
  other_algorithm: {
    answer: (answer) => ({ ...answer, EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }),
  },
  no_algorithm: { answer: (answer) => without(answer, 'EncryptionAlgorithm') },
  swapped_envelope: {
    answer: (answer, { previousEnvelope }) =>
      previousEnvelope === null ? answer : { ...answer, CiphertextForRecipient: previousEnvelope },
  },
  forged_envelope: forge(new Uint8Array(32).fill(0x41)),
  forged_short_key: forge(new Uint8Array(16).fill(0x41)),
  forged_long_key: forge(new Uint8Array(64).fill(0x41)),
  envelope_for_another_key: changeEnvelope((envelope) => flip(envelope, SKI_OFFSET)),
  envelope_with_a_flipped_bit: changeEnvelope((envelope) => flip(envelope, envelope.length - 24)),
  envelope_with_trailing_bytes: changeEnvelope((envelope) =>
    Buffer.concat([envelope, Buffer.of(0)]),
  ),
  envelope_cut: changeEnvelope((envelope) => envelope.subarray(0, -8)),
  not_json: { reply: (reply) => ({ ...reply, body: Buffer.from('<html>it works</html>') }) },
  empty_body: { reply: (reply) => ({ ...reply, body: new Uint8Array() }) },
  truncated_body: { reply: (reply) => ({ ...reply, cutAfterBytes: CUT_AT }) },
  cut: { reply: (reply) => ({ ...reply, cutAfterBytes: 0 }) },
  huge_body: {
    reply: (reply) => ({
      ...reply,
      body: Buffer.concat([
        reply.body.subarray(0, -1),
        Buffer.alloc(HUGE_BYTES, ' '),
        Buffer.from('}'),
      ]),
    }),
  },
  huge_header: {
    reply: (reply) => ({
      ...reply,
      headers: { ...reply.headers, 'x-padding': 'a'.repeat(128 * 1024) },
    }),
  },
  redirect: {
    reply: (reply) => ({
      ...reply,
      status: 307,
      headers: { ...reply.headers, location: 'https://kms.attacker.example/' },
    }),
  },
  never: { reply: (reply) => ({ ...reply, delayMs: 3_600_000 }) },
  throttled: { error: throttled },
  internal: { error: internal },
  expired_token: {
    error: () =>
      new KmsError(
        'ExpiredTokenException',
        'The security token included in the request is expired',
      ),
  },
};
