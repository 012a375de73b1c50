// A strategy that tries the file system: a bundle, and code that has taken the runner over.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  atStart,
  counts,
  deniedAll,
  ends,
  takesOver,
  testAttempts,
  testRefusals,
} from './support.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'trackseal-hostile-'));
const FILE = join(FOLDER, 'file');
afterAll(() => {
  rmSync(FOLDER, { recursive: true });
});

describe('a bundle', () => {
  testAttempts([
    ends('requires fs', 'strategy_crashed', `require('node:fs').writeFileSync('${FILE}', '')`),
    ends('asks process.binding', 'strategy_crashed', "process.binding('fs')"),
    ends('asks process.getBuiltinModule', 'strategy_crashed', "process.getBuiltinModule('fs')"),
    ends('asks the loader of modules', 'strategy_crashed', "module.constructor._load('fs')"),
    ends('awaits an import', 'strategy_malformed', "return (async () => import('node:fs'))()"),
    ends('fetches a file', 'strategy_crashed', "fetch('file:///etc/hostname')"),
    counts(
      'imports and waits for later batches',
      `globalThis.got ??= 0;
       import('node:fs').then(() => { globalThis.got = 1; }, () => { globalThis.got = 1; });
       harm += globalThis.got`,
    ),
  ]);
});

describe('a bundle that is not started', () => {
  testRefusals([
    atStart('asks for its own module', 'strategy_malformed', { before: 'import.meta' }),
    atStart('imports in its text', 'strategy_malformed', { before: "import fs from 'node:fs';" }),
    atStart('requires fs', 'strategy_malformed', { before: "require('node:fs')" }),
  ]);
});

describe('a taken-over runner', () => {
  testAttempts([
    deniedAll(
      'reads',
      "t.fs.readFileSync('/etc/hostname')",
      "t.fs.openSync('/etc/hostname')",
      "await t.fs.promises.readFile('/etc/hostname')",
      "await t.settle(t.fs.createReadStream('/etc/hostname'), 'data')",
      "t.fs.readFileSync(t.Buffer.from('/etc/hostname'))",
      'await t.fs.openAsBlob("/etc/hostname")',
    ),
    deniedAll(
      'reads by a path that says two things',
      "const path = t.Buffer.from('/etc/hostname'); path.toString = () => '/'; t.fs.readFileSync(path)",
    ),
    deniedAll(
      'writes',
      `t.fs.writeFileSync('${FILE}', '')`,
      `t.fs.appendFileSync('${FILE}', '')`,
      `t.fs.openSync('${FILE}', 'a')`,
      `await t.fs.promises.writeFile('${FILE}', '')`,
      `t.fs.mkdirSync('${FILE}')`,
      `t.fs.mkdtempSync('${FILE}')`,
      `t.fs.copyFileSync('/etc/hostname', '${FILE}')`,
      `t.fs.cpSync('/etc/hostname', '${FILE}')`,
    ),
    deniedAll(
      'changes and removes',
      `t.fs.rmSync('${FOLDER}', { recursive: true })`,
      `t.fs.renameSync('${FOLDER}', '${FOLDER}-2')`,
      `t.fs.truncateSync('${FILE}')`,
      `t.fs.chmodSync('${FOLDER}', 0)`,
      `t.fs.utimesSync('${FOLDER}', 1, 1)`,
    ),
    deniedAll(
      'links',
      `t.fs.symlinkSync('/etc', '${FILE}')`,
      `t.fs.symlinkSync('../etc', 'tmp/relative')`,
      `t.fs.linkSync('/etc/hostname', '${FILE}')`,
      "t.fs.readlinkSync('/proc/self/exe')",
    ),
    deniedAll(
      'lists and looks',
      "t.fs.readdirSync('/')",
      "t.fs.opendirSync('/')",
      "t.fs.statSync('/etc/hostname')",
      "t.fs.lstatSync('/no/such/file')",
      "t.fs.accessSync('/etc/hostname')",
      "t.fs.statfsSync('/')",
      "t.fs.watch('/etc/hostname')",
      "t.fs.realpathSync.native('/etc/hostname')",
    ),
    takesOver(
      'finds names by a pattern',
      "t.started(); t.confess(t.fs.globSync('/etc/*').length);",
    ),
    deniedAll(
      'reads its own /proc',
      ...['environ', 'maps', 'mem', 'cmdline', 'fd/0', 'oom_score_adj'].map(
        (name) => `t.fs.readFileSync('/proc/self/${name}')`,
      ),
    ),
    deniedAll(
      "reads and writes the enclave's /proc",
      ...['environ', 'maps', 'mem', 'cmdline', 'fd/0'].map(
        (name) => 'const parent = t.process.ppid; t.fs.openSync(`/proc/${parent}/' + name + '`)',
      ),
      "t.fs.openSync(`/proc/${t.process.ppid}/mem`, 'r+')",
    ),
    deniedAll(
      'opens devices',
      "t.fs.openSync('/dev/nsm', 'r+')",
      "t.fs.openSync('/dev/vsock', 'r+')",
      "t.fs.openSync('/dev/fd/0')",
      "t.fs.openSync('/dev/stdin')",
    ),
    deniedAll(
      'changes files that it has open',
      't.fs.fchmodSync(2, 0o777)',
      't.fs.fchownSync(2, 0, 0)',
      't.fs.futimesSync(2, 1, 1)',
    ),
    deniedAll(
      'loads files as modules',
      "t.moduleModule.createRequire('/x.js')('/etc/hostname')",
      "await import('/etc/hostname')",
      "await import('file:///etc/hostname')",
      "await import('node:fs')",
      "await import('data:text/javascript,export default 1')",
      "t.process.loadEnvFile('/etc/hostname')",
      "t.process.chdir('/tmp')",
    ),
    deniedAll(
      'has files written for it',
      `t.v8.writeHeapSnapshot('${FILE}')`,
      't.v8.setHeapSnapshotNearHeapLimit(1)',
      "t.traceEvents.createTracing({ categories: ['node'] }).enable()",
    ),
    takesOver(
      'has a report written when it dies',
      `t.started(); t.readInput();
       try { t.process.report.directory = '${FOLDER}'; t.process.report.reportOnFatalError = true; } catch {}
       try { t.process.report.writeReport('${FILE}'); } catch {}
       const list = []; for (;;) list.push(new Array(1000).fill(0));`,
      'strategy_crashed',
    ),
    takesOver(
      'has V8 write files by changing its flags',
      `t.started(); t.readInput();
       t.v8.setFlagsFromString('--trace-turbo-path=${FOLDER}'); t.v8.setFlagsFromString('--trace-turbo');
       t.confess(1);`,
      'strategy_crashed',
    ),
  ]);

  it('has left nothing behind', () => {
    expect(existsSync(FOLDER)).toBe(true);
    expect(readdirSync(FOLDER)).toEqual([]);
  });
});
