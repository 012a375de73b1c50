// Builds the bundles: what goes into the image (enclave, strategy runner) and the command line of an
// installed package.

import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { BUNDLE_OPTIONS, bundleImage } from '../eif/build/bundles.ts';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

/**
 * The command line of an installed package: Node does not run TypeScript from node_modules. Commands that
 * build something (demo, strategy pack) need a checkout, because they need esbuild.
 */
async function bundleCommandLine(): Promise<void> {
  await build({
    ...BUNDLE_OPTIONS,
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
