// The native addon (enclave/native) as typed functions. It is a file of its own beside the bundle: part of
// the image, measured with it. On a host its path is the operator's.

export interface NativeAddon {
  /** A descriptor whose connection may be under way. Throws with the system's code. */
  readonly connect: (cid: number, port: number) => number;
  /** Takes the descriptor: gives it back connected, or closes it and rejects with the system's code. */
  readonly connected: (descriptor: number, timeoutMs: number) => Promise<number>;
  /** A descriptor bound to the port, on all CIDs of this machine. Throws with the system's code. */
  readonly bind: (port: number) => number;
  /** CID of the other end. Throws with the system's code. */
  readonly peerCid: (descriptor: number) => number;
  /** One request to an open /dev/nsm: 1 to 4,096 bytes out, at most 12,288 back. Rejects with the system's code. */
  readonly nsmRequest: (descriptor: number, request: Uint8Array) => Promise<Uint8Array>;
}

const FUNCTIONS = ['connect', 'connected', 'bind', 'peerCid', 'nsmRequest'] as const;

/** `path` is absolute. Throws when it cannot be loaded or is something else. */
export function loadAddon(path: string): NativeAddon {
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, path);
  const functions = module.exports as Readonly<Record<string, unknown>>;
  for (const name of FUNCTIONS) {
    if (typeof functions[name] !== 'function') throw new Error(`no function ${name} in the addon`);
  }
  return module.exports as NativeAddon;
}
