// Reads the body of a request, up to a maximum that is checked before anything is kept. A body is JSON, and says so.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

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
  const body = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  wipe();
  return accept(body);
}
