// HTTP/1.1 over the way out, for the SDKs of AWS: a request handler whose connections are made by Egress. An answer
// is read whole, within one deadline and a maximum size, before anybody looks at it; redirects are not
// followed. A peer or a host can make a request fail and hold one answer's worth of memory.

import { Agent } from 'node:https';
import { Readable } from 'node:stream';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Egress } from './egress.ts';
import { EgressError } from './egress.ts';
import { EgressAgent } from './egress-agent.ts';

export interface HttpLimits {
  /** From the request to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Connections at a time; they are kept for the next requests. */
  readonly maxConnections: number;
}

type Handle = NodeHttpHandler['handle'];

async function readWhole(body: Readable, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) {
      body.destroy();
      throw new EgressError('frame_too_large');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

export class EgressHttp extends NodeHttpHandler {
  readonly #limits: HttpLimits;

  constructor(egress: Egress, limits: HttpLimits) {
    super({
      httpsAgent: new EgressAgent(egress, { keepAlive: true, maxSockets: limits.maxConnections }),
      // The one that is never used, so that none is made.
      httpAgent: new Agent(),
      throwOnRequestTimeout: true,
    });
    this.#limits = limits;
  }

  /** Rejects with an EgressError, an AbortError when the time is up, or the system's error. */
  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    // Plain HTTP would go past TLS and past the measured hosts.
    if (request.protocol !== 'https:') throw new EgressError('host_not_measured');
    const { timeoutMs, maxAnswerBytes } = this.#limits;
    const abortSignal = AbortSignal.timeout(timeoutMs);
    const { response } = await super.handle(request, { ...options, abortSignal });
    const body = await readWhole(response.body as Readable, maxAnswerBytes);
    response.body = Readable.from([body]);
    return { response };
  }
}
