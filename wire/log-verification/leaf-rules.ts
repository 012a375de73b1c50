// Where a leaf may stand, by its kind: stream, label, body and causes (docs/PROTOCOL.md 5). These rules
// need only the header and the kinds of earlier leaves; what payloads say is checked elsewhere.

import type { EpochHeader } from '../header.ts';
import type { Kind, Label, Leaf } from '../leaf.ts';
import { KIND, LABEL, STREAM } from '../leaf.ts';
import { MAX_CAUSES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

type StreamClass = 'enclave' | 'input' | 'strategy' | 'reports' | 'exchange' | 'results' | 'audit';

interface KindRule {
  readonly stream: StreamClass;
  readonly isPrivate: boolean;
  /** Kinds of the causes, and how many there may be; the last one has the first of these kinds. */
  readonly causes:
    readonly [kinds: readonly Kind[] | typeof ANY_KIND, minimum: number, maximum: number] | null;
}

/** The core of the enclave writes these for its desk, and keeps no kinds of earlier leaves. */
const ANY_KIND = 'any';

const OF_ANYTHING = [ANY_KIND, 0, MAX_CAUSES] as const;
const ENCLAVE: KindRule = { stream: 'enclave', isPrivate: false, causes: null };

const RULES: Readonly<Record<Kind, KindRule>> = {
  [KIND.header]: ENCLAVE,
  [KIND.attestation]: ENCLAVE,
  [KIND.input]: { stream: 'input', isPrivate: false, causes: null },
  // A hole in the venue's own sequence may name the batch that showed it.
  [KIND.gap]: { stream: 'input', isPrivate: false, causes: [[KIND.input], 0, 1] },
  // The batch that was answered, and the reports since the batch before.
  [KIND.output]: {
    stream: 'strategy',
    isPrivate: true,
    causes: [[KIND.input, KIND.report], 1, MAX_CAUSES],
  },
  // A late report is about an output of an earlier epoch, which no leaf here stands for.
  [KIND.report]: { stream: 'reports', isPrivate: true, causes: [[KIND.output], 0, 1] },
  [KIND.anchor]: ENCLAVE,
  [KIND.handOver]: ENCLAVE,
  [KIND.heartbeat]: ENCLAVE,
  [KIND.close]: ENCLAVE,
  [KIND.seed]: { stream: 'strategy', isPrivate: true, causes: null },
  [KIND.recovery]: ENCLAVE,
  [KIND.strategyEvent]: { stream: 'strategy', isPrivate: false, causes: null },
  [KIND.exchangeCall]: { stream: 'exchange', isPrivate: true, causes: OF_ANYTHING },
  [KIND.result]: { stream: 'results', isPrivate: true, causes: OF_ANYTHING },
  [KIND.audit]: { stream: 'audit', isPrivate: true, causes: OF_ANYTHING },
};

const NO_LEAF = 0xff;

/** Kinds of all leaves so far, one byte each, and the streams that the header declares. */
export class LeafRules {
  readonly #labels = new Map<number, Label>();
  readonly #strategies: ReadonlySet<number>;
  #kinds = new Uint8Array(1024);
  #size = 0;

  constructor(header: EpochHeader) {
    for (const { id, label } of header.streams) this.#labels.set(id, label);
    this.#strategies = new Set(header.strategies.map(({ stream }) => stream));
  }

  /** The kind of an earlier leaf; null for an index that has none. */
  kindOf(index: number): Kind | null {
    const kind = index < this.#size ? (this.#kinds[index] ?? NO_LEAF) : NO_LEAF;
    return kind === NO_LEAF ? null : (kind as Kind);
  }

  /** Checks the leaf at the next index and remembers its kind. */
  add(leaf: Leaf): Result<null> {
    const index = this.#size;
    const { kind, stream, label, body } = leaf;
    const rule = RULES[kind];
    const first = kind === KIND.header ? 0 : kind === KIND.attestation ? 1 : null;
    const isPrivate = body.form === 'private' || body.form === 'private-blob';
    // Header, then attestation, then everything else: no leaf stands before the key is attested.
    const inOrder = first === null ? index > 1 : index === first;
    if (!inOrder || isPrivate !== rule.isPrivate || !this.#fits(rule.stream, stream, label)) {
      return refuse('leaf_misplaced', { index, kind, stream, label });
    }
    const causes = this.#checkCauses(leaf.causes, rule.causes, index);
    if (!causes.ok) return causes;
    if (index === this.#kinds.length) {
      const grown = new Uint8Array(index * 2);
      grown.set(this.#kinds);
      this.#kinds = grown;
    }
    this.#kinds[index] = kind;
    this.#size++;
    return accept(null);
  }

  #fits(rule: StreamClass, stream: number, label: Label): boolean {
    if (rule === 'enclave') return stream === STREAM.enclave && label === LABEL.enclave;
    if (rule === 'strategy') return this.#strategies.has(stream) && label === LABEL.strategy;
    if (rule === 'exchange') return stream === STREAM.exchange && label === LABEL.tls;
    if (rule === 'results') return stream === STREAM.results && label === LABEL.enclave;
    if (rule === 'audit') return stream === STREAM.audit && label === LABEL.enclave;
    if (rule === 'reports') return stream === STREAM.reports && label === LABEL.host;
    return stream > 0 && stream <= STREAM.lastInput && this.#labels.get(stream) === label;
  }

  #checkCauses(
    causes: readonly number[],
    allowed: KindRule['causes'],
    index: number,
  ): Result<null> {
    const [kinds, minimum, maximum] = allowed ?? [[], 0, 0];
    if (causes.length < minimum || causes.length > maximum) {
      return refuse('cause_invalid', { index, causes: causes.length });
    }
    for (const [position, cause] of causes.entries()) {
      const kind = this.kindOf(cause);
      const isLast = position === causes.length - 1;
      if (kinds === ANY_KIND && kind !== null) continue;
      if (
        kind === null ||
        kinds === ANY_KIND ||
        !(isLast ? kind === kinds[0] : kinds.includes(kind))
      )
        return refuse('cause_invalid', { index, cause });
    }
    return accept(null);
  }
}
