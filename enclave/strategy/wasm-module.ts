// Which WebAssembly modules may be a strategy (docs/PROTOCOL.md 11): one memory with a maximum, imports and
// exports of a closed list, and a closed list of instructions, so that nothing whose result the specification
// leaves open gets in: no threads, vectors, exceptions, references, growing tables. V8 validates the module
// after this reader; here it is only looked at for what V8 allows and we do not. Hostile bytes are refused.

import { parseUtf8 } from '../../wire/bytes.ts';

/** Pages of 64 KiB: 256 MiB, as much as the heap of a strategy in JavaScript. */
const MAX_MEMORY_PAGES = 4096;
const MAX_TABLE_ENTRIES = 65_536;

/** Signatures: parameters `>` results; i and I are i32 and i64, f and F are f32 and f64. */
const IMPORTS: ReadonlyMap<string, string> = new Map([
  ['text', 'iii>i'],
  ['instrument', 'i>i'],
  ['subscribe', 'i>'],
  ['bars', 'i>'],
  ['random', '>I'],
  ['level', 'iiii>I'],
  ['bar', 'iiii>I'],
  ['report', 'ii>I'],
  ['fill', 'iii>I'],
  ['signal', 'iiIIi>I'],
]);
const IMPORT_MODULE = 'trackseal';
const EXPORTS: ReadonlyMap<string, string> = new Map([
  ['version', '>i'],
  ['input', '>i'],
  ['configure', '>i'],
  ['start', '>'],
  ['onBatch', '>'],
]);

/**
 * First and last opcode, and what follows them: u an index or a 32-bit number, l a 64-bit number, 4 and 8 so
 * many bytes, b a block's type, v types, t indexes, a an alignment, z a zero byte. 0xfc00 + n is n after 0xfc.
 */
const INSTRUCTIONS: readonly (readonly [first: number, last: number, immediates: string])[] = [
  [0x00, 0x01, ''], // unreachable, nop
  [0x02, 0x04, 'b'], // block, loop, if
  [0x05, 0x05, ''], // else
  [0x0b, 0x0b, ''], // end
  [0x0c, 0x0d, 'u'], // br, br_if
  [0x0e, 0x0e, 'tu'], // br_table
  [0x0f, 0x0f, ''], // return
  [0x10, 0x10, 'u'], // call
  [0x11, 0x11, 'uu'], // call_indirect
  [0x1a, 0x1b, ''], // drop, select
  [0x1c, 0x1c, 'v'], // select with types
  [0x20, 0x24, 'u'], // local and global variables
  [0x28, 0x3e, 'au'], // loads and stores
  [0x3f, 0x40, 'z'], // memory.size, memory.grow
  [0x41, 0x41, 'u'], // i32.const
  [0x42, 0x42, 'l'], // i64.const
  [0x43, 0x43, '4'], // f32.const
  [0x44, 0x44, '8'], // f64.const
  [0x45, 0xc4, ''], // comparisons, arithmetic, conversions, sign extension
  [0xfc00, 0xfc07, ''], // saturating conversions
  [0xfc08, 0xfc08, 'uz'], // memory.init
  [0xfc09, 0xfc09, 'u'], // data.drop
  [0xfc0a, 0xfc0a, 'zz'], // memory.copy
  [0xfc0b, 0xfc0b, 'z'], // memory.fill
];
const PREFIX = 0xfc;
const END = 0x0b;
const IMMEDIATES = new Map<number, string>();
for (const [first, last, immediates] of INSTRUCTIONS) {
  for (let opcode = first; opcode <= last; opcode++) IMMEDIATES.set(opcode, immediates);
}

const VALUE_TYPES: ReadonlyMap<number, string> = new Map([
  [0x7f, 'i'],
  [0x7e, 'I'],
  [0x7d, 'f'],
  [0x7c, 'F'],
]);
const SECTION = {
  types: 1,
  imports: 2,
  functions: 3,
  table: 4,
  memory: 5,
  globals: 6,
  exports: 7,
  code: 10,
};
const LAST_SECTION = 12;
const KIND = { function: 0, memory: 2 };
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;
const EMPTY_BLOCK = 0x40;
/** Of limits: there is a maximum. The other bits are shared memory, 64-bit memory and page sizes. */
const HAS_MAXIMUM = 1;
const MAX_ALIGNMENT = 3;

/** Caught in `moduleFault` only. */
class Refused extends Error {}

class ModuleReader {
  readonly #bytes: Uint8Array;
  #at = 8;
  readonly #types: string[] = [];
  /** Signature of each function, imported ones first. */
  readonly #functions: string[] = [];
  #memories = 0;
  readonly #exports = new Map<string, { readonly kind: number; readonly index: number }>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): void {
    const version = this.#bytes.subarray(4, 8);
    if (version.join() !== '1,0,0,0') throw new Refused('version');
    while (this.#at < this.#bytes.length) {
      const section = this.#byte();
      const end = this.#end();
      if (section > LAST_SECTION) throw new Refused(`section ${section}`);
      if (!this.#readSection(section)) this.#at = end;
      if (this.#at !== end) throw new Refused(`section ${section}`);
    }
    this.#checkExports();
  }

  /** False for a section that has nothing that V8 would allow and we would not. */
  #readSection(section: number): boolean {
    if (section === SECTION.types) this.#each(() => this.#types.push(this.#type()));
    else if (section === SECTION.imports) this.#each(() => this.#functions.push(this.#import()));
    else if (section === SECTION.functions)
      this.#each(() => this.#functions.push(this.#signature()));
    else if (section === SECTION.table) this.#each(() => this.#table());
    else if (section === SECTION.memory) this.#each(() => this.#memory());
    else if (section === SECTION.globals) this.#each(() => this.#global());
    else if (section === SECTION.exports) this.#each(() => this.#export());
    else if (section === SECTION.code) this.#each(() => this.#body());
    else return false;
    return true;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Refused('end');
    this.#at++;
    return byte;
  }

