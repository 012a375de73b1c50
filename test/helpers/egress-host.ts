// The host's side of port 7002 for tests of the enclave: it dials what it was told, and can misbehave.

import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import type { Dial } from '../../wire/kms-messages.ts';
import { encodeDialed, MAX_DIAL_BYTES, parseDial } from '../../wire/kms-messages.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { unixTransport } from '../../wire/node/unix.ts';

export interface EgressHost {
  readonly transport: Transport;
  readonly dials: Dial[];
  /** `host:port` to the port here; what is not in it is refused. */
  readonly routes: Map<string, number>;
  /** Instead of an answer. */
  answer: ((stream: Duplex, dial: Dial) => void) | null;
}

function carry(stream: Duplex, port: number): void {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => stream.destroy());
  stream.on('error', () => socket.destroy());
  stream.on('close', () => socket.destroy());
  socket.on('close', () => stream.destroy());
  socket.on('connect', () => {
    stream.write(encodeFrame(FRAME.dialed, encodeDialed(null)));
    stream.pipe(socket);
    socket.pipe(stream);
  });
}

/** Takes one stream of the enclave's. */
export function serveStream(
  host: Pick<EgressHost, 'answer' | 'dials' | 'routes'>,
  stream: Duplex,
): void {
  const decoder = new FrameDecoder({ maxPayloadBytes: new Map([[FRAME.dial, MAX_DIAL_BYTES]]) });
  stream.on('error', () => undefined);
  const take = (chunk: Uint8Array): void => {
    const [frame] = decoder.push(chunk).frames;
    if (frame === undefined) return;
    stream.off('data', take);
    const dial = assertAccepted(parseDial(frame.payload));
    host.dials.push(dial);
    const port = host.routes.get(`${dial.host}:${dial.port}`);
    if (host.answer !== null) host.answer(stream, dial);
    else if (port !== undefined) carry(stream, port);
    else stream.end(encodeFrame(FRAME.dialed, encodeDialed('source_unreachable')));
  };
  stream.on('data', take);
}

/** Over Unix sockets in a folder of its own. */
export async function egressHost(): Promise<EgressHost> {
  const folder = await mkdtemp(join(tmpdir(), 'ts-egress-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const host = {
    transport: unixTransport(folder),
    dials: [],
    routes: new Map(),
    answer: null,
  };
  const listener = await host.transport.listen(PORT.egress, (stream) => {
    serveStream(host, stream);
  });
  onTestFinished(() => listener.close());
  return host;
}
