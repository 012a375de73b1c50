// WebAssembly modules from text, for tests: strategies of a few lines, honest and hostile. The assembler is
// the one that comes with the AssemblyScript compiler.

/** What is used of the assembler; its own types would add globals to every file of this project. */
interface Assembler {
  readonly Features: { readonly All: number };
  readonly parseText: (text: string) => {
    setFeatures(features: number): void;
    emitBinary(): Uint8Array;
    dispose(): void;
  };
}
const ASSEMBLER: string = 'assemblyscript/binaryen';

/** The module is not validated: what is wrong in it is for its reader to find. */
export async function assemble(text: string): Promise<Uint8Array> {
  const { default: assembler } = (await import(ASSEMBLER)) as { default: Assembler };
  const module = assembler.parseText(text);
  module.setFeatures(assembler.Features.All);
  const bytes = module.emitBinary().slice();
  module.dispose();
  return bytes;
}

const IMPORTS = `
  (import "trackseal" "text" (func $text (param i32 i32 i32) (result i32)))
  (import "trackseal" "instrument" (func $instrument (param i32) (result i32)))
  (import "trackseal" "subscribe" (func $subscribe (param i32)))
  (import "trackseal" "bars" (func $bars (param i32)))
  (import "trackseal" "random" (func $random (result i64)))
  (import "trackseal" "level" (func $level (param i32 i32 i32 i32) (result i64)))
  (import "trackseal" "bar" (func $bar (param i32 i32 i32 i32) (result i64)))
  (import "trackseal" "report" (func $report (param i32 i32) (result i64)))
  (import "trackseal" "fill" (func $fill (param i32 i32 i32) (result i64)))
  (import "trackseal" "signal" (func $signal (param i32 i32 i64 i64 i32) (result i64)))`;

/** Parts of a strategy in text; those that are not given are the simplest that work. */
export interface WatParts {
  readonly imports?: string;
  readonly memory?: string;
  readonly version?: string;
  readonly input?: string;
  /** Bodies of the functions. */
  readonly configure?: string;
  readonly start?: string;
  readonly onBatch?: string;
  /** Further fields of the module. */
  readonly more?: string;
}

/** A strategy that subscribes to instrument 7 and does what `onBatch` says. */
export function watOf(parts: WatParts = {}): string {
  return `(module
    ${parts.imports ?? IMPORTS}
    ${parts.memory ?? '(memory (export "memory") 2 16)'}
    ${parts.version ?? '(func (export "version") (result i32) (i32.const 1))'}
    ${parts.input ?? '(func (export "input") (result i32) (i32.const 0))'}
    (func (export "configure") (result i32)
      ${parts.configure ?? '(call $subscribe (i32.const 7)) (i32.const 1)'})
    (func (export "start") ${parts.start ?? ''})
    (func $onBatch (export "onBatch") ${parts.onBatch ?? ''})
    ${parts.more ?? ''})`;
}

/** One signal to buy; fields can be replaced. */
export function watSignal(
  fields: Partial<Record<'instrument' | 'side' | 'quantity' | 'limit' | 'ttlMs', string>> = {},
): string {
  const all = {
    instrument: '(i32.const 7)',
    side: '(i32.const 1)',
    quantity: '(i64.const 10)',
    limit: '(i64.const 268000)',
    ttlMs: '(i32.const 1000)',
    ...fields,
  };
  return `(drop (call $signal ${all.instrument} ${all.side} ${all.quantity} ${all.limit} ${all.ttlMs}))`;
}

export function strategyOf(parts: WatParts = {}): Promise<Uint8Array> {
  return assemble(watOf(parts));
}
