// Builds the bundles: what goes into the image (enclave, strategy runner) and the command line of an
// installed package, and the traders' client.

import { cp, mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BuildOptions } from 'esbuild';
import { BUNDLE_OPTIONS, bundleImage } from '../eif/build/bundles.ts';

export const ROOT: string = fileURLToPath(new URL('..', import.meta.url));

/**
 * The command line of an installed package: Node does not run TypeScript from node_modules. Commands that
 * build something (demo, strategy pack) need a checkout, because they need esbuild.
 */
async function bundleCommandLine(): Promise<void> {
  await build({
    ...BUNDLE_OPTIONS,
    entryPoints: {
      trackseal: 'scripts/trackseal.ts',
      'database-engine': 'host-proxy/database/engine-process.ts',
    },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    splitting: true,
    // PGlite finds its WebAssembly beside itself.
    external: ['esbuild', '@electric-sql/pglite', 'pg-native'],
  });
  await cp(`${ROOT}/host-proxy/database/migrations`, `${ROOT}/dist/migrations`, {
    recursive: true,
  });
}

/** `trackseal/client` for Node, and for whoever bundles for browsers: the latter fails on anything of Node. */
async function bundleClient(): Promise<void> {
  await build({
    ...BUNDLE_OPTIONS,
    entryPoints: { client: 'client/node/index.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
  });
  await build(browserOptions('dist/client-browser.mjs'));
}

/** Also for the test that loads it as a page would. */
export function browserOptions(outfile: string): BuildOptions {
  return {
    absWorkingDir: ROOT,
    entryPoints: ['client/browser.ts'],
    outfile,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  };
}

async function main(): Promise<void> {
  await mkdir(`${ROOT}/dist`, { recursive: true });
  for (const bundle of await bundleImage()) {
    await writeFile(`${ROOT}/dist/${bundle.name}`, bundle.bytes);
    console.log(`dist/${bundle.name}  ${bundle.bytes.length} bytes`);
  }
  await bundleCommandLine();
  await bundleClient();
  console.log('dist/trackseal.mjs and its parts, dist/client.mjs, dist/client-browser.mjs');
}

// `import.meta.main` is also true inside of a bundle that contains this file.
if (import.meta.main && import.meta.filename.endsWith('bundle.ts')) await main();
