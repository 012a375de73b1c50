// Where the JavaScript thread was, from a processor profile: time in a function itself, not in what it
// calls. Native functions count by their own name.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Hotspot {
  readonly where: string;
  /** Of the profile's whole time, idle included. */
  readonly share: number;
}

function nameOf({ functionName, url, lineNumber }: CallFrame): string {
  const place = url === '' ? 'native' : `${basename(url)}:${String(lineNumber + 1)}`;
  return `${functionName === '' ? '(anonymous)' : functionName} ${place}`;
}

/** The `count` places with the most time of their own, idle time among them. */
export function hotspots(file: string, count: number): readonly Hotspot[] {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const spent = new Map<string, number>();
  let total = 0;
  for (const [index, node] of samples.entries()) {
    const us = timeDeltas[index] ?? 0;
    const name = names.get(node) ?? '';
    spent.set(name, (spent.get(name) ?? 0) + us);
    total += us;
  }
  return [...spent]
    .map(([where, us]) => ({ where, share: us / total }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, count);
}
