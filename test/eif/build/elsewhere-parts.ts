// Prints digests of what an image is made of, as far as it needs no toolchain: run by elsewhere.test.ts under
// other circumstances. Argument: the folder of the packages.

import { createHash } from 'node:crypto';
import { applicationEntries } from '../../../eif/build/rootfs.ts';
import { encodeTar } from '../../../eif/build/tar.ts';
import { encodeRamdisk } from '../../../eif/ramdisk.ts';
import { exampleRoot } from './support.ts';

const files = await exampleRoot(process.argv[2] ?? '');
for (const data of [encodeRamdisk(applicationEntries(files)), encodeTar(files)]) {
  process.stdout.write(`${createHash('sha256').update(data).digest('hex')}\n`);
}
