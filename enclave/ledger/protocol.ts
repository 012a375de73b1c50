// Frames between the desk and the ledger process, over a Channel (wire/channel.ts). The desk takes what the ledger
// sends as hostile, because the ledger parses PostgreSQL's and gRPC's bytes; the ledger trusts the desk and checks
// form all the same. Byte streams (the database, gRPC connections) are frames of wire/node/stream-mux.ts beside these.
// RECORDS of a poll count when its POLL comes, and not before; what was not TAKEN is told again to the next ledger.
//
//   desk → ledger   OPEN, STATE, ACCOUNT, REMOVE, RECORDS, POLL, MISSED, PRICES, SIGNED, ASK, SHUT
//   ledger → desk   READY, TAKEN, RESYNC, NEED_PRICES, SIGN, AUDIT, ANSWER, COUNTERS
//   both ways       STREAM_OPEN, STREAM_DATA, STREAM_WINDOW, STREAM_END, STREAM_RESET

export * from './frames.ts';
export * from './from-ledger.ts';
export * from './tell-ledger.ts';
export * from './to-ledger.ts';
