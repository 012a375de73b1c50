// The browser's bundle as a page would load it, in a context that has a browser's globals and none of Node's.

import { webcrypto } from 'node:crypto';
import { request } from 'node:https';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import type * as BrowserModule from '../../client/browser.ts';
import { browserOptions } from '../../scripts/bundle.ts';

export type Browser = Pick<typeof BrowserModule, 'SecureClient' | 'SecureClientError'>;

/** Rejects when anything in it needs Node. */
export async function bundleFor(entry: string): Promise<string> {
  const { outputFiles } = await build({
    ...browserOptions('page.js'),
    entryPoints: [entry],
    write: false,
    format: 'iife',
    globalName: 'trackseal',
  });
  return outputFiles[0]?.text ?? '';
}

/** As a browser's, but it takes the enclave's own certificate: pages get theirs from a public authority. */
async function fetchAsBrowser(input: URL | string, init: RequestInit = {}): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const outgoing = request(
    new URL(input),
    {
      method: init.method ?? 'GET',
      headers: { ...(init.headers as Record<string, string> | undefined) },
      rejectUnauthorized: false,
      // A browser asks again when a connection of before has gone; a new one each time does the same.
      agent: false,
    },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode ?? 0 }));
      });
    },
  );
  outgoing.on('error', () => {
    reject(new TypeError('Failed to fetch'));
  });
  init.signal?.addEventListener('abort', () => {
    outgoing.destroy();
  });
  outgoing.end(init.body ?? undefined);
  return promise;
}

export interface PageOptions {
  /** False: a browser without X25519 and Ed25519, or a page that did not come over https. */
  readonly subtle?: boolean;
}

function getRandomValues(bytes: Uint8Array<ArrayBuffer>): unknown {
  return webcrypto.getRandomValues(bytes);
}

export function openPage(bundle: string, { subtle = true }: PageOptions = {}): Browser {
  const globals = {
    crypto: subtle ? webcrypto : { getRandomValues },
    fetch: fetchAsBrowser,
    URL,
    TextEncoder,
    TextDecoder,
    AbortSignal,
    // Of one realm with what the platform hands out, as in a page.
    Uint8Array,
    ArrayBuffer,
    DataView,
    Error,
    TypeError,
  };
  // As under a content security policy that allows no eval.
  const page = createContext(globals, { codeGeneration: { strings: false, wasm: false } });
  runInContext(bundle, page);
  const absent = ['process', 'Buffer', 'require', 'global', 'module', 'setImmediate'];
  const present = absent.filter((name) => runInContext(`typeof ${name}`, page) !== 'undefined');
  if (present.length > 0) throw new Error(`not a browser: ${present.join(', ')}`);
  return runInContext('trackseal', page) as Browser;
}
