// The programs of the image, bundled from the sources. The builder is pinned by package-lock.json, what it
// gives by the lock of the image.

import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BuildOptions, Metafile } from 'esbuild';
import { connectorPlugin } from './connector.ts';

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

type BundleOptions = BuildOptions & { readonly metafile: true };

export const BUNDLE_OPTIONS: BundleOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  metafile: true,
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS dependencies ask for Node's own modules with require().
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
};

export const IMAGE_BUNDLES: Readonly<Record<string, string>> = {
  'main.mjs': 'enclave/main.ts',
  'strategy-runner.mjs': 'enclave/strategy/runner.ts',
  'desk.mjs': 'enclave/desk/main.ts',
  'connector.mjs': 'enclave/connector/main.ts',
  'ledger.mjs': 'enclave/ledger/main.ts',
  'tap.mjs': 'enclave/tap/main.ts',
};

export interface Bundle {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Hex. */
  readonly sha256: string;
  readonly metafile: Metafile;
}

/** How a program of the image is bundled; nothing is written. */
export const IMAGE_OPTIONS: BundleOptions = {
  ...BUNDLE_OPTIONS,
  minify: true,
  write: false,
  alias: {
    '@aws-sdk/credential-provider-node': './enclave/kms/no-provider.ts',
    '@grpc/proto-loader': './enclave/ledger/grpc/no-loader.ts',
  },
  // ws would look for native addons beside itself.
  define: {
    'process.env.WS_NO_BUFFER_UTIL': '"1"',
    'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
  },
};

async function bundleOne(name: string, entry: string): Promise<Bundle> {
  const result = await build({
    ...IMAGE_OPTIONS,
    entryPoints: [entry],
    ...(name === 'connector.mjs' ? { plugins: [connectorPlugin] } : {}),
    outfile: `dist/${name}`,
  });
  const bytes = result.outputFiles?.[0]?.contents;
  if (bytes === undefined) throw new Error(`no output for ${entry}`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  // What a bundle leaves out is no file.
  const files = Object.entries(result.metafile.inputs).filter(([path]) => !path.includes(':'));
  return {
    name,
    bytes,
    sha256,
    metafile: { ...result.metafile, inputs: Object.fromEntries(files) },
  };
}

/** Minified, not written anywhere. Throws for sources that do not build. */
export async function bundleImage(): Promise<readonly Bundle[]> {
  return Promise.all(Object.entries(IMAGE_BUNDLES).map(([name, entry]) => bundleOne(name, entry)));
}
