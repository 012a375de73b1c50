// The verdict on one leaf, as JSON and for people. It says that the leaf is in the log under a signed
// head, and what it says when the file opens it. What one leaf cannot show is part of the verdict.

import { toHex } from '../../wire/bytes.ts';
import { KIND, LABEL } from '../../wire/leaf.ts';
import type { VerifiedEvidence } from '../../wire/log-verification/evidence.ts';
import type { Refusal } from '../../wire/result.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { ResidualRisk, RiskFields } from '../residual-risks.ts';
import { NO_RISKS, renderRisks, riskFields, risksOfOptions } from '../residual-risks.ts';
import { risksOfInputs, risksOfOutputs, risksOfPolicy } from './log-risks.ts';
import { nameOf } from './names.ts';
import type { Payload } from './payload.ts';
import { isoOfNs } from './payload.ts';
import type { KeyFacts } from './key-accounts.ts';
import { keyFacts, keyTrust } from './key-accounts.ts';
import type { EnclaveFacts, Judgement } from './verdict-frame.ts';
import {
  isImageChecked,
  printable,
  refusedJudgement,
  renderEnclave,
  renderJudgement,
  row,
  verifiedJudgement,
} from './verdict-frame.ts';
import { keysText } from './verdict-text.ts';

export interface ProofFacts extends RiskFields, KeyFacts, EnclaveFacts {
  readonly origin: string;
  readonly epoch: number;
  readonly index: number;
  /** The signed head above the leaf. */
  readonly size: number;
  readonly root: string;
  readonly leaf_hash: string;
  readonly kind: string;
  readonly stream: number;
  readonly label: string;
  readonly sequence: number;
  readonly time_ns: string;
  readonly causes: readonly number[];
  readonly digest: string;
  readonly disclosed: boolean;
  /** What the leaf says; null while it is closed. */
  readonly payload: Payload | null;
}

type NoFacts = { readonly [name in keyof ProofFacts]: null };

export type ProofVerdict = Judgement & (ProofFacts | NoFacts);

const NO_FACTS: NoFacts = {
  origin: null,
  epoch: null,
  index: null,
  size: null,
  root: null,
  leaf_hash: null,
  kind: null,
  stream: null,
  label: null,
  sequence: null,
  time_ns: null,
  causes: null,
  digest: null,
  disclosed: null,
  payload: null,
  commit_policy: null,
  feed_mode: null,
  config_digest: null,
  sealed: null,
  data_keys: null,
  key_accounts: null,
  attestation: null,
  ...NO_RISKS,
};

export function refusedProof(source: string, trust: TrustOptions, refusal: Refusal): ProofVerdict {
  return { ...refusedJudgement(source, trust, refusal), ...NO_FACTS };
}

/** `undecided` with `policy_missing` when no image policy was given: then all else was checked. */
export function verifiedProof(
  source: string,
  trust: TrustOptions,
  evidence: VerifiedEvidence,
  payload: Payload | null,
  comparedHeads: boolean,
): ProofVerdict {
  return {
    // A head of another size can only be compared where the tree is.
    ...verifiedJudgement(source, trust, [comparedHeads ? 'consistency' : 'remembered_heads']),
    ...factsOf(evidence, payload, isImageChecked(trust)),
    ...riskFields(trust, risksOfProof(evidence, trust, comparedHeads), keyTrust(evidence.boot)),
  };
}

function factsOf(
  evidence: VerifiedEvidence,
  payload: Payload | null,
  imageChecked: boolean,
): Omit<ProofFacts, keyof RiskFields> {
  const { boot, checkpoint, index, leaf, leafHash } = evidence;
  const { header, attestation } = boot;
  return {
    origin: header.origin,
    epoch: header.epoch,
    index,
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    leaf_hash: toHex(leafHash),
    kind: nameOf(KIND, leaf.kind),
    stream: leaf.stream,
    label: nameOf(LABEL, leaf.label),
    sequence: leaf.sequence,
    time_ns: String(leaf.timeNs),
    causes: leaf.causes,
    digest: toHex(leaf.digest),
    disclosed: payload !== null,
    payload,
    commit_policy: header.commitPolicy,
    feed_mode: header.feedMode,
    config_digest: toHex(header.configurationDigest),
    ...keyFacts(boot),
    attestation: {
      module_id: attestation.document.moduleId,
      timestamp_ms: attestation.document.timestampMs,
      image_checked: imageChecked,
    },
  };
}

function risksOfProof(
  { boot, checkpoint, leaf }: VerifiedEvidence,
  trust: TrustOptions,
  comparedHeads: boolean,
): readonly ResidualRisk[] {
  const { header } = boot;
  const risks: ResidualRisk[] = [
    ...risksOfOptions(trust),
    {
      risk: 'chosen_leaf',
      sentence:
        'choose which leaves to show: one leaf says nothing of the others; `trackseal verify log` reads all',
    },
    {
      risk: 'tail_cut',
      sentence: `have cut off everything above this head (size ${checkpoint.size}), or show it to nobody else: compare it with what others have seen`,
    },
  ];
  if (!comparedHeads) {
    const sentence = 'show a log that contradicts the one you knew: no heads are remembered';
    risks.push({ risk: 'no_memory', sentence });
  }
  risks.push(...risksOfPolicy(header), ...risksOfInputs(header), {
    risk: 'delay',
    sentence: 'delay the enclave: the time of one leaf is without the anchors around it',
  });
  const outputs = risksOfOutputs(header).filter(
    ({ risk }) =>
      (risk === 'forged_reports' && leaf.kind === KIND.report) ||
      (risk === 'front_running' && leaf.kind === KIND.output),
  );
  return [...risks, ...outputs];
}

export function renderProof(verdict: ProofVerdict): string {
  return renderJudgement(verdict, verdict.origin === null ? [] : renderFacts(verdict));
}

function renderFacts(facts: ProofFacts): readonly string[] {
  const lines = [
    row('origin', facts.origin),
    row('leaf', `${facts.index} of ${facts.size}, ${facts.kind}, hash ${facts.leaf_hash}`),
    row('log head', `size ${facts.size}, root ${facts.root}`),
    row('logged', isoOfNs(BigInt(facts.time_ns))),
    row('stream', `${facts.stream}, label ${facts.label}, sequence ${facts.sequence}`),
    row('causes', facts.causes.length === 0 ? 'none' : `leaves ${facts.causes.join(', ')}`),
    ...renderEnclave(facts),
    ...keysText(facts),
  ];
  if (facts.payload === null) {
    lines.push(row('says', 'closed: the file holds no key for this leaf'));
  } else {
    lines.push('  says');
    for (const [name, value] of Object.entries(facts.payload)) {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      lines.push(`    ${name.padEnd(24)}${printable(text)}`);
    }
  }
  lines.push(...renderRisks(facts).map(printable));
  return lines;
}
