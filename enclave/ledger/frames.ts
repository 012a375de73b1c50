// Frame types and limits of the ledger's protocol (protocol.ts); its messages are in messages.ts.

import type { StreamFrames } from '../../wire/node/stream-mux.ts';

export const LEDGER_FRAME = {
  open: 0x90,
  state: 0x91,
  account: 0x92,
  remove: 0x93,
  records: 0x94,
  poll: 0x95,
  missed: 0x96,
  prices: 0x97,
  signed: 0x98,
  ask: 0x99,
  shut: 0x9a,
  streamOpen: 0x9b,
  streamData: 0x9c,
  streamWindow: 0x9d,
  streamEnd: 0x9e,
  streamReset: 0x9f,
  ready: 0xa0,
  taken: 0xa1,
  resync: 0xa2,
  needPrices: 0xa3,
  sign: 0xa4,
  audit: 0xa5,
  answer: 0xa6,
  counters: 0xa7,
  stated: 0xa8,
} as const;

/** Frame types of wire/node/stream-mux.ts. */
export const STREAM_FRAMES: StreamFrames = {
  open: LEDGER_FRAME.streamOpen,
  data: LEDGER_FRAME.streamData,
  window: LEDGER_FRAME.streamWindow,
  end: LEDGER_FRAME.streamEnd,
  reset: LEDGER_FRAME.streamReset,
};

const STREAM_TYPES: readonly number[] = Object.values(STREAM_FRAMES);

export const TO_LEDGER_TYPES: readonly number[] = [
  LEDGER_FRAME.open,
  LEDGER_FRAME.state,
  LEDGER_FRAME.account,
  LEDGER_FRAME.remove,
  LEDGER_FRAME.records,
  LEDGER_FRAME.poll,
  LEDGER_FRAME.missed,
  LEDGER_FRAME.prices,
  LEDGER_FRAME.signed,
  LEDGER_FRAME.ask,
  LEDGER_FRAME.shut,
  ...STREAM_TYPES,
];

export const FROM_LEDGER_TYPES: readonly number[] = [
  LEDGER_FRAME.ready,
  LEDGER_FRAME.taken,
  LEDGER_FRAME.resync,
  LEDGER_FRAME.needPrices,
  LEDGER_FRAME.sign,
  LEDGER_FRAME.audit,
  LEDGER_FRAME.answer,
  LEDGER_FRAME.counters,
  LEDGER_FRAME.stated,
  ...STREAM_TYPES,
];

/** Kinds of byte streams: the ledger opens `database`, the desk `grpc` with the client's fingerprint as its label. */
export const STREAM_KIND = { database: 1, grpc: 2 } as const;
/** SHA-256 of the client's certificate, DER. */
export const FINGERPRINT_BYTES = 32;

/** Both ways; `firstCreditBytes` of the channel is FIRST_CREDIT_BULK_BYTES. */
export const MAX_LEDGER_FRAME_BYTES: number = 4 * 1024 * 1024;
/** Of one RECORDS or PRICES frame. */
export const MAX_LEDGER_PAGE_BYTES: number = 256 * 1024;
/** Of 660 bytes at most, beside as many that are missing. */
export const MAX_PRICES_PER_PAGE = 256;
/** Of one NEED_PRICES; a question of more is two. */
export const MAX_PRICE_ITEMS = 256;
/** Of one SIGN: the leaf that has them is at most MAX_DESK_PLAINTEXT_BYTES. */
export const MAX_SIGN_STATEMENTS = 1024;
export const MAX_SIGN_BYTES: number = 999 * 1024;
/**
 * What a venue shows late, five days at most (Alpaca's flows, which are dated by day), its connector asks for again by its
 * cursors; a poll without them has to begin as much earlier. What is told twice counts once.
 */
export const LATE_MS: number = 5 * 86_400_000;
export const MAX_ASK_BYTES: number = 64 * 1024;
/** Body of an ANSWER. */
export const MAX_LEDGER_ANSWER_BYTES: number = 3 * 1024 * 1024;
export const ACCOUNT_ID_BYTES = 16;

export const LEDGER_EVENTS = ['database', 'correction', 'revocation', 'store_invalid'] as const;
export type LedgerEvent = (typeof LEDGER_EVENTS)[number];

export type * from './messages.ts';
