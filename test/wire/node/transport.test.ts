import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VsockDevice } from '../../../simulator/vsock-device.ts';
import { hvsockTransport } from '../../../wire/node/hvsock.ts';
import { parseTransport } from '../../../wire/node/parse-transport.ts';
import type { Transport } from '../../../wire/node/transport.ts';
import { connectUnix, unixTransport } from '../../../wire/node/unix.ts';
import { vsockTransport } from '../../../wire/node/vsock.ts';
import { hasCompiler, openTestAddon } from '../../helpers/native-addon.ts';
import { contractCases, FULL_SIZES, SAMPLE_SIZES } from './transport-contract.ts';

const everything = env['TRACKSEAL_CONTRACT'] === 'everything';
const sizes = everything ? FULL_SIZES : SAMPLE_SIZES;

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ts-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface Pair {
  readonly client: Transport;
  readonly server: Transport;
  readonly close?: () => void;
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function keepsTheContract(open: () => Promise<Pair>, halfClose: boolean): void {
  it.each(contractCases(halfClose).map(({ name, run }) => [name, run] as const))(
    '%s',
    async (_, run) => {
      const { client, server, close } = await open();
      try {
        const kept = run({ client, server, halfClose, sizes, openDescriptors });
        await expect(kept).resolves.toBeUndefined();
      } finally {
        close?.();
      }
    },
    everything ? 600_000 : 60_000,
  );
}

describe('unix:', () => {
  keepsTheContract(() => {
    const transport = unixTransport(directory);
    return Promise.resolve({ client: transport, server: transport });
  }, true);
});

describe('hvsock:, the host dials', () => {
  keepsTheContract(async () => {
    const path = join(directory, 'vm.vsock');
    const device = await VsockDevice.open(path);
    const close = (): void => {
      device.close();
    };
    return { client: hvsockTransport(path), server: device.guest, close };
  }, false);
});

describe('hvsock:, the guest dials', () => {
  keepsTheContract(async () => {
    const path = join(directory, 'vm.vsock');
    const device = await VsockDevice.open(path);
    const close = (): void => {
      device.close();
    };
    return { client: device.guest, server: hvsockTransport(path), close };
  }, false);
});

describe('hvsock: over a device that carries half-close', () => {
  keepsTheContract(async () => {
    const path = join(directory, 'vm.vsock');
    const device = await VsockDevice.open(path, { halfClose: true });
    const close = (): void => {
      device.close();
    };
    return { client: hvsockTransport(path), server: device.guest, close };
  }, true);
});

describe.runIf(hasCompiler)('vsock:, with the system calls of Unix sockets', () => {
  let transport: Transport;
  beforeAll(async () => {
    transport = vsockTransport(await openTestAddon(), [1]);
  });
  keepsTheContract(() => Promise.resolve({ client: transport, server: transport }), true);
});

describe('a socket file that a killed listener has left', () => {
  it.each(['unix', 'hvsock'])('%s: is replaced', async (scheme) => {
    const path = join(directory, 'vm');
    const stale = scheme === 'unix' ? join(directory, '7001') : `${path}_7001`;
    // As SIGKILL leaves it: the process is gone, the file is not.
    const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script, stale]);
    expect(statSync(stale).isSocket()).toBe(true);
    const transport = scheme === 'unix' ? unixTransport(directory) : hvsockTransport(path);
    await expect(connectUnix(stale)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const listener = await transport.listen(7001, (stream) => {
      stream.end('new');
    });
    const socket = await connectUnix(stale);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    expect(String(chunk)).toBe('new');
    socket.destroy();
    await listener.close();
    expect(existsSync(stale)).toBe(false);
  });
});

describe('parseTransport', () => {
  it.each([
    ['', 'must be unix:DIR'],
    ['unix', 'must be unix:DIR'],
    ['tcp:1.2.3.4', 'must be unix:DIR'],
    ['unix:', 'unix: needs a path'],
    ['hvsock:', 'hvsock: needs a path'],
    [`hvsock:/${'a'.repeat(101)}`, 'at most 101 bytes'],
    ['vsock:', 'needs the CID'],
    ['vsock:0', 'needs the CID'],
    ['vsock:-1', 'needs the CID'],
    ['vsock:016', 'needs the CID'],
    ['vsock:4294967295', 'needs the CID'],
    ['vsock:3x', 'needs the CID'],
    ['vsock:16', 'needs the native addon'],
    ['vsock:parent', 'needs the native addon'],
  ])('%s: %s', (address, problem) => {
    expect(parseTransport(address)).toEqual({
      ok: false,
      problem: expect.stringContaining(problem) as string,
    });
  });

  it.each(['unix:/run/x', `hvsock:/${'a'.repeat(100)}`])('takes %s', (address) => {
    expect(parseTransport(address).ok).toBe(true);
  });

  it('says why an addon cannot be loaded', async () => {
    const path = join(directory, 'addon.node');
    expect(parseTransport('vsock:16', path)).toMatchObject({ ok: false });
    await writeFile(path, 'no shared object');
    expect(parseTransport('vsock:16', path)).toEqual({
      ok: false,
      problem: expect.stringContaining('the native addon cannot be loaded') as string,
    });
  });
});
