// Everything that is to be known of one epoch: its leaves, tiles and notes, its place in the log, the
// epochs before it, and what this verifier remembers. `verify log` and `replay` judge by this one way.

import { HeadMemory } from '../heads.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { parseOrigin } from '../../wire/header.ts';
import type { LogTrust } from '../../wire/log-verification/boot.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { EarlierEpoch, MemoryOptions, Remembrance, SeenEpoch } from './check-memory.ts';
import { checkMemory, isUnlinked, rememberEpoch } from './check-memory.ts';
import { EpochFiles } from './epoch-files.ts';
import type { StoreFacts } from './source.ts';
import { verifyLink } from './epoch-link.ts';
import type { SelectedEpoch } from './epoch-list.ts';
import type { VerifiedEpoch } from './verify-epoch.ts';
import { verifyEpoch } from './verify-epoch.ts';

export interface JudgeRequest {
  readonly crypto: WireCrypto;
  readonly trust: TrustOptions;
  readonly keys: PrivateKeys | null;
  /** Null: no head is compared or remembered. */
  readonly headsPath: string | null;
  readonly selected: SelectedEpoch;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface JudgedEpoch {
  readonly epoch: VerifiedEpoch;
  /** The epochs before it, the latest first, as far as they were followed. */
  readonly chain: readonly EarlierEpoch[];
  /** Null when no memory was asked. */
  readonly remembrance: Remembrance | null;
  /** A later epoch of the log is there. */
  readonly succeeded: boolean;
  /** Versions and locks of what was read, where the source has such. */
  readonly storage: StoreFacts | null;
}

/** `file_unreadable` and `source_unreachable` mean "I could not look"; all others "it is wrong". */
export async function judgeEpoch(request: JudgeRequest): Promise<Result<JudgedEpoch>> {
  const { crypto, trust, selected, keys, onProgress } = request;
  const memory = await HeadMemory.load(request.headsPath);
  if (!memory.ok) return memory;
  const verified = await verifyEpoch(crypto, {
    files: selected.files,
    // Without a policy for the image the rest is checked all the same: it may refuse already.
    trust: { rootDer: trust.root.der, policy: trust.policy ?? { pcrs: null } },
    keys,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  if (!verified.ok) return verified;
  if (verified.value === null) {
    return refuse('file_unreadable', { what: 'no checkpoint', path: selected.name });
  }
  const epoch = verified.value;
  const placed = checkPlace(epoch, selected);
  if (!placed.ok) return placed;
  const chain = await followChain(request, epoch, memory.value);
  if (!chain.ok) return chain;
  const remembrance = await consult(request, epoch, chain.value);
  if (!remembrance.ok) return remembrance;
  return accept({
    epoch,
    chain: chain.value,
    remembrance: remembrance.value,
    succeeded: selected.succeeded,
    storage: selected.source.facts?.() ?? null,
  });
}

/** An epoch under another number would be a way to show one epoch twice. */
function checkPlace({ facts }: VerifiedEpoch, { epoch, asked }: SelectedEpoch): Result<null> {
  const { origin } = facts.boot.header;
  const expected = epoch ?? asked;
  return expected === null || expected === facts.boot.header.epoch
    ? accept(null)
    : refuse('checkpoint_origin', { what: 'folder', expected, origin });
}

/** The epoch before; and the ones before that, as long as only they can lead to a remembered one. */
async function followChain(
  { crypto, trust, selected }: JudgeRequest,
  { facts }: VerifiedEpoch,
  memory: HeadMemory,
): Promise<Result<readonly EarlierEpoch[]>> {
  const { origin } = facts.boot.header;
  const logId = parseOrigin(origin)?.logId ?? '';
  const chain: EarlierEpoch[] = [];
  let { previous } = facts.boot.header;
  let { unreleased } = facts;
  while (previous !== null) {
    const link =
      selected.epoch === null
        ? accept(null)
        : await verifyLink(crypto, {
            files: new EpochFiles(selected.source, previous.epoch),
            logId,
            previous,
            trust: earlierTrust(trust),
            unreleased,
          });
    if (!link.ok) return link;
    chain.push({ previous, linked: link.value });
    if (link.value === null || !isUnlinked(memory, origin, previous.epoch)) break;
    ({ previous } = link.value.boot.header);
    unreleased = [];
  }
  return accept(chain);
}

/** An epoch before may have run in an older image with another configuration: the verdict says so. */
function earlierTrust({ root, policy }: TrustOptions): LogTrust {
  const unsafeAllowDebug = policy?.unsafeAllowDebug ?? false;
  return { rootDer: root.der, policy: { pcrs: null, unsafeAllowDebug } };
}

/** Null without a memory. Remembers only final verdicts. */
async function consult(
  { crypto, headsPath, trust, selected }: JudgeRequest,
  { facts, commits, verifier }: VerifiedEpoch,
  chain: readonly EarlierEpoch[],
): Promise<Result<Remembrance | null>> {
  if (headsPath === null) return accept(null);
  const { checkpoint, boot } = facts;
  const { header } = boot;
  const seen: SeenEpoch = {
    header,
    checkpoint,
    tree: verifier.tree,
    beyond: commits.beyond,
    chain,
  };
  const options: MemoryOptions = {
    pinned: trust.policy?.origin === header.origin,
    newest: selected.asked === null,
  };
  const load = await HeadMemory.load(headsPath);
  if (!load.ok) return load;
  const checked = checkMemory(crypto, load.value, seen, options);
  // Only what verified under a policy is remembered, so that nobody can plant a head.
  if (!checked.ok || trust.policy === null) return checked;
  // Again under the lock: another verifier may have seen another head meanwhile.
  return HeadMemory.update(headsPath, (memory) => {
    const last = checkMemory(crypto, memory, seen, options);
    if (last.ok) rememberEpoch(crypto, memory, seen, Date.now());
    return last;
  });
}
