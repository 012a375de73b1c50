// What the runner does to itself before it reads a byte. A watchdog thread ends the process when its
// parent is gone, because a bundle that loops never reads the end of its pipe. Then permissions, module
// loading and everything of Node's on the global object are given up, for good: code that gets out of the
// strategy's context finds a language without a world. Native code is beyond this; it needs the kernel.

import { registerHooks } from 'node:module';
import { Script, constants, createContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

// Not imported: that would open standard input as a stream, and it would no longer block.
const nodeProcess: NodeJS.Process = process;

const SCOPES = ['fs', 'net', 'child', 'worker', 'addon', 'wasi', 'inspector', 'ffi'] as const;
/** Need no permission of Node's: signals, to an enclave of the same user, and reports, which write files. */
const MEMBERS = ['kill', '_kill', '_debugProcess', 'report', 'getBuiltinModule'] as const;
const WATCHDOG_START_MS = 10_000;
const WATCHDOG_PERIOD_MS = 200;

/** Text of the watchdog; it has a thread and an isolate of its own, which a busy strategy cannot stop. */
const WATCHDOG = `
const { workerData: { ready, parent, periodMs } } = require('node:worker_threads');
function check() {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}
check();
setInterval(check, periodMs);
Atomics.store(ready, 0, 1);
Atomics.notify(ready, 0);
`;

/** Ends this process soon after its parent is no longer \`parent\`. Throws when it does not come up. */
export function startWatchdog(parent: number): void {
  if (!Number.isSafeInteger(parent) || parent < 1) throw new Error('the runner needs its parent');
  const ready = new Int32Array(new SharedArrayBuffer(4));
  void new Worker(WATCHDOG, {
    eval: true,
    env: {},
    // Otherwise Node opens this process's own as streams, and they no longer block.
    stdout: true,
    stderr: true,
    workerData: { ready, parent, periodMs: WATCHDOG_PERIOD_MS },
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
  });
  if (Atomics.wait(ready, 0, 0, WATCHDOG_START_MS) === 'timed-out') {
    throw new Error('the watchdog did not start');
  }
}

/** Whatever was granted for loading is given up. */
export function dropPermissions(): void {
  // Typed as always there, but absent without --permission.
  const permission = nodeProcess.permission as typeof nodeProcess.permission | undefined;
  if (permission === undefined) throw new Error('the runner needs --permission');
  for (const scope of SCOPES) permission.drop(scope);
}

/** No module can be loaded any more, and the global object has what ECMAScript has. */
export function dropNode(): void {
  for (const name of MEMBERS) Reflect.deleteProperty(nodeProcess, name);
  registerHooks({
    resolve: () => {
      throw new Error('sealed');
    },
  });
  const bare = createContext(constants.DONT_CONTEXTIFY);
  const names = new Script('Reflect.ownKeys(globalThis)').runInContext(bare) as readonly unknown[];
  // Node puts its own console, with its streams, in the place of V8's.
  const kept = new Set(names.filter((name) => name !== 'console'));
  for (const key of Reflect.ownKeys(globalThis)) {
    if (!kept.has(key)) Reflect.deleteProperty(globalThis, key);
  }
}

export function seal(parent: number): void {
  startWatchdog(parent);
  dropPermissions();
  dropNode();
}
