// Measurements in the form of an enclave image: PCR = SHA-384(48 zero bytes ‖ SHA-384(content)), where
// the content of PCR0 is all measured parts, of PCR1 kernel, command line and boot ramdisk, and of PCR2
// the application. The local appliance has no kernel: its parts are whatever stands in for them.

import { createHash } from 'node:crypto';
import { toHex } from '../../wire/bytes.ts';

export interface MeasuredParts {
  /** Kernel, command line, first ramdisk; or what stands in for them. */
  readonly boot: Uint8Array;
  readonly application: Uint8Array;
}

export interface Measurements {
  readonly pcr0: Uint8Array;
  readonly pcr1: Uint8Array;
  readonly pcr2: Uint8Array;
}

function measureContent(...content: readonly Uint8Array[]): Uint8Array {
  const inner = createHash('sha384');
  for (const part of content) inner.update(part);
  const outer = createHash('sha384').update(new Uint8Array(48)).update(inner.digest());
  return new Uint8Array(outer.digest());
}

export function measure({ boot, application }: MeasuredParts): Measurements {
  return {
    pcr0: measureContent(boot, application),
    pcr1: measureContent(boot),
    pcr2: measureContent(application),
  };
}

/** The JSON that nitro-cli prints after a build, and that `--policy` takes. */
export function measurementsJson({ pcr0, pcr1, pcr2 }: Measurements): string {
  const Measurements = {
    HashAlgorithm: 'Sha384 { ... }',
    PCR0: toHex(pcr0),
    PCR1: toHex(pcr1),
    PCR2: toHex(pcr2),
  };
  return `${JSON.stringify({ Measurements }, null, 2)}\n`;
}
