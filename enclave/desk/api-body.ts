// What stands in a request's head about its body, and the body itself, up to a maximum that is checked before anything is
// kept. A body is JSON, and says so.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { concatBytes } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** RFC 9112 3.2. */
export function lacksHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion === '1.1';
}

/** Refuses `api_too_large`, `api_malformed`; the rest of a body that was refused is not read. Wipe what comes. */
export async function readBody(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  maximum: number,
): Promise<Result<Uint8Array>> {
  const { headers } = request;
  const type = headers['content-type'] ?? '';
  if (!/^application\/json(?:$|[ \t]*;)/iu.test(type)) {
    return refuse('api_malformed', { field: 'content-type' });
  }
  if (Number(headers['content-length'] ?? 0) > maximum) return refuse('api_too_large');
  // Node leaves it to us: a client that asks first is told to go on.
  if (headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
  const chunks: Buffer[] = [];
  let length = 0;
  const wipe = (): void => {
    for (const chunk of chunks) chunk.fill(0);
  };
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const bytes = chunk as Buffer;
      chunks.push(bytes);
      length += bytes.length;
      if (length > maximum) {
        wipe();
        return refuse('api_too_large');
      }
    }
  } catch {
    wipe();
    return refuse('api_malformed');
  }
  const body = concatBytes(...chunks);
  wipe();
  return accept(body);
}
