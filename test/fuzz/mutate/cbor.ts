// Mutations of CBOR trees: values at the limits, other types, entries twice, missing or swapped, forms that
// are not the shortest, counts that are not true, depth, width, pieces of other inputs. Byte strings that
// hold CBOR are changed inside, too. Most mutants are written deterministically: the parsers refuse the
// others before they look at the values.

import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import { REFUSAL_CODES } from '../../../wire/codes.ts';
import type { Random } from '../random.ts';
import type { Mutator } from './bytes.ts';
import { mutateBytes } from './bytes.ts';
import type { CborNode } from './cbor-tree.ts';
import { copyNode, nodeOf, nodesOf, RAW, readTree, sortTree, writeTree } from './cbor-tree.ts';
import { changedUint, interestingLength, interestingUint } from './values.ts';

const MAX_STRING_BYTES = 1_100_000;
/** Weight of the copies that one change makes. */
const MAX_COPIED = 300_000;
/** How rare an input is that is as large as it may be and made of the smallest items. */
const BOMB_ONE_IN = 20_000;

export const COMMON_WORDS: readonly string[] = [
  '',
  '__proto__',
  'constructor',
  'toString',
  '0',
  '\u0000',
  '\u{1F600}',
  '\uFEFF',
  'strategy',
  'parameters',
  'spool',
  'live',
  'replay',
  'paper',
  'sandbox',
  'spot',
  'linear',
  'inverse',
  'none',
  'binance-spot',
  'SHA384',
  ...Object.keys(REFUSAL_CODES).slice(0, 12),
];

/** A value of any type. */
function someNode(random: Random, words: readonly string[]): CborNode {
  const choice = random.below(11);
  if (choice < 3) return nodeOf(random.below(2), { argument: interestingUint(random) });
  if (choice === 3) return nodeOf(2, { content: random.bytes(interestingLength(random, 4096)) });
  if (choice === 4) return nodeOf(3, { content: utf8(random.pick(words)) });
  if (choice === 5) return nodeOf(4);
  if (choice === 6) return nodeOf(5);
  if (choice === 7) return nodeOf(7, { argument: BigInt(random.between(20, 23)) });
  if (choice === 8) {
    return nodeOf(7, { argument: interestingUint(random), width: random.pick([1, 2, 4, 8]) });
  }
  if (choice === 9) {
    const argument = random.pick([0n, 18n, 24n, 64n, 69n, 79n, 55_799n]);
    return nodeOf(6, { argument, items: [someNode(random, words)] });
  }
  const items = Array.from({ length: 2 * random.below(4) }, () => someNode(random, words));
  return nodeOf(random.pick([4, 5]), { items });
}

function changeString(
  random: Random,
  node: CborNode,
  other: Uint8Array,
  words: readonly string[],
): void {
  const { content } = node;
  const choice = random.below(8);
  if (choice === 0) {
    const length = interestingLength(random, MAX_STRING_BYTES);
    const resized = new Uint8Array(length).fill(random.pick([0, 0x61]));
    resized.set(content.subarray(0, length));
    node.content = resized;
  } else if (choice === 1) {
    node.content = content.subarray(0, random.below(content.length + 1));
  } else if (choice === 2) {
    node.content = utf8(random.pick(words));
  } else if (choice === 3 && node.major === 3) {
    node.content = concatBytes(content, random.pick([Uint8Array.of(0xc3), utf8('é'), utf8('\n')]));
  } else if (choice < 6 && node.major === 2) {
    node.content = mutateInside(random, content, other, words);
  } else {
    node.content = mutateBytes(random, content, other);
  }
}

function mutateInside(
  random: Random,
  content: Uint8Array,
  other: Uint8Array,
  words: readonly string[],
): Uint8Array {
  const tree = content.length > 1 ? readTree(content) : null;
  if (tree === null || tree.major < 4) return mutateBytes(random, content, other);
  return mutateTree(random, tree, other, words);
}

/** Nodes and bytes of a node, about what it takes to write it. */
function weightOf(node: CborNode): number {
  let weight = 1 + node.content.length;
  for (const item of node.items) weight += weightOf(item);
  return weight;
}

