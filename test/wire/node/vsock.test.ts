// The addon with its sockets as Unix sockets (test/native/unix-for-vsock.c), and the streams made of them.

import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compileNative } from '../../../eif/build/native.ts';
import { generateTlsKey } from '../../../enclave/desk/keys.ts';
import { createCertificate } from '../../../enclave/desk/tls-certificate.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import { MAX_WRITE_BYTES } from '../../../wire/limits.ts';
import type { NativeAddon } from '../../../wire/node/native-addon.ts';
import type { PipeHandle } from '../../../wire/node/pipe-handle.ts';
import { openPipe, streamOfPipe } from '../../../wire/node/pipe-handle.ts';
import { parsePeer, vsockTransport } from '../../../wire/node/vsock.ts';
import { hasCompiler, openTestAddon } from '../../helpers/native-addon.ts';

const PORT = 6000;
/** What the stand-in for the system calls does with CIDs. */
const CID = { here: 1, nobody: 7, silent: 8, unreachable: 9 };

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

describe('parsePeer', () => {
  it.each([
    ['parent', [3, 2]],
    ['1', [1]],
    ['16', [16]],
    ['4294967294', [4_294_967_294]],
    ['4294967295', null],
    ['0', null],
    ['', null],
    ['16 ', null],
    ['0x10', null],
    ['99999999999', null],
  ])('%j', (given, cids) => {
    expect(parsePeer(given)).toEqual(cids);
  });
});

