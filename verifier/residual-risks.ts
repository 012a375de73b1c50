// What stays possible when everything verified: the part of a verdict that keeps it honest. Each risk has a
// name of this closed list; docs/THREAT-MODEL.md says what an LP can do about it, and a test compares the
// two, verdict by verdict.

import { UNSAFE_UNSIGNED } from '../wire/attestation/verify.ts';
import type { TrustOptions } from './policy-options.ts';

export type Risk =
  // what was not compared
  | 'any_image'
  | 'chosen_configuration'
  | 'no_memory'
  | 'unlinked_epochs'
  | 'earlier_epoch'
  | 'unchecked_notes'
  | 'unverified_log'
  | 'unread_log'
  | 'old_document'
  | 'any_purpose'
  | 'unbound_connection'
  // which log is shown
  | 'chosen_leaf'
  | 'chosen_account'
  | 'chosen_result'
  | 'unlogged_result'
  | 'lost_statements'
  | 'later_reports'
  | 'other_epochs'
  | 'tail_cut'
  | 'withheld_tail'
  | 'second_enclave'
  | 'hidden_epoch'
  | 'chosen_log'
  | 'stopped_at_will'
  // what goes in and out
  | 'unseen_policy'
  | 'invented_prices'
  | 'withheld_feed'
  | 'chosen_data'
  | 'delay'
  | 'chosen_parameters'
  | 'forged_reports'
  | 'unreleased_word'
  | 'front_running'
  // what every verdict rests on
  | 'aws_nitro'
  | 'aws_kms'
  | 'venue_word'
  | 'measured_build'
  | 'side_channels'
  | 'own_machine';

export interface ResidualRisk {
  readonly risk: Risk;
  /** Continues "the operator could still", or "it rests on". */
  readonly sentence: string;
}

/** What the JSON of every verdict says of them. */
export interface RiskFields {
  readonly operator_could_still: readonly string[];
  readonly rests_on: readonly string[];
  /** Names of both lists, in that order. */
  readonly residual_risks: readonly Risk[];
}

export const NO_RISKS: { readonly [name in keyof RiskFields]: null } = {
  operator_could_still: null,
  rests_on: null,
  residual_risks: null,
};

/** What the options of a command leave open. */
export function risksOfOptions({ policy }: TrustOptions): readonly ResidualRisk[] {
  const risks: ResidualRisk[] = [];
  if (policy === null || policy.pcrs === null) {
    risks.push({
      risk: 'any_image',
      sentence: 'run any code in the enclave: no image policy was compared',
    });
  }
  if (policy?.configDigest === undefined) {
    risks.push({
      risk: 'chosen_configuration',
      sentence:
        'choose the configuration: instruments, scales, sequence rules, intervals, compliance\'s key; the policy pins no "config_digest"',
    });
  }
  return risks;
}

/** What an answer takes for granted; without trust options it was not about an enclave. */
function foundations(trust: TrustOptions | null): readonly ResidualRisk[] {
  const own: ResidualRisk = {
    risk: 'own_machine',
    sentence: 'your own machine: this verifier, the policy file, the memory of heads',
  };
  if (trust === null) return [own];
  const { root, policy } = trust;
  const other =
    root.der === UNSAFE_UNSIGNED
      ? 'whoever made the attestation documents: they are not signed, anybody could have'
      : 'whoever has the key of the root certificate that was given: it is not the one of AWS';
  const signer = root.aws ? 'AWS: the Nitro hypervisor, its NSM and its root key' : other;
  const risks: ResidualRisk[] = [{ risk: 'aws_nitro', sentence: signer }];
  if (policy !== null && policy.pcrs !== null) {
    const sentence = 'where the PCRs of the policy come from: rebuild the image and compare';
    risks.push({ risk: 'measured_build', sentence });
  }
  return [
    ...risks,
    {
      risk: 'side_channels',
      sentence: 'keys that do not leak from the enclave by processor, memory or timing',
    },
    own,
  ];
}

/** `more` is what this verdict rests on besides what every verdict does. */
export function riskFields(
  trust: TrustOptions | null,
  risks: readonly ResidualRisk[],
  more: readonly ResidualRisk[] = [],
): RiskFields {
  const rests = [...foundations(trust), ...more];
  return {
    operator_could_still: risks.map(({ sentence }) => sentence),
    rests_on: rests.map(({ sentence }) => sentence),
    residual_risks: [...risks, ...rests].map(({ risk }) => risk),
  };
}

/** For people: each sentence with the name under which docs/THREAT-MODEL.md has it. */
export function renderRisks(fields: RiskFields): readonly string[] {
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = fields;
  const line = (sentence: string, at: number): string => `    - ${sentence} [${risks[at] ?? ''}]`;
  return [
    '  the operator could still',
    ...operator.map(line),
    '  it rests on',
    ...rests.map((sentence, at) => line(sentence, operator.length + at)),
  ];
}
