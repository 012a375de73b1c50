// Mutations of JSON: values of other types, numbers in odd spellings, keys twice or with a meaning to
// JavaScript, depth and width. Written as JSON.stringify(value, null, 2) does it, or in other forms.

import { parseUtf8, utf8 } from '../../../wire/bytes.ts';
import type { Random } from '../random.ts';
import type { Mutator } from './bytes.ts';
import { mutateBytes } from './bytes.ts';
import { interestingLength, interestingUint } from './values.ts';

type JsonNode =
  | { kind: 'object'; entries: [string, JsonNode][] }
  | { kind: 'array'; items: JsonNode[] }
  /** Written as it is. */
  | { kind: 'text'; text: string };

const MAX_DEPTH = 50;

function readNode(value: unknown, depth = 0): JsonNode {
  if (depth > MAX_DEPTH) throw new RangeError('too deep to be changed as a tree');
  if (Array.isArray(value)) {
    return { kind: 'array', items: value.map((item) => readNode(item, depth + 1)) };
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]): [string, JsonNode] => [
      key,
      readNode(item, depth + 1),
    ]);
    return { kind: 'object', entries };
  }
  return { kind: 'text', text: JSON.stringify(value) };
}

function readJson(bytes: Uint8Array): JsonNode | null {
  const text = parseUtf8(bytes);
  if (text === null) return null;
  try {
    return readNode(JSON.parse(text));
  } catch {
    return null;
  }
}

type Style = 'canonical' | 'compact' | 'spaced';

function writeNode(node: JsonNode, style: Style, indent: string): string {
  if (node.kind === 'text') return node.text;
  const inner = `${indent}  `;
  const colon = style === 'compact' ? ':' : ': ';
  const parts =
    node.kind === 'array'
      ? node.items.map((item) => writeNode(item, style, inner))
      : node.entries.map(
          ([key, item]) => `${JSON.stringify(key)}${colon}${writeNode(item, style, inner)}`,
        );
  const [open, close] = node.kind === 'array' ? '[]' : '{}';
  if (parts.length === 0) return `${open}${close}`;
  if (style === 'compact') return `${open}${parts.join(',')}${close}`;
  if (style === 'spaced') return `${open} ${parts.join(' ,\t')}\r\n${close}`;
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
}

function copyNode(node: JsonNode): JsonNode {
  if (node.kind === 'text') return { ...node };
  return node.kind === 'array'
    ? { kind: 'array', items: node.items.map((item) => copyNode(item)) }
    : {
        kind: 'object',
        entries: node.entries.map(([key, item]): [string, JsonNode] => [key, copyNode(item)]),
      };
}

function nodesOf(node: JsonNode): readonly JsonNode[] {
  if (node.kind === 'text') return [node];
  const children = node.kind === 'array' ? node.items : node.entries.map(([, item]) => item);
  return [node, ...children.flatMap((child) => nodesOf(child))];
}

const ODD: readonly string[] = [
  'null',
  'true',
  '{}',
  '[]',
  '""',
  '-0',
  '0',
  '-1',
  '1.0',
  '1.5',
  '1e0',
  '1E400',
  '1e-400',
  '9007199254740993',
  '123456789012345678901234567890',
  '"\\u0000"',
  '"\\ud800"',
  '"\\u0061"',
  '"__proto__"',
  '"\u2028"',
  '"1e5"',
  '"-0.0"',
  '"0.000000000000000001"',
  '"99999999999999999999"',
];
const KEYS: readonly string[] = ['__proto__', 'constructor', 'toString', 'length', '0', '', 'a b'];

function someText(random: Random, words: readonly string[]): string {
  const choice = random.below(6);
  if (choice === 0) return String(interestingUint(random));
  if (choice === 1) return JSON.stringify(random.pick(words));
  if (choice === 2) return JSON.stringify('a'.repeat(interestingLength(random, 40_000)));
  return random.pick(ODD);
}