describe.runIf(hasCompiler)('the native addon', () => {
  let addon: NativeAddon;
  let directory = '';
  beforeAll(async () => {
    addon = await openTestAddon();
    directory = mkdtempSync(join(tmpdir(), 'ts-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });
  afterEach(() => {
    delete env['TRACKSEAL_TEST_PEER_CID'];
  });

  it('tries the CIDs in their order, and keeps the first that accepts', async () => {
    const tried: number[] = [];
    const recording: NativeAddon = {
      ...addon,
      connect: (cid, port) => {
        tried.push(cid);
        return addon.connect(cid, port);
      },
    };
    const transport = vsockTransport(recording, [CID.unreachable, CID.nobody, CID.here]);
    await expect(transport.connect(PORT)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(tried.splice(0)).toEqual([CID.unreachable, CID.nobody, CID.here]);
    const listener = await transport.listen(PORT, (stream) => stream.resume().end());
    for (const expected of [[CID.unreachable, CID.nobody, CID.here], [CID.here], [CID.here]]) {
      (await transport.connect(PORT)).destroy();
      expect(tried.splice(0)).toEqual(expected);
    }
    await listener.close();
    await expect(transport.connect(PORT)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(tried).toEqual([CID.here]);
  });

  it.each([
    ['1', [1], true],
    ['2', [1], false],
    ['3', [3, 2], true],
    ['2', [3, 2], true],
    ['1', [3, 2], false],
  ])('a listener asked by CID %s that expects %j: %s', async (peer, cids, taken) => {
    env['TRACKSEAL_TEST_PEER_CID'] = peer;
    const streams: Duplex[] = [];
    const listener = await vsockTransport(addon, cids).listen(PORT, (stream) => {
      streams.push(stream);
      stream.write('welcome');
      stream.end();
      stream.resume();
    });
    const near = await vsockTransport(addon, [CID.here]).connect(PORT);
    const heard = text(near);
    expect(await heard).toBe(taken ? 'welcome' : '');
    near.destroy();
    expect(streams.length).toBe(taken ? 1 : 0);
    await listener.close();
  });

  it('does not wait for a connection longer than told, and holds nobody else up', async () => {
    let turns = 0;
    const turning = setInterval(() => turns++, 5);
    const before = openDescriptors();
    const waiting = addon.connected(addon.connect(CID.silent, PORT), 150);
    await expect(waiting).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    clearInterval(turning);
    expect(turns).toBeGreaterThan(2);
    // The other end of the full pipe is the stand-in's.
    expect(openDescriptors()).toBe(before + 1);
  });

  it('leaves no descriptor behind when it fails', async () => {
    const before = openDescriptors();
    for (let count = 0; count < 50; count++) {
      expect(() => addon.connect(CID.unreachable, PORT)).toThrow(
        expect.objectContaining({ code: 'ENODEV' }),
      );
      const dialled = addon.connected(addon.connect(CID.nobody, PORT), 1000);
      await expect(dialled).rejects.toMatchObject({ code: 'ECONNRESET' });
    }
    const listener = await vsockTransport(addon, [1]).listen(PORT, (stream) => stream.destroy());
    for (let count = 0; count < 50; count++) {
      expect(() => addon.bind(PORT)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
      const second = vsockTransport(addon, [1]).listen(PORT, (stream) => stream.destroy());
      await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
    }
    await listener.close();
    expect(openDescriptors()).toBe(before);
  });

  it('closes a descriptor that cannot be waited for', () => {
    const before = openDescriptors();
    const file = openSync('/etc/hostname', 'r');
    expect(() => addon.connected(file, 1000)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    expect(openDescriptors()).toBe(before);
    expect(() => openPipe(1_000_000, 'SOCKET')).toThrow(/EBADF/u);
  });

  it('refuses wrong arguments', () => {
    const wrong: readonly (readonly [keyof NativeAddon, readonly unknown[]])[] = [
      ['connect', []],
      ['connect', [1]],
      ['connect', [1, -1]],
      ['connect', [2 ** 32, 1]],
      ['connect', [1, 1.5]],
      ['connect', [1, '5000']],
      ['connect', [Number.NaN, 1]],
      ['connect', [Number.POSITIVE_INFINITY, 1]],
      ['connected', [3]],
      ['connected', [3, -1]],
      ['connected', [-1, 10]],
      ['bind', []],
      ['bind', [null]],
      ['bind', [-5]],
      ['peerCid', ['x']],
      ['peerCid', []],
    ];
    const before = openDescriptors();
    for (const [name, values] of wrong) {
      expect(
        () => Reflect.apply(addon[name], null, values),
        JSON.stringify([name, values]),
      ).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    }
    expect(openDescriptors()).toBe(before);
  });

  describe('streams', () => {
    interface Write {
      readonly call: string;
      readonly bytes: number;
    }

    /** Notes each call that could become a system call that writes. */
    function record(handle: PipeHandle): readonly Write[] {
      const writes: Write[] = [];
      const methods = handle as unknown as Record<string, (...values: unknown[]) => unknown>;
      for (const call of ['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String']) {
        const original = methods[call];
        if (original === undefined) throw new Error(`no ${call} in this Node`);
        methods[call] = (...values) => {
          const data = values[1] as { length: number };
          writes.push({ call, bytes: data.length });
          return Reflect.apply(original, handle, values);
        };
      }
      return writes;
    }

    async function recorded(
      onFar: (stream: Duplex) => void,
    ): Promise<{ near: Duplex; writes: readonly Write[]; close: () => Promise<void> }> {
      const listener = await vsockTransport(addon, [CID.here]).listen(PORT, onFar);
      const descriptor = await addon.connected(addon.connect(CID.here, PORT), 1000);
      const handle = openPipe(descriptor, 'SOCKET');
      const writes = record(handle);
      return { near: streamOfPipe(handle), writes, close: () => listener.close() };
    }

    /** What a recording says: which calls, the largest one, and all of them together. */
    function summary(writes: readonly Write[]): {
      calls: readonly string[];
      largest: number;
      total: number;
    } {
      return {
        calls: [...new Set(writes.map(({ call }) => call))],
        largest: Math.max(...writes.map(({ bytes }) => bytes)),
        total: writes.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    }

    it('write at most 32 KiB at once and never join pieces', async () => {
      let received = 0;
      const { near, writes, close } = await recorded((far) => {
        far.on('data', (chunk: Buffer) => {
          received += chunk.length;
        });
        far.on('end', () => far.end());
      });
      const sizes = [1, 32_767, 32_768, 32_769, 1_000_000, 7, 7, 7];
      near.cork();
      for (const size of sizes) near.write(Buffer.alloc(size));
      near.uncork();
      for (let count = 0; count < 100; count++) near.write('text');
      near.end('x'.repeat(100_000));
      near.resume();
      await new Promise((resolve) => near.once('close', resolve));
      const total = sizes.reduce((sum, size) => sum + size, 0) + 400 + 100_000;
      expect(received).toBe(total);
      const calls = ['writeBuffer'];
      expect(summary(writes)).toEqual({ calls, largest: MAX_WRITE_BYTES, total });
      await close();
    });

    it('write at most 32 KiB at once under TLS, in both roles', async () => {
      const key = generateTlsKey();
      const server = createTlsServer({
        key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }),
        cert: await createCertificate(key, ['localhost'], Date.now()),
      });
      let far: readonly Write[] = [];
      // The accepting side, with a handle that is recorded, too.
      const binding = openPipe(addon.bind(PORT + 1), 'SERVER');
      binding.onconnection = (_, client) => {
        if (client === undefined) throw new Error('no client');
        far = record(client);
        server.emit('connection', streamOfPipe(client));
      };
      binding.listen(5);
      server.on('secureConnection', (socket) => {
        socket.on('error', () => undefined);
        socket.pipe(socket);
      });
      const descriptor = await addon.connected(addon.connect(CID.here, PORT + 1), 1000);
      const handle = openPipe(descriptor, 'SOCKET');
      const near = record(handle);
      const socket = connectTls({ socket: streamOfPipe(handle), rejectUnauthorized: false });
      const bytes = 2_000_000;
      let received = 0;
      const echoed = new Promise((resolve) => {
        socket.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (received === bytes) resolve(null);
        });
      });
      socket.write(Buffer.alloc(bytes, 7));
      await echoed;
      socket.destroy();
      for (const { calls, largest, total } of [near, far].map(summary)) {
        expect(calls).toEqual(['writeBuffer']);
        expect(largest).toBeLessThanOrEqual(MAX_WRITE_BYTES);
        // TLS past JavaScript would leave the record empty.
        expect(total).toBeGreaterThan(bytes);
      }
      await new Promise<void>((resolve) => {
        binding.close(resolve);
      });
    });
  });

  it('makes streams of descriptors that were not made by it, and nothing reaches stderr', async () => {
    const path = join(directory, 'addon.node');
    await compileNative(ROOT, path);
    const script = `
      import { loadAddon } from '${ROOT}wire/node/native-addon.ts';
      import { openPipe, streamOfPipe } from '${ROOT}wire/node/pipe-handle.ts';
      const addon = loadAddon(process.argv[1]);
      let code = null;
      try { addon.peerCid(3); } catch (error) { code = error.code; }
      const stream = streamOfPipe(openPipe(await addon.connected(3, 1000), 'SOCKET'));
      stream.write(code + ' ');
      stream.pipe(stream);
    `;
    const child = spawn(execPath, ['--input-type=module', '-e', script, path], {
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
      env: {},
    });
    const pipe = child.stdio[3] as Duplex;
    if (child.stderr === null) throw new Error('no pipe');
    const said = text(child.stderr);
    const heard = text(pipe);
    pipe.end(Buffer.alloc(100_000, 'e'));
    expect(await heard).toBe(`EAFNOSUPPORT ${'e'.repeat(100_000)}`);
    expect(await said).toBe('');
  });

  it('is compiled the same twice, without a trace of the place', async () => {
    const paths = [join(directory, 'one.node'), join(directory, 'two', 'addon.node')];
    for (const path of paths) await compileNative(ROOT, path);
    const [one, two] = paths.map((path) => readFileSync(path));
    expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
    for (const trace of [ROOT, directory, tmpdir()]) expect(one?.includes(trace)).toBe(false);
    expect(one?.includes('__stack_chk_fail')).toBe(true);
  });
});