function changeList(random: Random, node: CborNode, grafts: readonly CborNode[]): void {
  const { items } = node;
  const step = node.major === 5 ? 2 : 1;
  const entries = Math.floor(items.length / step);
  const at = random.below(entries + 1) * step;
  const choice = random.below(6);
  if (choice === 0) items.splice(at, step);
  else if (choice === 1 && entries > 0) {
    const from = random.below(entries) * step;
    const entry = items.slice(from, from + step);
    const fit = Math.floor(MAX_COPIED / entry.reduce((sum, item) => sum + weightOf(item), 0));
    const copies = random.oneIn(24) ? Math.min(fit, interestingLength(random, 70_000)) : 1;
    // Copies share their node: who changes one changes all.
    for (let count = 0; count < copies; count++) items.push(...entry);
  } else if (choice === 2 && entries > 1) {
    const from = random.below(entries) * step;
    const [moved, value] = items.splice(from, step);
    const to = random.below(entries) * step;
    if (moved !== undefined) items.splice(to, 0, moved, ...(value === undefined ? [] : [value]));
  } else if (choice === 3) {
    const key = nodeOf(0, { argument: BigInt(random.below(24)) });
    items.splice(at, 0, ...(step === 2 ? [key] : []), copyNode(random.pick(grafts)));
  } else if (choice === 4) node.indefinite = !node.indefinite;
  else node.claimed = changedUint(random, BigInt(entries));
}

/** Becomes another node in place. */
function become(node: CborNode, other: CborNode): void {
  Object.assign(node, copyNode(other));
}

function nest(random: Random, node: CborNode): void {
  if (random.oneIn(32)) {
    const depth = random.pick([100, 3000, 60_000]);
    Object.assign(node, nodeOf(RAW, { content: new Uint8Array(depth).fill(0x81) }));
    return;
  }
  let inner = copyNode(node);
  for (let levels = random.between(1, 9); levels > 0; levels--) {
    const key = nodeOf(0, { argument: 1n });
    inner = random.oneIn(2) ? nodeOf(5, { items: [key, inner] }) : nodeOf(4, { items: [inner] });
  }
  Object.assign(node, inner);
}

function changeNode(
  random: Random,
  node: CborNode,
  grafts: readonly CborNode[],
  other: Uint8Array,
  words: readonly string[],
): void {
  const choice = random.below(16);
  if (choice === 0) become(node, someNode(random, words));
  else if (choice === 1) become(node, random.pick(grafts));
  else if (choice === 2) node.width = random.pick([0, 1, 2, 4, 8]);
  else if (choice === 3) nest(random, node);
  else if (choice === 4) become(node, nodeOf(7, { argument: 22n }));
  else if (node.major < 2 || node.major === 6) {
    node.argument = changedUint(random, node.argument);
    if (random.oneIn(12)) node.major = node.major === 6 ? 6 : 1 - node.major;
  } else if (node.major < 4) changeString(random, node, other, words);
  else if (node.major < 6) changeList(random, node, grafts);
  else node.argument = BigInt(random.between(20, 23));
}

function mutateTree(
  random: Random,
  tree: CborNode,
  other: Uint8Array,
  words: readonly string[],
): Uint8Array {
  const otherTree = readTree(other);
  const grafts = otherTree === null ? nodesOf(tree) : nodesOf(otherTree);
  let times = random.pick([1, 1, 1, 2, 3]);
  while (times-- > 0) {
    // Lists, which have most of the structure, as often as their items.
    const nodes = nodesOf(tree);
    const lists = nodes.filter(({ major }) => major === 4 || major === 5);
    const from = lists.length > 0 && random.oneIn(4) ? lists : nodes;
    changeNode(random, random.pick(from), grafts, other, words);
  }
  if (!random.oneIn(4)) sortTree(tree);
  return writeTree(tree);
}

/** As many of the smallest items as fit, in lists of up to 65,536. */
function bomb(random: Random, maxBytes: number): Uint8Array {
  const item = random.pick([0xa0, 0x80, 0x00, 0x40, 0x60, 0xf6]);
  const perList = random.pick([16, 4096, 65_536]);
  const lists = Math.floor((maxBytes - 16) / (perList + 5));
  const bytes = new Uint8Array(16 + lists * (perList + 5)).fill(item);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0xa1;
  bytes[1] = 1;
  bytes[2] = 0x9a;
  view.setUint32(3, lists);
  let at = 7;
  for (let list = 0; list < lists; list++) {
    bytes[at] = 0x9a;
    view.setUint32(at + 1, perList);
    at += 5 + perList;
  }
  return bytes.subarray(0, at);
}

export interface CborMutation {
  /** Texts that mean something to the parser. */
  readonly words?: readonly string[];
  /** The largest input that the parser reads. */
  readonly maxBytes: number;
}

export function mutateCbor({ words = [], maxBytes }: CborMutation): Mutator {
  const all = [...COMMON_WORDS, ...words, ...words];
  return (random, input, other) => {
    if (random.oneIn(BOMB_ONE_IN)) return bomb(random, maxBytes);
    const tree = readTree(input);
    return tree === null ? mutateBytes(random, input, other) : mutateTree(random, tree, other, all);
  };
}