function changeText(random: Random, text: string, words: readonly string[]): string {
  const number = /^-?[0-9]{1,18}$/u.test(text) ? Number(text) : null;
  if (number !== null && random.oneIn(2)) return String(number + random.pick([-1, 1]));
  if (text.startsWith('"') && text.length > 2 && random.oneIn(2)) {
    const at = random.between(1, text.length - 2);
    return `${text.slice(0, at)}${random.pick(['0', '9', 'a', 'Z', '.', '-', ' ', '/', 'é', ''])}${text.slice(at + random.below(2))}`;
  }
  return someText(random, words);
}

function replace(node: JsonNode, by: JsonNode): void {
  const copy = copyNode(by);
  for (const key of Object.keys(node)) Reflect.deleteProperty(node, key);
  Object.assign(node, copy);
}

function nest(random: Random, node: JsonNode): void {
  const depth = random.pick([1, 2, 10, 100, 1000, 5000, 16_000]);
  const { text, close } = random.oneIn(2)
    ? { text: '['.repeat(depth), close: ']'.repeat(depth) }
    : { text: '{"a":'.repeat(depth), close: '}'.repeat(depth) };
  replace(node, { kind: 'text', text: `${text}${random.pick(['1', '[]', '{}'])}${close}` });
}

function changeNode(
  random: Random,
  node: JsonNode,
  grafts: readonly JsonNode[],
  words: readonly string[],
): void {
  const choice = random.below(12);
  if (choice === 0) replace(node, { kind: 'text', text: someText(random, words) });
  else if (choice === 1) replace(node, random.pick(grafts));
  else if (choice === 2 && random.oneIn(8)) nest(random, node);
  else if (node.kind === 'text') node.text = changeText(random, node.text, words);
  else if (node.kind === 'array') {
    changeList(random, node.items, random.pick(grafts), copyNode);
  } else if (random.oneIn(3) && node.entries.length > 0) {
    const entry = random.pick(node.entries);
    entry[0] = random.oneIn(2) ? random.pick(KEYS) : `${entry[0]}x`;
  } else {
    const key = random.oneIn(2) ? random.pick(KEYS) : random.pick(words);
    const entry: [string, JsonNode] = [key, random.pick(grafts)];
    changeList<[string, JsonNode]>(random, node.entries, entry, ([name, item]) => [
      name,
      copyNode(item),
    ]);
  }
}

function changeList<T>(random: Random, list: T[], another: T, copy: (item: T) => T): void {
  const choice = random.below(4);
  const at = random.below(list.length + 1);
  const chosen = list[random.below(Math.max(1, list.length))];
  if (choice === 0) list.splice(at, 1);
  else if (choice === 1 && chosen !== undefined) {
    const copies = random.oneIn(8) ? interestingLength(random, 1100) : 1;
    for (let count = 0; count < copies; count++) list.push(copy(chosen));
  } else if (choice === 2 && chosen !== undefined) {
    list.splice(list.indexOf(chosen), 1);
    list.splice(random.below(list.length + 1), 0, chosen);
  } else list.splice(at, 0, copy(another));
}

export interface JsonMutation {
  /** Keys and values that mean something to the parser. */
  readonly words?: readonly string[];
  /** Written as `JSON.stringify(value, null, 2)` and a newline, as often as this in ten. */
  readonly canonicalOfTen?: number;
}

export function mutateJson({ words = ['name'], canonicalOfTen = 8 }: JsonMutation): Mutator {
  return (random, input, other) => {
    const tree = readJson(input);
    if (tree === null) return mutateBytes(random, input, other);
    const grafts = nodesOf(readJson(other) ?? tree);
    let times = random.pick([1, 1, 2, 3]);
    while (times-- > 0) changeNode(random, random.pick(nodesOf(tree)), grafts, words);
    if (random.below(10) < canonicalOfTen) return utf8(`${writeNode(tree, 'canonical', '')}\n`);
    return utf8(writeNode(tree, random.pick(['compact', 'spaced']), ''));
  };
}
