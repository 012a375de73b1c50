// What an attestation document alone cannot show. It has an image, a key, a nonce and one log head; the
// commit policy, the feed mode and the labels of the streams are in leaf 0, which only the log has.

import type { DecodedUserData } from './attestation-report.ts';
import type { TrustOptions } from './policy-options.ts';
import type { ResidualRisk } from './residual-risks.ts';
import { risksOfOptions } from './residual-risks.ts';

export interface DocumentChecks {
  readonly trust: TrustOptions;
  /** Null when it is not ours: then there is no log to speak of. */
  readonly userData: DecodedUserData | null;
  readonly nonceChecked: boolean;
  readonly purposeChecked: boolean;
  /** The document is about the enclave at the end of a connection. */
  readonly connectionChecked: boolean;
  readonly headsCompared: boolean;
}

export function risksOfDocument(checks: DocumentChecks): readonly ResidualRisk[] {
  const { trust, userData } = checks;
  const risks: ResidualRisk[] = [...risksOfOptions(trust)];
  if (!checks.nonceChecked) {
    risks.push({
      risk: 'old_document',
      sentence: 'show an old document: no nonce was compared, so nothing says that it runs now',
    });
  }
  if (!checks.purposeChecked) {
    risks.push({
      risk: 'any_purpose',
      sentence:
        'show a document made for something else, an anchor or a boot: no purpose was compared',
    });
  }
  if (!checks.connectionChecked) {
    risks.push({
      risk: 'unbound_connection',
      sentence:
        "pass on another enclave's document: no TLS key of a connection was compared with it",
    });
  }
  if (userData !== null) risks.push(...risksOfLogBehind(checks, userData));
  return risks;
}

function risksOfLogBehind(
  { trust, headsCompared }: DocumentChecks,
  { head }: DecodedUserData,
): readonly ResidualRisk[] {
  const pinned = trust.policy?.configDigest !== undefined;
  const risks: ResidualRisk[] = [
    {
      risk: 'unseen_policy',
      sentence: pinned
        ? 'use what your pinned configuration allows: its commit policy, feed mode and "host" labels are not in this document'
        : 'run under any commit policy, replay old data and label streams "host": the document has only the digest of the configuration, leaf 0 shows it',
    },
    {
      risk: 'unread_log',
      sentence: `have logged anything up to this head (size ${head?.size ?? 0}), also another history than the one you know: \`trackseal verify log\` reads it`,
    },
  ];
  if (!headsCompared) {
    const sentence = 'show a head that is older than one you have seen: no heads were compared';
    risks.push({ risk: 'no_memory', sentence });
  }
  return [
    ...risks,
    {
      risk: 'second_enclave',
      sentence:
        'run a second enclave of the same image and log, and show different heads to different readers: compare yours with others',
    },
    {
      risk: 'hidden_epoch',
      sentence: 'hide epochs before, after or beside this one that nobody outside has seen',
    },
    {
      risk: 'chosen_log',
      sentence:
        'run other logs under other names and show the best one: agree on the name before the period begins',
    },
    {
      risk: 'stopped_at_will',
      sentence: 'stop or starve it right after this answer, and start it again when it suits',
    },
  ];
}
