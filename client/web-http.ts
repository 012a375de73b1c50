// Requests of a browser. A page cannot see which key its connection ended at, so `pin` means nothing here: whoever ends TLS
// reads addresses, sizes and times, and the metadata of an envelope; what is inside is for the attested key alone.

import { concatBytes } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Answer, Http } from './http.ts';
import { targetOf } from './http.ts';

export function webHttp(base: URL, timeoutMs: number): Http {
  return async ({ method, path, body, maxBytes }) => {
    try {
      const response = await fetch(targetOf(base, path), {
        method,
        ...(body === null ? {} : { body, headers: { 'content-type': 'application/json' } }),
        redirect: 'error',
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
        signal: AbortSignal.timeout(timeoutMs),
      });
      return await readAnswer(response, maxBytes);
    } catch (error) {
      const what = error instanceof Error ? error.name : 'failed';
      return refuse('source_unreachable', { address: base.host, what });
    }
  };
}

async function readAnswer(response: Response, maxBytes: number): Promise<Result<Answer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const read = await reader?.read();
    if (read === undefined || read.done) break;
    const chunk = read.value as Uint8Array;
    length += chunk.length;
    if (length > maxBytes) {
      await reader?.cancel();
      return refuse('message_malformed', { what: 'a larger answer', maximum: maxBytes });
    }
    chunks.push(chunk);
  }
  return accept({ status: response.status, body: concatBytes(...chunks), tlsKeyHash: null });
}
