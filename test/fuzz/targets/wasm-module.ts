// enclave/strategy/wasm-module.ts in front of V8: what both let pass must be a module as docs/PROTOCOL.md 11
// has it, seen by V8's own reader.

import { join } from 'node:path';
import { moduleFault } from '../../../enclave/strategy/wasm-module.ts';
import { bundleStrategy } from '../../../scripts/strategy-bundle.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { ROOT } from '../coverage.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';

interface Described {
  readonly name: string;
  readonly kind: string;
}

/** What is used of it; only the types of browsers describe it. */
interface Wasm {
  readonly validate: (bytes: Uint8Array) => boolean;
  readonly Module: {
    new (bytes: Uint8Array): object;
    imports(module: object): readonly (Described & { readonly module: string })[];
    exports(module: object): readonly Described[];
  };
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Wasm };

const EXPORTS: readonly string[] = ['version', 'input', 'configure', 'start', 'onBatch'];

function run(bytes: Uint8Array): string {
  const fault = moduleFault(bytes);
  const valid = WebAssembly.validate(bytes);
  if (fault !== null) {
    expectThat(fault.length < 2048, 'a fault is a short text');
    // The first word: names and numbers in the others would make every refusal a new one.
    return `refused ${String(valid)} ${fault.split(' ')[0] ?? ''}`;
  }
  if (!valid) return 'V8 refuses';
  const module = new WebAssembly.Module(bytes);
  const imports = WebAssembly.Module.imports(module);
  const own = imports.every(
    ({ module: from, kind }) => from === 'trackseal' && kind === 'function',
  );
  expectThat(own, 'an import from elsewhere');
  const exported = new Map(
    WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind] as const),
  );
  expectThat(exported.get('memory') === 'memory', 'no memory is exported');
  const all = EXPORTS.every((name) => exported.get(name) === 'function');
  expectThat(all, 'a function is not exported');
  return `accepted ${String(imports.length)}`;
}

/** `\0asm`, version 1. */
const MAGIC: readonly number[] = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function section(id: number, ...items: readonly (readonly number[])[]): readonly number[] {
  const content = [items.length, ...items.flat()];
  return [id, content.length, ...content];
}

function text(name: string): readonly number[] {
  return [name.length, ...utf8(name)];
}

/** The smallest module that may run: mutants of a compiled strategy seldom hit what matters. */
function smallest(): Uint8Array {
  const functions = EXPORTS.map((name, index) => text(name).concat(0x00, 1 + index));
  const answers = [0x04, 0x00, 0x41, 0x00, 0x0b];
  const nothing = [0x02, 0x00, 0x0b];
  return new Uint8Array([
    ...MAGIC,
    ...section(1, [0x60, 0, 1, 0x7f], [0x60, 0, 0], [0x60, 1, 0x7f, 0]),
    ...section(2, [...text('trackseal'), ...text('subscribe'), 0x00, 2]),
    ...section(3, [0], [0], [0], [1], [1]),
    ...section(5, [0x01, 1, 1]),
    ...section(7, [...text('memory'), 0x02, 0], ...functions),
    ...section(10, answers, answers, answers, nothing, nothing),
  ]);
}

export async function wasmModuleTarget(): Promise<Target> {
  const bytes = await bundleStrategy(join(ROOT, 'strategies/assembly/mean-reversion.ts'));
  return {
    name: 'wasm-module',
    files: ['enclave/strategy/wasm-module.ts'],
    maxBytes: 64 * 1024,
    seeds: [smallest(), bytes],
    mutate: mutateBytes,
    run,
  };
}
