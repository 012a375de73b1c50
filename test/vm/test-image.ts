// Images for tests: kernel, command line and boot ramdisk of the production image, byte for byte, and its application
// ramdisk with other programs beside Node. They are measured like any image and never leave the test.

import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { BUNDLE_OPTIONS } from '../../eif/build/bundles.ts';
import type { EifImage } from '../../eif/reader.ts';
import { parseEif } from '../../eif/reader.ts';
import type { RamdiskEntry } from '../../eif/ramdisk.ts';
import { encodeRamdisk, parseRamdisk } from '../../eif/ramdisk.ts';
import { encodeEif } from '../../eif/writer.ts';
import { openMachine } from '../../scripts/vm/machine.ts';
import type { VmEnd } from '../../scripts/vm/enclave-vm.ts';
import { EnclaveVm } from '../../scripts/vm/enclave-vm.ts';
import { utf8 } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import { closeAfterwards } from '../e2e/processes.ts';
import { IMAGE } from './place.ts';

export interface TestFile {
  /** In the application's file system, below /test. */
  readonly name: string;
  readonly data: Uint8Array;
  readonly mode: 0o644 | 0o755;
}

interface Parts {
  readonly kernel: Uint8Array;
  readonly cmdline: Uint8Array;
  readonly metadata: Uint8Array;
  readonly boot: Uint8Array;
  readonly application: Uint8Array;
}

function partsOf({ sections }: EifImage): Parts {
  const data = (type: string, at = 0): Uint8Array => {
    const found = sections.filter((section) => section.type === type)[at];
    if (found === undefined) throw new Error(`${IMAGE} has no ${type} no. ${at}`);
    return found.data;
  };
  return {
    kernel: data('kernel'),
    cmdline: data('cmdline'),
    metadata: data('metadata'),
    boot: data('ramdisk'),
    application: data('ramdisk', 1),
  };
}

/** Writes the image whose only program is `command`. */
export function writeTestImage(
  path: string,
  files: readonly TestFile[],
  command: readonly string[],
  boot: (ramdisk: Uint8Array) => Uint8Array = (ramdisk) => ramdisk,
  cmdline: (shipped: string) => string = (shipped) => shipped,
): void {
  const parts = partsOf(assertAccepted(parseEif(new Uint8Array(readFileSync(IMAGE)))));
  const entries = assertAccepted(parseRamdisk(new Uint8Array(gunzipSync(parts.application))));
  const own: readonly RamdiskEntry[] = [
    { type: 'directory', path: 'rootfs/test', mode: 0o755 },
    ...files.map(({ name, data, mode }) => {
      return { type: 'file', path: `rootfs/test/${name}`, data, mode } as const;
    }),
    { type: 'file', path: 'cmd', mode: 0o644, data: utf8(`${command.join('\n')}\n`) },
  ];
  const application = encodeRamdisk([...entries.filter((entry) => entry.path !== 'cmd'), ...own]);
  const image = encodeEif({
    architecture: 'x86_64',
    kernel: parts.kernel,
    cmdline: utf8(cmdline(new TextDecoder().decode(parts.cmdline))),
    metadata: parts.metadata,
    ramdisks: [boot(parts.boot), new Uint8Array(gzipSync(application, { level: 1 }))],
    signature: null,
  });
  writeFileSync(path, image);
}

/** A program of test/vm/guest, bundled. */
export async function guestProgram(name: string): Promise<TestFile> {
  const { outputFiles } = await build({
    ...BUNDLE_OPTIONS,
    entryPoints: [`test/vm/guest/${name}.ts`],
    write: false,
  });
  const data = outputFiles[0]?.contents;
  if (data === undefined) throw new Error(`no output for ${name}`);
  return { name: `${name}.mjs`, data, mode: 0o644 };
}

/** A file of the production image's application. */
export const ADDON = '/trackseal/addon.node';
export const NODE = '/trackseal/node';

export interface GuestRun {
  readonly end: VmEnd;
  readonly console: string;
  /** Lines of the console that are JSON objects. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

function jsonOf(line: string): Readonly<Record<string, unknown>> | null {
  try {
    return line.startsWith('{') ? (JSON.parse(line) as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

export interface StartedGuest {
  readonly vm: EnclaveVm;
  /** What its console has said so far. */
  readonly console: () => string;
}

/** Boots an image; the machine ends with the test. */
export async function startGuest(image: string, vsock: string): Promise<StartedGuest> {
  let console = '';
  const vm = await EnclaveVm.start({
    machine: await openMachine(() => {}),
    image,
    vsock,
    memoryMiB: 2048,
    processors: 2,
    onConsole: (text) => {
      console += text;
    },
  });
  closeAfterwards(async () => {
    await vm.kill();
  });
  return { vm, console: () => console };
}

/** Boots an image that needs no host, until its program ends. */
export async function runGuest(image: string, vsock: string): Promise<GuestRun> {
  const guest = await startGuest(image, vsock);
  const end = await guest.vm.ended;
  const console = guest.console();
  const lines = console.split(/\r?\n/u).map(jsonOf);
  return { end, console, lines: lines.filter((line) => line !== null) };
}
