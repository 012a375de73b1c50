// A strategy that tries other processes: to make them, to signal them, to debug them.

import { describe } from 'vitest';
import { counts, deniedAll, ends, takesOver, testAttempts } from './support.ts';

describe('a bundle', () => {
  testAttempts([
    ends('requires child_process', 'strategy_crashed', "require('child_process').exec('true')"),
    ends('starts a worker', 'strategy_crashed', "new Worker('data:text/javascript,1')"),
    ends('kills its parent', 'strategy_crashed', 'process.kill(process.ppid)'),
    ends('ends its process', 'strategy_crashed', 'process.exit(0)'),
    ends('stops for a debugger of its own', 'strategy_crashed', 'debugger; process.debugPort = 1'),
    counts(
      'opens a channel',
      "for (const name of ['MessageChannel', 'BroadcastChannel', 'postMessage']) if (name in globalThis) harm++",
    ),
  ]);
});

describe('a taken-over runner', () => {
  testAttempts([
    deniedAll(
      'starts processes',
      "t.childProcess.spawnSync('/bin/true').error?.code === undefined || (() => { throw t.childProcess.spawnSync('/bin/true').error; })()",
      "t.childProcess.spawn('/bin/true')",
      "t.childProcess.execSync('true')",
      "t.childProcess.execFileSync('/bin/true')",
      "t.childProcess.fork('/x.mjs')",
      't.cluster.default.fork()',
      "new t.childProcess.ChildProcess().spawn({ file: '/bin/true', args: ['true'], stdio: [] })",
    ),
    deniedAll(
      'forks twice to get away',
      "t.childProcess.spawn('/bin/true', { detached: true, stdio: 'ignore' }).unref()",
      "t.process.execve('/bin/true', ['true'], {})",
    ),
    deniedAll(
      'starts threads',
      "new t.workerThreads.Worker('1', { eval: true })",
      "new t.workerThreads.Worker(new URL('file:///x.mjs'))",
    ),
    takesOver(
      'signals its parent',
      `t.started();
       const { process } = t;
       let harm = 0;
       for (const name of ['kill', '_kill', '_debugProcess']) {
         try { process[name](process.ppid, 0); harm++; } catch {}
         try { Object.getPrototypeOf(process)[name](process.ppid, 0); harm++; } catch {}
       }
       const child = new t.childProcess.ChildProcess();
       try { child.pid = process.ppid; if (child.kill('SIGCONT')) harm++; } catch {}
       t.confess(harm);`,
    ),
    deniedAll(
      'slows its parent down',
      "const os = await import('node:os'); os.setPriority(t.process.ppid, 19)",
      "t.moduleModule.createRequire('/x.js')('os').setPriority(t.process.ppid, 19)",
    ),
    deniedAll('debugs', 't.inspector.open(0)', 'new t.inspector.Session().connect()'),
    takesOver(
      "asks for Node's inside",
      `t.started();
       let harm = 0;
       for (const ask of ['binding', '_linkedBinding']) {
         for (const name of ['process_wrap', 'spawn_sync', 'fs', 'os', 'uv', 'natives', 'contextify']) {
           try { t.process[ask](name); harm++; } catch {}
         }
       }
       try { t.process.getBuiltinModule('os'); harm++; } catch {}
       try { t.process.mainModule.require('os'); harm++; } catch {}
       t.confess(harm);`,
    ),
  ]);
});