  /** LEB128, also in more bytes than needed, as V8 takes it; only the low 32 bits count. */
  #u32(maxBytes = 5): number {
    let value = 0;
    for (let index = 0; index < maxBytes; index++) {
      const byte = this.#byte();
      if (index < 5) value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return value;
    }
    throw new Refused('integer');
  }

  #end(): number {
    const length = this.#u32();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Refused('end');
    return end;
  }

  #each(read: () => unknown): void {
    for (let left = this.#u32(); left > 0; left--) read();
  }

  #name(): string {
    const end = this.#end();
    const text = parseUtf8(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    if (text === null) throw new Refused('name');
    return text;
  }

  #valueType(): string {
    const type = VALUE_TYPES.get(this.#byte());
    if (type === undefined) throw new Refused('type');
    return type;
  }

  #type(): string {
    if (this.#byte() !== FUNCTION_TYPE) throw new Refused('type');
    let signature = '';
    this.#each(() => (signature += this.#valueType()));
    signature += '>';
    this.#each(() => (signature += this.#valueType()));
    return signature;
  }

  #signature(): string {
    const signature = this.#types[this.#u32()];
    if (signature === undefined) throw new Refused('type');
    return signature;
  }

  #import(): string {
    const [module, name] = [this.#name(), this.#name()];
    const signature = module === IMPORT_MODULE ? IMPORTS.get(name) : undefined;
    if (signature === undefined) throw new Refused(`import ${module}.${name}`);
    if (this.#byte() !== KIND.function || this.#signature() !== signature) {
      throw new Refused(`type of import ${name}`);
    }
    return signature;
  }

  #export(): void {
    this.#exports.set(this.#name(), { kind: this.#byte(), index: this.#u32() });
  }

  #table(): void {
    if (this.#byte() !== FUNCREF) throw new Refused('table');
    const flags = this.#byte();
    const minimum = this.#u32();
    if (flags > HAS_MAXIMUM || minimum > MAX_TABLE_ENTRIES) throw new Refused('table');
    if (flags === HAS_MAXIMUM) this.#u32();
  }

  #memory(): void {
    this.#memories++;
    if (this.#byte() !== HAS_MAXIMUM) throw new Refused('memory without a maximum, or shared');
    this.#u32();
    if (this.#u32() > MAX_MEMORY_PAGES) throw new Refused('memory beyond the limit');
  }

  #global(): void {
    this.#valueType();
    this.#byte();
    while (this.#instruction() !== END);
  }

  #checkExports(): void {
    if (this.#memories !== 1 || this.#exports.get('memory')?.kind !== KIND.memory) {
      throw new Refused('no export memory');
    }
    for (const [name, signature] of EXPORTS) {
      const found = this.#exports.get(name);
      const isRight = found?.kind === KIND.function && this.#functions[found.index] === signature;
      if (!isRight) throw new Refused(`no export ${name} of its type`);
    }
  }

  #body(): void {
    const end = this.#end();
    this.#each(() => {
      this.#u32();
      this.#valueType();
    });
    while (this.#at < end) this.#instruction();
    if (this.#at !== end) throw new Refused('code');
  }

  /** Answers its opcode. */
  #instruction(): number {
    const byte = this.#byte();
    const opcode = byte === PREFIX ? PREFIX * 0x100 + this.#u32() : byte;
    const immediates = IMMEDIATES.get(opcode);
    if (immediates === undefined) throw new Refused(`instruction 0x${opcode.toString(16)}`);
    for (const immediate of immediates) this.#immediate(immediate);
    return opcode;
  }

  #immediate(kind: string): void {
    if (kind === 'u') this.#u32();
    else if (kind === 'l') this.#u32(10);
    else if (kind === 'b') this.#blockType();
    else if (kind === 'v') this.#each(() => this.#valueType());
    else if (kind === 't') this.#each(() => this.#u32());
    else if (kind === '4' || kind === '8') this.#at += Number(kind);
    else if (this.#byte() > (kind === 'a' ? MAX_ALIGNMENT : 0)) throw new Refused('memory index');
  }

  #blockType(): void {
    const first = this.#bytes[this.#at] ?? 0;
    if (first === EMPTY_BLOCK || VALUE_TYPES.has(first)) this.#at++;
    // Other single bytes with the sign bit are types that we do not have.
    else if (first > EMPTY_BLOCK && first < 0x80) throw new Refused('type');
    else this.#u32();
  }
}

/** Null for a module that may run; otherwise what is wrong with it, in words for its author only. */
export function moduleFault(bytes: Uint8Array): string | null {
  try {
    new ModuleReader(bytes).read();
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}
