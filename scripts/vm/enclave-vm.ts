// One emulated Nitro Enclave: QEMU and the vsock device, both ended when this process ends, however it does
// (setpriv --pdeathsig). `vsock` is the PATH of the host's transport hvsock:PATH. Answers the heartbeat of
// the enclave's init on port 9000, as nitro-cli does, and reads from its console why it ended (port 7005,
// where it says the same, is the host proxy's). What the guest says is not trusted.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { access, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Machine } from './machine.ts';
import { TSC_KHZ } from './qemu.ts';

export interface VmOptions {
  readonly machine: Machine;
  /** The enclave image file. */
  readonly image: string;
  /** Socket of the vsock device; the host listens on `${vsock}_PORT`. A short path. */
  readonly vsock: string;
  readonly memoryMiB: number;
  readonly processors: number;
  /** What the guest's kernel and init print. */
  readonly onConsole: (text: string) => void;
}

export interface VmEnd {
  /** What init printed last, `exit code 0` for example; null when it printed nothing of the kind. */
  readonly reason: string | null;
  /** Of QEMU; null when it was killed. */
  readonly code: number | null;
}

const GUEST_CID = 16;
const HEARTBEAT_PORT = 9000;
const HEARTBEAT = 0xb7;
/** The line of init's end; what the guest's other programs print does not look like it, or is their word too. */
const REASON = /^trackseal: (exit code \d{1,3}|exit signal \d{1,3}|refused [a-z_]{1,32})\r?$/gmu;
const KEPT_CHARACTERS = 4096;
const DEVICE_TIMEOUT_MS = 30_000;

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

/** Killed when this process is gone. */
function start(
  program: string,
  args: readonly string[],
  onOutput: (text: string) => void,
): Running {
  const bound = ['--pdeathsig', 'KILL', '--', program, ...args];
  const child = spawn('setpriv', bound, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1').on('data', onOutput);
  }
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => {
      resolve(null);
    });
    child.once('close', resolve);
  });
  return { child, ended };
}

async function listen(path: string, onSocket: (socket: Socket) => void): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer((socket) => {
    // A guest that goes away resets its streams.
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return server;
}

async function waitForSocket(path: string, device: Running): Promise<boolean> {
  const { child } = device;
  for (let waitedMs = 0; waitedMs < DEVICE_TIMEOUT_MS; waitedMs += 20) {
    if (child.exitCode !== null || child.pid === undefined) return false;
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
    await sleep(20);
  }
  return false;
}

function qemuArguments(options: VmOptions, deviceSocket: string): readonly string[] {
  const { machine, image, memoryMiB, processors } = options;
  const settings: readonly (readonly [string, string])[] = [
    ...machine.firmware.map((folder) => ['-L', folder] as const),
    ['-M', 'nitro-enclave,vsock=vsock,id=i-trackseal-emulated'],
    ['-accel', 'tcg,thread=multi'],
    ['-cpu', 'max'],
    ['-smp', String(processors)],
    ['-m', `${String(memoryMiB)}M`],
    ['-display', 'none'],
    ['-monitor', 'none'],
    ['-serial', 'stdio'],
    ['-kernel', image],
    // Not measured, like what every hypervisor adds for its devices.
    ['-append', `tsc_early_khz=${String(TSC_KHZ)}`],
    ['-chardev', `socket,id=vsock,path=${deviceSocket}`],
  ];
  return ['-nodefaults', '-no-user-config', '-no-reboot', ...settings.flat()];
}

export class EnclaveVm {
  /** Resolves true with the heartbeat of init, false when the machine ended before. */
  readonly alive: Promise<boolean>;
  readonly ended: Promise<VmEnd>;
  readonly #qemu: Running;
  readonly #device: Running;
  readonly #server: Server;

  private constructor(
    qemu: Running,
    device: Running,
    server: Server,
    heard: { readonly heartbeat: Promise<boolean>; readonly reason: () => string | null },
  ) {
    this.#qemu = qemu;
    this.#device = device;
    this.#server = server;
    this.ended = qemu.ended.then(async (code) => {
      await this.#close();
      return { reason: heard.reason(), code };
    });
    this.alive = Promise.race([heard.heartbeat, qemu.ended.then(() => false)]);
  }

  /** Throws where the vsock device does not start. */
  static async start(options: VmOptions): Promise<EnclaveVm> {
    const { machine, vsock, onConsole } = options;
    const deviceSocket = `${vsock}.vhost`;
    for (const path of [vsock, deviceSocket]) await rm(path, { force: true });
    const heartbeat = Promise.withResolvers<boolean>();
    const server = await listen(`${vsock}_${String(HEARTBEAT_PORT)}`, (socket) => {
      socket.once('data', (bytes) => {
        if (bytes.length !== 1 || bytes[0] !== HEARTBEAT) return;
        socket.end(bytes);
        heartbeat.resolve(true);
      });
    });
    const sockets = ['--socket', deviceSocket, '--uds-path', vsock];
    const device = start(
      machine.vsockDevice,
      ['--guest-cid', String(GUEST_CID), ...sockets],
      onConsole,
    );
    if (!(await waitForSocket(deviceSocket, device))) {
      device.child.kill('SIGKILL');
      server.close();
      throw new Error('the vsock device did not start');
    }
    let last = '';
    const qemu = start(machine.qemu, qemuArguments(options, deviceSocket), (text) => {
      last = (last + text).slice(-KEPT_CHARACTERS);
      onConsole(text);
    });
    return new EnclaveVm(qemu, device, server, {
      heartbeat: heartbeat.promise,
      reason: () => [...last.matchAll(REASON)].at(-1)?.[1] ?? null,
    });
  }

  get pid(): number | undefined {
    return this.#qemu.child.pid;
  }

  /** Like a power cut: no signal reaches the guest. */
  async kill(): Promise<VmEnd> {
    this.#qemu.child.kill('SIGKILL');
    return this.ended;
  }

  async #close(): Promise<void> {
    this.#device.child.kill('SIGKILL');
    await this.#device.ended;
    this.#server.close();
  }
}
