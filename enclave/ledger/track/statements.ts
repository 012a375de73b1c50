// Statements of one account in the order of its chain: each gets the counter behind the last, its hash, and what it says.
// Nothing here is signed yet; a statement that is made twice from the same figures is the same bytes.

import { nodeCrypto } from '../../../wire/node/crypto.ts';
import {
  COST_JUMP,
  hourReturn,
  isObserved,
  VALUE_JUMP,
} from '../../../wire/performance/hour-return.ts';
import type { Result } from '../../../wire/result.ts';
import { accept } from '../../../wire/result.ts';
import type { ChainCheck, ChainHead } from '../../../wire/track/chain.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import {
  figuresToCbor,
  marketToCbor,
  MAX_FIGURES_FLOWS,
} from '../../../wire/track/figures-codec.ts';
import type { StatementHead, Supersedes, TrackAccount } from '../../../wire/track/head.ts';
import type { HourBasis, HourStatement, MissingPrices } from '../../../wire/track/hour.ts';
import type { LostRange } from '../../../wire/track/revocation.ts';
import type { SnapshotStatement } from '../../../wire/track/snapshot.ts';
import type { ChainStatement } from '../../../wire/track/statement.ts';
import { encodeTrackStatement } from '../../../wire/track/statement.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { LedgerServices } from '../services.ts';
import type { ChainRow, StoredState } from '../store/contract.ts';
import type { DayFigures } from './day-figures.ts';

/** What realised figures are stated by first; the other method is beside it. */
export const LOT_METHOD = 'fifo';

export interface Made {
  readonly parsed: ChainStatement;
  readonly bytes: Uint8Array;
}

/** More flows than a statement has become one, of no amount: at which time would it be? The hour has no return then. */
export function boundedFigures(figures: HourFigures): HourFigures {
  const { flows } = figures;
  if (flows.length <= MAX_FIGURES_FLOWS) return figures;
  const rest = flows.slice(MAX_FIGURES_FLOWS - 1);
  const atMs = rest[0]?.atMs ?? figures.startMs;
  const merged = { atMs, amount: null, equityBefore: null, reference: null };
  return { ...figures, flows: [...flows.slice(0, MAX_FIGURES_FLOWS - 1), merged] };
}

/** Whether two hours say the same, whatever polls they rest on; an hour that was not known says something else when it is. */
export function markOfHour(figures: HourFigures): string {
  const { polls: _polls, gaps: _gaps, complete: _complete, ...rest } = figures;
  const gaps = jumpIn(figures.gaps);
  const value = figuresToCbor({ ...rest, polls: 0, gaps, complete: isObserved(figures) });
  return toHex(nodeCrypto.sha256(encodeCbor(value)).subarray(0, 8));
}

/** What is the ledger's own doing comes and goes without a change of any value. */
function jumpIn(gaps: readonly string[]): readonly string[] {
  return gaps.filter((gap) => gap === VALUE_JUMP || gap === COST_JUMP);
}

export function markOfDay(day: Omit<DayFigures, 'hours' | 'completeHours'>): string {
  const values = [day.equity, day.balance, day.unrealised, day.deposits, day.withdrawals];
  const markets = day.byMarket.map(marketToCbor);
  const value = [values.map(String), markets, jumpIn(day.gaps)];
  return toHex(nodeCrypto.sha256(encodeCbor(value)).subarray(0, 8));
}

/** What a round made, until it is signed and stored. */
export interface Pending {
  readonly made: readonly Made[];
  readonly statedRecords: number;
  readonly state: StoredState | null;
}

/** Rows for the store, in one leaf. Refuses what `sign` does. */
export async function signMade(
  { sign, origin }: Pick<LedgerServices, 'sign' | 'origin'>,
  made: readonly Made[],
): Promise<Result<readonly ChainRow[]>> {
  if (made.length === 0) return accept([]);
  const signed = await sign(made.map(({ bytes }) => bytes));
  if (!signed.ok) return signed;
  const { leafIndex, leafSalt, signatures } = signed.value;
  return accept(
    made.map(({ bytes, parsed }, position) => {
      const signature = signatures[position] ?? new Uint8Array(0);
      return { statement: bytes, signature, origin, leafIndex, leafSalt, position, parsed };
    }),
  );
}

/** We made them: what we refuse ourselves is a bug. */
export function addRows(chain: ChainCheck, rows: readonly ChainRow[]): void {
  for (const { statement, parsed } of rows) {
    const added = chain.add(statement, parsed);
    if (!added.ok) throw new Error(`own chain refused: ${added.refusal.code}`);
  }
}

export class StatementMaker {
  readonly #account: TrackAccount;
  readonly #origin: string;
  readonly made: Made[] = [];
  #counter: number;
  #hash: Uint8Array | null;

  constructor(account: TrackAccount, origin: string, head: ChainHead) {
    this.#account = account;
    this.#origin = origin;
    this.#counter = head.counter;
    this.#hash = head.hash;
  }

  /** Of the last statement; 0 where there is none. */
  get counter(): number {
    return this.#counter;
  }

  hour(
    figures: HourFigures,
    basis: Omit<HourBasis, 'missingPrices'>,
    missingPrices: readonly MissingPrices[],
    supersedes: Supersedes | null,
  ): HourStatement {
    const { ratio, method, reason } = hourReturn(figures);
    const isKnown = ratio !== null && method !== null;
    const statement: HourStatement = {
      kind: 'hour',
      ...this.#head(),
      supersedes,
      figures,
      return: isKnown
        ? { ratio, method, reason }
        : { ratio: null, method: null, reason: reason ?? 'incomplete' },
      basis: { ...basis, missingPrices },
      lotMethod: LOT_METHOD,
    };
    this.#add(statement);
    return statement;
  }

  snapshot(
    atMs: number,
    day: DayFigures,
    lastCounter: number,
    supersedes: Supersedes | null,
  ): SnapshotStatement {
    const { hours, completeHours, ...figures } = day;
    const statement: SnapshotStatement = {
      ...figures,
      kind: 'snapshot',
      ...this.#head(),
      supersedes,
      atMs,
      basis: { lastCounter, hours, completeHours },
    };
    this.#add(statement);
    return statement;
  }

  revocation(lost: LostRange | null, reason: string, atMs: number): void {
    this.#add({ kind: 'revocation', ...this.#head(), lost, reason, atMs });
  }

  #head(): StatementHead {
    const { accountCommitment, venue, environment } = this.#account;
    const origin = this.#origin;
    const counter = this.#counter + 1;
    return { origin, accountCommitment, venue, environment, counter, previous: this.#hash };
  }

  #add(parsed: ChainStatement): void {
    const bytes = encodeTrackStatement(parsed);
    this.#counter = parsed.counter;
    this.#hash = nodeCrypto.sha256(bytes);
    this.made.push({ parsed, bytes });
  }
}
