// Mutations of DER with lengths that are made right again: other tags, contents, times, identifiers,
// elements twice, missing or swapped; and length forms that only BER allows.

import { parseHex, utf8 } from '../../../wire/bytes.ts';
import type { Random } from '../random.ts';
import type { Mutator } from './bytes.ts';
import { mutateBytes } from './bytes.ts';
import { interestingLength } from './values.ts';

export interface DerNode {
  tag: number;
  /** Null: the content is `items`. */
  content: Uint8Array | null;
  items: DerNode[];
  form: 'der' | 'long' | 'indefinite' | 'more' | 'less';
}

const MAX_DEPTH = 24;

export function copyDer(node: DerNode): DerNode {
  return { ...node, items: node.items.map((item) => copyDer(item)) };
}

function readNodes(bytes: Uint8Array, depth: number): DerNode[] | null {
  const nodes: DerNode[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const tag = bytes[offset] ?? 0;
    const first = bytes[offset + 1];
    if (first === undefined || (tag & 31) === 31) return null;
    const width = first === 0x81 ? 1 : first === 0x82 ? 2 : 0;
    if (first > 127 && width === 0) return null;
    let length = width === 0 ? first : 0;
    for (let step = 0; step < width; step++)
      length = length * 256 + (bytes[offset + 2 + step] ?? 0);
    const start = offset + 2 + width;
    const end = start + length;
    if (end > bytes.length) return null;
    nodes.push(readContent(tag, bytes.subarray(start, end), depth));
    offset = end;
  }
  return nodes;
}

function readContent(tag: number, content: Uint8Array, depth: number): DerNode {
  const wraps = (tag & 0x20) !== 0 || (tag === 0x04 && content.length > 2);
  const items = wraps && depth < MAX_DEPTH ? readNodes(content, depth + 1) : null;
  return items === null || (items.length === 0 && tag === 0x04)
    ? { tag, content, items: [], form: 'der' }
    : { tag, content: null, items, form: 'der' };
}

/** Null when the bytes are not exactly one element. */
export function readDer(bytes: Uint8Array): DerNode | null {
  const nodes = readNodes(bytes, 0);
  return nodes?.length === 1 ? (nodes[0] ?? null) : null;
}

/** Written from the end, so that a length is known when its head is. */
class BackwardsWriter {
  #bytes = new Uint8Array(4096);
  #start = 4096;

  get length(): number {
    return this.#bytes.length - this.#start;
  }

  put(piece: ArrayLike<number>): void {
    if (piece.length > this.#start) {
      const grown = new Uint8Array(2 * this.#bytes.length + piece.length);
      grown.set(this.#bytes.subarray(this.#start), grown.length - this.length);
      this.#start = grown.length - this.length;
      this.#bytes = grown;
    }
    this.#start -= piece.length;
    this.#bytes.set(piece, this.#start);
  }

  take(): Uint8Array {
    return this.#bytes.slice(this.#start);
  }
}

function lengthOf(length: number, form: DerNode['form']): readonly number[] {
  if (form === 'indefinite') return [0x80];
  const said = Math.max(0, length + (form === 'more' ? 1 : form === 'less' ? -1 : 0));
  if (form === 'long') return [0x83, said >> 16, said >> 8, said];
  if (said < 128) return [said];
  return said < 256 ? [0x81, said] : [0x82, said >> 8, said];
}

function writeNode(writer: BackwardsWriter, { tag, content, items, form }: DerNode): void {
  if (form === 'indefinite') writer.put([0, 0]);
  const end = writer.length;
  if (content !== null) writer.put(content);
  else for (let at = items.length - 1; at >= 0; at--) writeNode(writer, items[at] ?? NOTHING);
  writer.put(lengthOf(writer.length - end, form));
  writer.put([tag]);
}

const NOTHING: DerNode = { tag: 5, content: new Uint8Array(0), items: [], form: 'der' };

export function writeDer(node: DerNode): Uint8Array {
  const writer = new BackwardsWriter();
  writeNode(writer, node);
  return writer.take();
}

function nodesOf(node: DerNode): readonly DerNode[] {
  return [node, ...node.items.flatMap((item) => nodesOf(item))];
}

const TAGS: readonly number[] = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x1f, 0x30, 0x31, 0xa0, 0xa1, 0xa3,
];
const TIMES: readonly string[] = [
  '491231235959Z',
  '500101000000Z',
  '240229000000Z',
  '230229000000Z',
  '230631000000Z',
  '230101240000Z',
  '230101000060Z',
  '2301010000Z',
  '230101000000+0000',
  '20500101000000Z',
  '20491231235959Z',
  '99991231235959Z',
  '20500229000000Z',
  '20500101000000.5Z',
];
const IDENTIFIERS: readonly string[] = [
  '551d13',
  '551d0f',
  '551d0e',
  '551d23',
  '551d25',
  '2a8648ce3d040303',
  '2a8648ce3d040302',
  '2a8648ce3d0201',
  '2b81040022',
];
const CONTENTS: readonly string[] = [
  '',
  '00',
  '01',
  '02',
  '7f',
  '80',
  'ff',
  '0000',
  '0001',
  '0080',
  '00ff',
  'ffff',
  '0780',
  '0186',
  '0205a0',
  '0106',
  '060640',
  '0100ff',
];

function hex(text: string): Uint8Array {
  return parseHex(text) ?? new Uint8Array(0);
}

function changeContent(random: Random, content: Uint8Array, other: Uint8Array): Uint8Array {
  const choice = random.below(6);
  if (choice === 0) return utf8(random.pick(TIMES));
  if (choice === 1) return hex(random.pick(IDENTIFIERS));
  if (choice === 2) return hex(random.pick(CONTENTS));
  if (choice === 3) {
    const resized = new Uint8Array(interestingLength(random, 1100));
    resized.set(content.subarray(0, resized.length));
    return resized;
  }
  return mutateBytes(random, content, other);
}

function changeItems(random: Random, node: DerNode, grafts: readonly DerNode[]): void {
  const { items } = node;
  const at = random.below(items.length + 1);
  const chosen = items[random.below(Math.max(1, items.length))];
  const choice = random.below(4);
  if (choice === 0) items.splice(at, 1);
  else if (choice === 1 && chosen !== undefined) {
    const copies = random.oneIn(8) ? random.between(2, 40) : 1;
    for (let count = 0; count < copies; count++) items.splice(at, 0, copyDer(chosen));
  } else if (choice === 2 && chosen !== undefined) {
    items.splice(items.indexOf(chosen), 1);
    items.splice(random.below(items.length + 1), 0, chosen);
  } else items.splice(at, 0, copyDer(random.pick(grafts)));
}

/** Changes a tree in place, one to three times. */
export function changeDer(random: Random, tree: DerNode, other: Uint8Array): void {
  const grafts = nodesOf(readDer(other) ?? tree);
  let times = random.pick([1, 1, 2, 3]);
  while (times-- > 0) {
    const node = random.pick(nodesOf(tree));
    const choice = random.below(10);
    if (choice === 0) node.tag = random.pick(TAGS);
    else if (choice === 1) node.form = random.pick(['long', 'indefinite', 'more', 'less']);
    else if (choice === 2) Object.assign(node, copyDer(random.pick(grafts)));
    else if (node.content === null) changeItems(random, node, grafts);
    else node.content = changeContent(random, node.content, other);
  }
}

export const mutateDer: Mutator = (random, input, other) => {
  const tree = readDer(input);
  if (tree === null) return mutateBytes(random, input, other);
  changeDer(random, tree, other);
  return writeDer(tree);
};
