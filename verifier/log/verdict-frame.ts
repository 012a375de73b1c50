// What every verdict has, whatever it is about: what was decided, of which source, under which root, and what
// was not looked at. As JSON and for people. Whatever a log says is escaped here, so that a hostile one cannot
// write control sequences to a terminal.

import { REFUSAL_CODES } from '../../wire/codes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Refusal, RefusalDetail } from '../../wire/result.ts';
import { renderDetail } from '../attestation-text.ts';
import { hintOf } from '../hints.ts';
import type { TrustOptions } from '../policy-options.ts';

export interface Judgement {
  readonly verdict: 'verified' | 'refused' | 'undecided';
  readonly code: RefusalCode | null;
  readonly detail: RefusalDetail;
  readonly source: string;
  readonly root_certificate: { readonly sha256: string; readonly aws: boolean };
  readonly skipped: readonly string[];
  readonly unsafe: readonly string[];
}

/** Of the enclave and its configuration, as the header and its attestation have it. */
export interface EnclaveFacts {
  readonly commit_policy: string;
  readonly feed_mode: string;
  readonly config_digest: string;
  readonly attestation: {
    readonly module_id: string;
    readonly timestamp_ms: number;
    readonly image_checked: boolean;
  };
}

export function refusedJudgement(
  source: string,
  trust: TrustOptions,
  { code, detail }: Refusal,
): Judgement {
  const { root, unsafe, unchecked: skipped } = trust;
  const root_certificate = { sha256: root.sha256, aws: root.aws };
  return { verdict: 'refused', code, detail, source, root_certificate, skipped, unsafe };
}

/**
 * `undecided` with `policy_missing` when no image policy was given: then all else was checked. `skipped`: what
 * was not, beside the policy's own.
 */
export function verifiedJudgement(
  source: string,
  trust: TrustOptions,
  skipped: readonly string[],
): Judgement {
  const { policy, root, unsafe } = trust;
  return {
    verdict: policy === null ? 'undecided' : 'verified',
    code: policy === null ? 'policy_missing' : null,
    detail: {},
    source,
    root_certificate: { sha256: root.sha256, aws: root.aws },
    skipped: [
      ...(isImageChecked(trust) ? [] : ['pcrs']),
      ...(policy?.configDigest === undefined ? ['config_digest'] : []),
      ...(policy?.origin === undefined ? ['origin'] : []),
      ...skipped,
      ...trust.unchecked,
    ],
    unsafe,
  };
}

export function isImageChecked({ policy }: TrustOptions): boolean {
  return policy !== null && policy.pcrs !== null;
}

/** 0 verified, 1 refused, 2 could not decide. */
export function exitCodeOf({ verdict }: Pick<Judgement, 'verdict'>): number {
  return { verified: 0, refused: 1, undecided: 2 }[verdict];
}

/** Printable ASCII only. */
export function printable(text: string): string {
  return text.replaceAll(/[^\u0020-\u007e]/gu, '?');
}

export function row(name: string, text: string): string {
  return `  ${name.padEnd(14)}${printable(text)}`;
}

/** `facts`: lines in the middle. */
export function renderJudgement(judgement: Judgement, facts: readonly string[]): string {
  const { verdict, code, detail, source, skipped, unsafe } = judgement;
  const lines = [`${verdict.toUpperCase()}  ${source}`];
  if (code !== null) {
    lines.push(`  ${code}: ${REFUSAL_CODES[code]}`, ...renderDetail(detail));
    lines.push(row('next', hintOf(code)));
  }
  lines.push(...facts);
  if (skipped.length > 0) lines.push(row('not checked', skipped.join(', ')));
  if (unsafe.length > 0) {
    lines.push(row('UNSAFE', `${unsafe.join(' ')}: do not rely on this verdict`));
  }
  return `${lines.join('\n')}\n`;
}

export function renderEnclave(facts: EnclaveFacts): readonly string[] {
  const { module_id: module, timestamp_ms: atMs, image_checked: checked } = facts.attestation;
  return [
    row('enclave', `${module}, attested ${new Date(atMs).toISOString()}`),
    row('image', checked ? 'PCR0, PCR1, PCR2 as in the policy' : 'NOT CHECKED'),
    row('configuration', facts.config_digest),
    row('policy', `commits: ${facts.commit_policy}, feed: ${facts.feed_mode}`),
  ];
}
