// A strategy's bundle is one JavaScript script or one WebAssembly module (docs/PROTOCOL.md 11). Its first
// bytes say which: no script begins with a zero byte. In a folder its file is called after its kind.

const WASM_MAGIC: readonly number[] = [0x00, 0x61, 0x73, 0x6d];

export const BUNDLE_FILES = ['bundle.js', 'bundle.wasm'] as const;
export type BundleFile = (typeof BUNDLE_FILES)[number];

export function isWebAssembly(bundle: Uint8Array): boolean {
  return WASM_MAGIC.every((byte, at) => bundle[at] === byte);
}

export function bundleFileOf(bundle: Uint8Array): BundleFile {
  return isWebAssembly(bundle) ? 'bundle.wasm' : 'bundle.js';
}
