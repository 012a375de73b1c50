// docs/THREAT-MODEL.md as the tests read it: the rows of its tables.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../scripts/bundle.ts';

export const THREAT_MODEL: string = join(ROOT, 'docs/THREAT-MODEL.md');

export interface Lie {
  /** Who lies how; then what finds it or bounds it: together the name of the test. */
  readonly lie: string;
  readonly found: string;
  /** Below test/hostile-host/. */
  readonly file: string;
}

export interface Remainder {
  readonly risk: string;
  /** Verdicts that print it. */
  readonly printed: readonly string[];
  readonly advice: string;
}

/** Cells of all table rows below a heading of level 2, without the heads of the tables. */
async function rowsBelow(heading: string): Promise<readonly (readonly string[])[]> {
  const text = await readFile(THREAT_MODEL, 'utf8');
  const start = text.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`docs/THREAT-MODEL.md has no "${heading}"`);
  const end = text.indexOf('\n## ', start + 1);
  const lines = text.slice(start, end < 0 ? undefined : end).split('\n');
  return lines.flatMap((line, at) => {
    const isRow = line.startsWith('|') && !/^\| *-/u.test(line);
    const isHead = /^\| *-/u.test(lines[at + 1] ?? '');
    const cells = line.split('|').slice(1, -1);
    return isRow && !isHead ? [cells.map((cell) => cell.trim())] : [];
  });
}

export async function readLies(): Promise<readonly Lie[]> {
  const rows = await rowsBelow('Lies of a host');
  return rows.map(([lie = '', , found = '', file = '']) => ({
    lie,
    found,
    file: file.replaceAll('`', ''),
  }));
}

export async function readRemainders(): Promise<readonly Remainder[]> {
  const rows = await rowsBelow('What remains');
  return rows.map(([risk = '', , printed = '', advice = '']) => ({
    risk: risk.replaceAll('`', ''),
    printed: printed.split(', '),
    advice,
  }));
}
