// A strategy that tries the file system.

import { describe } from 'vitest';
import { counts, deniedAll, ends, testAttempts } from './support.ts';

describe('a bundle that tries the file system', () => {
  testAttempts([
    ends('requires fs', 'strategy_crashed', "require('node:fs').readFileSync('/etc/hostname')"),
    ends('asks process.binding', 'strategy_crashed', "process.binding('fs')"),
    ends('asks process.getBuiltinModule', 'strategy_crashed', "process.getBuiltinModule('fs')"),
    counts(
      'imports fs and waits for it',
      `import('node:fs').then((fs) => { fs.writeFileSync('/tmp/x', ''); globalThis.got = 1; }, () => { globalThis.got = 1; });
     if (globalThis.got === 1) harm++`,
    ),
    ends(
      'awaits an import',
      'strategy_malformed',
      "return (async () => { await import('node:fs'); })()",
    ),
    counts(
      'asks import.meta by a source of its own',
      "if (typeof importScripts !== 'undefined' || typeof load !== 'undefined' || typeof read !== 'undefined') harm++",
    ),
    ends('uses a module statement', 'strategy_crashed', 'module.constructor._load("fs")'),
  ]);
});

describe('a taken-over runner that tries the file system', () => {
  testAttempts([
    deniedAll(
      'reads',
      "t.fs.readFileSync('/etc/hostname')",
      "t.fs.openSync('/etc/hostname')",
      "await t.fs.promises.readFile('/etc/hostname')",
    ),
  ]);
});
