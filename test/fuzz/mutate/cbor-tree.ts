// CBOR as a tree that can be changed at will and written in any form, right or wrong. Reads leniently:
// everything that has a length is taken, so that mutants of mutants still have a tree.

export interface CborNode {
  /** 0 to 7; RAW writes `content` as it is. */
  major: number;
  /** Of integers, tags and simple values; lengths and counts come from what is there. */
  argument: bigint;
  /** Bytes of the argument: 0 (in the head), 1, 2, 4 or 8; null is the shortest form. */
  width: number | null;
  /** Strings. */
  content: Uint8Array;
  /** Arrays; maps with key and value in turn; the one item of a tag. */
  items: CborNode[];
  indefinite: boolean;
  /** Said in the head in place of the true length or count. */
  claimed: bigint | null;
}

export const RAW = 8;
const NOTHING = new Uint8Array(0);
const MAX_DEPTH = 64;
const MAX_NODES = 20_000;

export function nodeOf(major: number, parts: Partial<CborNode> = {}): CborNode {
  return {
    major,
    argument: 0n,
    width: null,
    content: NOTHING,
    items: [],
    indefinite: false,
    claimed: null,
    ...parts,
  };
}

export function copyNode(node: CborNode): CborNode {
  return { ...node, items: node.items.map((item) => copyNode(item)) };
}

class Reader {
  readonly bytes: Uint8Array;
  offset = 0;
  nodes = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

function widthOf(info: number): number {
  return info < 24 ? 0 : 1 << (info - 24);
}

function shortestWidth(argument: bigint): number {
  if (argument < 24n) return 0;
  if (argument < 0x100n) return 1;
  if (argument < 0x1_0000n) return 2;
  return argument < 0x1_0000_0000n ? 4 : 8;
}

function readNode(reader: Reader, depth: number): CborNode | null {
  const head = reader.bytes[reader.offset];
  if (head === undefined || depth > MAX_DEPTH || reader.nodes++ > MAX_NODES) return null;
  reader.offset++;
  const node = nodeOf(head >> 5);
  const info = head & 31;
  if (info > 27 && info < 31) return null;
  if (info === 31) {
    if (node.major !== 4 && node.major !== 5) return null;
    node.indefinite = true;
    return readItems(reader, node, null, depth);
  }
  const width = widthOf(info);
  let argument = BigInt(info);
  if (width > 0) {
    if (reader.offset + width > reader.bytes.length) return null;
    const bytes = Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset + reader.offset, width);
    argument = width === 8 ? bytes.readBigUInt64BE() : BigInt(bytes.readUIntBE(0, width));
    reader.offset += width;
  }
  // Half-width floats and simple values have no shortest form.
  node.width = node.major === 7 || width !== shortestWidth(argument) ? width : null;
  if (node.major === 2 || node.major === 3) {
    const end = reader.offset + Number(argument);
    if (end > reader.bytes.length) return null;
    node.content = reader.bytes.subarray(reader.offset, end);
    reader.offset = end;
    return node;
  }
  if (node.major === 4) return readItems(reader, node, Number(argument), depth);
  if (node.major === 5) return readItems(reader, node, Number(argument) * 2, depth);
  node.argument = argument;
  return node.major === 6 ? readItems(reader, node, 1, depth) : node;
}

function readItems(
  reader: Reader,
  node: CborNode,
  count: number | null,
  depth: number,
): CborNode | null {
  for (;;) {
    if (count !== null && node.items.length >= count) return node;
    if (count === null && reader.bytes[reader.offset] === 0xff) {
      reader.offset++;
      return node;
    }
    const item = readNode(reader, depth + 1);
    if (item === null) return null;
    node.items.push(item);
  }
}

/** Null when the bytes are not exactly one item. */
export function readTree(bytes: Uint8Array): CborNode | null {
  const reader = new Reader(bytes);
  const node = readNode(reader, 0);
  return node !== null && reader.offset === bytes.length ? node : null;
}

function headOf(major: number, argument: bigint, width: number | null): Uint8Array {
  const shortest = shortestWidth(argument);
  const bytes = width === null || width < shortest ? shortest : width;
  if (bytes === 0) return Uint8Array.of((major << 5) | Number(argument));
  const head = new Uint8Array(1 + bytes);
  head[0] = (major << 5) | (24 + Math.log2(bytes));
  const view = new DataView(head.buffer);
  if (bytes === 8) view.setBigUint64(1, argument);
  else if (bytes === 4) view.setUint32(1, Number(argument));
  else if (bytes === 2) view.setUint16(1, Number(argument));
  else head[1] = Number(argument);
  return head;
}

function writeNode(node: CborNode, parts: Uint8Array[]): void {
  const { major, items, content, width } = node;
  if (major === RAW) {
    parts.push(content);
    return;
  }
  if (major === 2 || major === 3) {
    parts.push(headOf(major, node.claimed ?? BigInt(content.length), width), content);
    return;
  }
  if (major === 4 || major === 5) {
    const count = major === 4 ? items.length : Math.floor(items.length / 2);
    if (node.indefinite) parts.push(Uint8Array.of((major << 5) | 31));
    else parts.push(headOf(major, node.claimed ?? BigInt(count), width));
    for (const item of items) writeNode(item, parts);
    if (node.indefinite) parts.push(Uint8Array.of(0xff));
    return;
  }
  parts.push(headOf(major, node.argument, width));
  for (const item of items) writeNode(item, parts);
}

export function writeTree(node: CborNode): Uint8Array {
  const parts: Uint8Array[] = [];
  writeNode(node, parts);
  return new Uint8Array(Buffer.concat(parts));
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Maps in the deterministic order of RFC 8949, all lengths definite. */
export function sortTree(node: CborNode): void {
  node.indefinite = false;
  for (const item of node.items) sortTree(item);
  if (node.major !== 5) return;
  const pairs: { key: Uint8Array; items: CborNode[] }[] = [];
  for (let at = 0; at + 1 < node.items.length; at += 2) {
    const [key, value] = [node.items[at], node.items[at + 1]];
    if (key !== undefined && value !== undefined) {
      pairs.push({ key: writeTree(key), items: [key, value] });
    }
  }
  pairs.sort((a, b) => compare(a.key, b.key));
  node.items = pairs.flatMap(({ items }) => items);
}

/** All nodes, the root first. */
export function nodesOf(node: CborNode): readonly CborNode[] {
  const all: CborNode[] = [];
  const walk = (next: CborNode): void => {
    all.push(next);
    for (const item of next.items) walk(item);
  };
  walk(node);
  return all;
}
