// The host's transports by address. The enclave's entry point of the image knows `vsock:` only.

import { hvsockTransport } from './hvsock.ts';
import { loadAddon } from './native-addon.ts';
import type { Transport } from './transport.ts';
import { unixTransport } from './unix.ts';
import { parsePeer, vsockTransport } from './vsock.ts';

/** sockaddr_un has 108 bytes with the zero at the end; a separator and a port have at most 6. */
const MAX_UNIX_PATH_BYTES = 107 - 6;

export type ParsedTransport =
  | { readonly ok: true; readonly transport: Transport }
  /** For a person. */
  | { readonly ok: false; readonly problem: string };

/**
 * `unix:DIR`, `hvsock:PATH`, `vsock:CID` or `vsock:parent`.
 * `addonPath` is the native addon, which vsock needs; null when there is none.
 */
export function parseTransport(address: string, addonPath: string | null = null): ParsedTransport {
  const at = address.indexOf(':');
  const scheme = address.slice(0, Math.max(at, 0));
  const rest = address.slice(at + 1);
  if (scheme === 'unix' || scheme === 'hvsock') {
    if (rest === '') return refused(`${scheme}: needs a path`);
    if (Buffer.byteLength(rest) > MAX_UNIX_PATH_BYTES) {
      return refused(`${scheme}: a path of at most ${MAX_UNIX_PATH_BYTES} bytes`);
    }
    return { ok: true, transport: scheme === 'unix' ? unixTransport(rest) : hvsockTransport(rest) };
  }
  if (scheme === 'vsock') return vsockOf(rest, addonPath);
  return refused('must be unix:DIR, hvsock:PATH, vsock:CID or vsock:parent');
}

function vsockOf(rest: string, addonPath: string | null): ParsedTransport {
  const peers = parsePeer(rest);
  if (peers === null) return refused('vsock: needs the CID of the enclave, or `parent`');
  if (addonPath === null) return refused('vsock: needs the native addon (`addon`, a path)');
  try {
    return { ok: true, transport: vsockTransport(loadAddon(addonPath), peers) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refused(`the native addon cannot be loaded: ${why}`);
  }
}

function refused(problem: string): ParsedTransport {
  return { ok: false, problem };
}
