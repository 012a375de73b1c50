// What one client of gRPC may take of the ledger, whatever it sends; each number with its reason.

/** Of a request: ids, a venue and a page token of at most 256 characters are far below. */
export const MAX_REQUEST_BYTES: number = 16 * 1024;
/** Of an answer: what gRPC clients take by default. */
export const MAX_ANSWER_BYTES: number = 4 * 1024 * 1024;
/** Of the headers of one call, as HTTP/2 counts them, and how many. */
export const MAX_HEADER_BYTES: number = 8 * 1024;
export const MAX_HEADER_PAIRS = 64;

/** The desk lets no more in; this is the ledger's own word. */
export const MAX_CONNECTIONS = 64;
export const MAX_CONNECTIONS_PER_CLIENT = 8;
/** Streams of one connection, and of all connections under one certificate: 16 answers of 4 MiB may wait for a slow reader. */
export const MAX_STREAMS_PER_CONNECTION = 32;
export const MAX_STREAMS_PER_CLIENT = 16;
export const MAX_STREAMS = 64;
/** Syncs wait for minutes, and have places of their own: a gateway that asks for many accounts takes none from other calls. */
export const MAX_SYNCS_PER_CLIENT = 24;
export const MAX_SYNCS = 96;

/** Longest a call may be worked on, whatever deadline its client gives. */
export const MAX_CALL_MS = 30_000;
/** Of a sync, which waits for a poll of the schedule (300 s by default, and nobody can ask for one) and its statements. */
export const MAX_SYNC_MS = 660_000;
/** Longest a stream of a call may be there: a request that drips in, an answer that nobody reads. */
export const MAX_STREAM_MS: number = MAX_CALL_MS + 30_000;
export const MAX_SYNC_STREAM_MS: number = MAX_SYNC_MS + 30_000;
/** Of Health/Watch, as long as a connection. */
export const MAX_WATCH_MS = 3_600_000;
/** From the first byte to the client's SETTINGS. */
export const PREFACE_MS = 10_000;
export const MAX_IDLE_MS = 300_000;
export const MAX_AGE_MS = 3_600_000;
/** What is under way at that age comes to its end. */
export const AGE_GRACE_MS: number = MAX_SYNC_STREAM_MS;
/** Ours, to find out who is gone. */
export const KEEPALIVE_MS = 60_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;

/** PING and SETTINGS frames of a client in a minute. */
export const MAX_CONTROL_FRAMES = 60;
export const CONTROL_WINDOW_MS = 60_000;
/** Streams that the client gives up: so many at once, and so many a second after that (CVE-2023-44487). */
export const RESET_BURST = 100;
export const RESETS_PER_SECOND = 10;
/** What Node may keep for one HTTP/2 session, in MB. */
export const MAX_SESSION_MEGABYTES = 24;

/** Questions of one reflection stream. */
export const MAX_REFLECTION_QUESTIONS = 256;
/** How often the state of the service is looked at for Health/Watch. */
export const WATCH_MS = 1000;
