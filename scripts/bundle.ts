// Builds the bundles: what goes into the image (enclave, strategy runner) and the command line of an
// installed package. `bundleEnclave` is also what TCB.txt is made from.

import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BuildOptions, Metafile } from 'esbuild';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

const COMMON = {
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
} as const satisfies BuildOptions;

export const IMAGE_BUNDLES = {
  'enclave.mjs': 'enclave/main.ts',
  'strategy-runner.mjs': 'enclave/strategy/runner.ts',
} as const;

export interface Bundle {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly metafile: Metafile;
}

async function bundleOne(name: string, entry: string, minify: boolean): Promise<Bundle> {
  const result = await build({
    ...COMMON,
    entryPoints: [entry],
    outfile: `dist/${name}`,
    minify,
    write: false,
  });
  const bytes = result.outputFiles[0]?.contents;
  if (bytes === undefined) throw new Error(`no output for ${entry}`);
  return { name, bytes, metafile: result.metafile };
}

/** The bundles of the image, minified, not written anywhere. */
export async function bundleImage(): Promise<readonly Bundle[]> {
  return Promise.all(
    Object.entries(IMAGE_BUNDLES).map(([name, entry]) => bundleOne(name, entry, true)),
  );
}

/**
 * The command line of an installed package: Node does not run TypeScript from node_modules. Commands that
 * build something (demo, strategy pack) need a checkout, because they need esbuild.
 */
async function bundleCommandLine(): Promise<void> {
  await build({
    ...COMMON,
    entryPoints: { trackseal: 'scripts/trackseal.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    splitting: true,
    external: ['esbuild'],
  });
}

async function main(): Promise<void> {
  await mkdir(`${ROOT}/dist`, { recursive: true });
  for (const bundle of await bundleImage()) {
    await writeFile(`${ROOT}/dist/${bundle.name}`, bundle.bytes);
    console.log(`dist/${bundle.name}  ${bundle.bytes.length} bytes`);
  }
  await bundleCommandLine();
  console.log('dist/trackseal.mjs and its parts');
}

// `import.meta.main` is also true inside of a bundle that contains this file.
if (import.meta.main && import.meta.filename.endsWith('bundle.ts')) await main();
