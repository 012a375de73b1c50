// What programs that give up their files (enclave/permissions.ts) may read while they load, where they run from sources.

/** Relative to the root of the project: what the sources of a program read while they load. */
export const CONNECTOR_SOURCES: readonly string[] = [
  'wire',
  'enclave/connector',
  'enclave/permissions.ts',
  'node_modules',
  'package.json',
];

export const LEDGER_SOURCES: readonly string[] = [
  'wire',
  'enclave',
  'node_modules',
  'package.json',
];

/** Beside those of a program that has a moved clock. */
export const CLOCK_SOURCES: readonly string[] = [
  'simulator/follow-clock.ts',
  'simulator/moved-clock.ts',
];
