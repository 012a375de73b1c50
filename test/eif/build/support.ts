// Small stand-ins for what only the pinned toolchain can make, and a folder like that of the unpacked packages.

import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleImage } from '../../../eif/build/bundles.ts';
import { measuredOf } from '../../../eif/build/measured.ts';
import type { RootFile } from '../../../eif/build/rootfs.ts';
import { rootFiles } from '../../../eif/build/rootfs.ts';
import { exampleFiles } from '../../../eif/build/image.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';

const LIBRARIES = [
  ...['ld-linux-x86-64.so.2', 'libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6'].map(
    (name) => `lib/x86_64-linux-gnu/${name}`,
  ),
  'lib/x86_64-linux-gnu/libpthread.so.0',
  'usr/lib/x86_64-linux-gnu/libatomic.so.1',
  'usr/lib/x86_64-linux-gnu/libstdc++.so.6',
];

export const CERTIFICATES: Readonly<Record<string, string>> = {
  'B_Root.crt': 'certificate B\n',
  'A_Root.crt': 'certificate A\n',
};

/** With more in it than an image takes. */
export async function packagesFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-packages-'));
  const files: Readonly<Record<string, string>> = {
    ...Object.fromEntries(LIBRARIES.map((path) => [path, path])),
    ...Object.fromEntries(
      Object.entries(CERTIFICATES).map(([name, text]) => [
        `usr/share/ca-certificates/mozilla/${name}`,
        text,
      ]),
    ),
    'bin/sh': 'a shell',
    'usr/sbin/update-ca-certificates': 'a script',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** The application's file system, with the real bundles and Node binary. */
export async function exampleRoot(packages: string): Promise<readonly RootFile[]> {
  const measured = assertAccepted(await measuredOf(exampleFiles(), packages));
  const programs = { init: utf8('init'), launch: utf8('launch'), addon: utf8('addon') };
  const bundles = await bundleImage();
  return assertAccepted(await rootFiles({ packages, bundles, programs, measured }));
}
