// What the desk tells the ledger (protocol.ts), as the desk writes it.

import { parseHex, toHex } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import type { Fields } from '../../wire/fields.ts';
import { mapOf, recordToCbor } from '../connector/records.ts';
import { ACCOUNT_ID_BYTES } from './frames.ts';
import type {
  LedgerAccount,
  LedgerAsk,
  LedgerMissed,
  LedgerOpen,
  LedgerPoll,
  LedgerPrices,
  LedgerRecords,
  LedgerSigned,
  LedgerState,
} from './messages.ts';

function encodeMap(values: readonly CborValue[]): Uint8Array {
  return encodeCbor(mapOf(values));
}

/** Throws for what is no account id: they are ours. */
export function accountIdBytes(id: string): Uint8Array {
  const bytes = parseHex(id);
  if (bytes?.length !== ACCOUNT_ID_BYTES) throw new Error('no account id');
  return bytes;
}

export function readAccountId(fields: Fields, field: number): string {
  return toHex(fields.bytes(field, ACCOUNT_ID_BYTES));
}

export function encodeLedgerOpen(open: LedgerOpen): Uint8Array {
  return encodeMap([
    open.origin,
    open.epoch,
    open.configuration,
    open.nowNs,
    open.storageKeys.map(({ version, key }) => mapOf([version, key])),
    open.leafZeroHash,
    open.ed25519,
    open.databasePassword,
    open.userKey,
  ]);
}

export function encodeLedgerState(state: LedgerState): Uint8Array {
  return encodeMap([state.acknowledgedSize, state.ready, state.stalled]);
}

export function encodeLedgerAccount(account: LedgerAccount): Uint8Array {
  return encodeMap([
    accountIdBytes(account.id),
    account.commitment,
    account.userHash,
    account.venue,
    account.label,
    account.accountType,
    account.environment,
    account.createdMs,
    account.head === null ? null : mapOf([account.head.counter, account.head.hash]),
  ]);
}

export function encodeLedgerRemove(id: string): Uint8Array {
  return encodeMap([accountIdBytes(id)]);
}

/** At most MAX_RECORDS_PER_PAGE and MAX_LEDGER_PAGE_BYTES; `pagesOf` of the connector cuts longer lists. */
export function encodeLedgerRecords({ id, poll, kind, records }: LedgerRecords): Uint8Array {
  return encodeMap([accountIdBytes(id), poll, kind, records.map(recordToCbor)]);
}

export function encodeLedgerPoll(poll: LedgerPoll): Uint8Array {
  return encodeMap([
    accountIdBytes(poll.id),
    poll.poll,
    poll.leafIndex,
    poll.slotMs,
    poll.startedMs,
    poll.endedMs,
    poll.outcome,
    poll.reason,
    poll.coverage.map(({ what, market, fromMs, toMs, complete, reason }) =>
      mapOf([what, market, fromMs, toMs, complete, reason]),
    ),
    poll.hosts.map(({ host, spki }) => mapOf([host, spki])),
    poll.sinceMs,
  ]);
}

export function encodeLedgerMissed({ id, fromMs, toMs, reason }: LedgerMissed): Uint8Array {
  return encodeMap([accountIdBytes(id), fromMs, toMs, reason]);
}

export function encodeLedgerPrices({ id, rows, missing, last }: LedgerPrices): Uint8Array {
  return encodeMap([
    id,
    rows.map(({ kind, symbol, atMs, price, source, tradedMs }) =>
      mapOf([kind, symbol, atMs, price, source, tradedMs]),
    ),
    missing.map(({ symbol, reason }) => mapOf([symbol, reason])),
    last,
  ]);
}

export function encodeLedgerSigned(signed: LedgerSigned): Uint8Array {
  const { id, code, leafIndex, leafSalt, signatures } = signed;
  return encodeMap([id, code, leafIndex, leafSalt, signatures]);
}

export function encodeLedgerAsk(ask: LedgerAsk): Uint8Array {
  return encodeMap([ask.id, ask.operation, accountIdBytes(ask.account), ask.arguments]);
}
