// What stands between a client's HTTP/2 and grpc-js, which has no option for it: settings of the session, a bound on control
// frames, and a look at the headers of each stream before a call is made of it. Compression is refused here, where grpc-js
// would decompress first. The package is pinned; if another version has no such parts, the first connection throws, a bug.

import { createServer } from 'node:http2';
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Stream,
  ServerOptions,
} from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import type { RefusalCode } from '../../../wire/codes.ts';
import {
  CONTROL_WINDOW_MS,
  MAX_CONTROL_FRAMES,
  MAX_HEADER_BYTES,
  MAX_HEADER_PAIRS,
  MAX_SESSION_MEGABYTES,
  MAX_STREAMS_PER_CONNECTION,
  PREFACE_MS,
  RESET_BURST,
  RESETS_PER_SECOND,
} from './limits.ts';
import { failureHeaders } from './status.ts';

const TIMEOUT = /^[0-9]{1,8}[HMSmun]$/u;
const CONTENT_TYPE = /^application\/grpc(?:\+proto)?$/u;
/** NGHTTP2_NO_ERROR: the answer is complete, the rest of the request is not wanted. */
const NO_ERROR = 0;

export interface GateOptions {
  readonly knows: (path: string) => boolean;
  /** Null: it may begin. It is asked once for each stream, and has it until its `close`. */
  readonly admit: (stream: ServerHttp2Stream, path: string) => RefusalCode | null;
  readonly refused: (code: RefusalCode) => void;
}

type Take = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  ...rest: readonly unknown[]
) => void;

/** Before `createConnectionInjector`. */
export function hardenServer(server: Server): void {
  const options: unknown = Reflect.get(server, 'commonServerOptions');
  if (typeof options !== 'object' || options === null) throw new Error('another grpc-js');
  Object.assign(options, {
    maxSendHeaderBlockLength: 64 * 1024,
    maxSessionMemory: MAX_SESSION_MEGABYTES,
    maxHeaderListPairs: MAX_HEADER_PAIRS,
    maxSettings: 32,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_PER_SECOND,
    settings: {
      maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION,
      maxHeaderListSize: MAX_HEADER_BYTES,
      enablePush: false,
    },
  } satisfies ServerOptions);
}

/** After `createConnectionInjector`, of which there is one. */
export function guardServer(server: Server, options: GateOptions): void {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map)) throw new Error('another grpc-js');
  const [under] = [...(servers as Map<Http2Server, unknown>).keys()];
  const [deliver] = under?.listeners('stream') ?? [];
  if (!(under instanceof createServer().constructor) || deliver === undefined) {
    throw new Error('another grpc-js');
  }
  under.removeAllListeners('stream');
  const take: Take = (stream, headers, ...rest) => {
    const code = judge(stream, headers, options);
    if (code === null) Reflect.apply(deliver, under, [stream, headers, ...rest]);
    else {
      options.refused(code);
      refuseStream(stream, code);
    }
  };
  under.on('stream', take);
  under.on('session', (session) => {
    const late = setTimeout(() => session.destroy(), PREFACE_MS);
    let frames = 0;
    const window = setInterval(() => {
      frames = 0;
    }, CONTROL_WINDOW_MS);
    const count = (): void => {
      frames++;
      if (frames > MAX_CONTROL_FRAMES) session.destroy();
    };
    session.on('ping', count);
    session.on('remoteSettings', () => {
      clearTimeout(late);
      count();
    });
    session.on('error', () => undefined);
    session.on('close', () => {
      clearTimeout(late);
      clearInterval(window);
    });
  });
  under.on('sessionError', () => undefined);
}

function judge(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { knows, admit }: GateOptions,
): RefusalCode | null {
  const path = headers[':path'] ?? '';
  if (headerBytes(headers) > MAX_HEADER_BYTES) return 'call_malformed';
  if (headers[':method'] !== 'POST' || !CONTENT_TYPE.test(headers['content-type'] ?? '')) {
    return 'call_malformed';
  }
  if (!knows(path)) return 'call_unknown';
  if ((headers['grpc-encoding'] ?? 'identity') !== 'identity') return 'call_compressed';
  const timeout = headers['grpc-timeout'];
  if (timeout !== undefined && !TIMEOUT.test(String(timeout))) return 'call_malformed';
  return admit(stream, path);
}

/** The code and nothing of the request; what still comes of it is dropped, and not for long. */
function refuseStream(stream: ServerHttp2Stream, code: RefusalCode): void {
  stream.on('error', () => undefined);
  if (stream.destroyed || stream.closed) return;
  const late = setTimeout(() => {
    stream.close(NO_ERROR);
  }, PREFACE_MS);
  stream.once('close', () => {
    clearTimeout(late);
  });
  stream.resume();
  stream.respond({ ...failureHeaders({ code, detail: {} }) }, { endStream: true });
}

/** As RFC 9113 6.5.2 counts them: what a client was told is more than advice. */
function headerBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? ''].flat()) bytes += name.length + one.length + 32;
  }
  return bytes;
}
