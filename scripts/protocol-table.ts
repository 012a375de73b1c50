// Writes the table of refusal codes into docs/PROTOCOL.md from wire/codes.ts; a test compares them.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REFUSAL_CODES } from '../wire/codes.ts';
import { ROOT } from './bundle.ts';

const HEADING = '## 13. Refusal codes';

/** The section as it must be, from its heading to the end of the file. */
export function refusalSection(): string {
  const rows = Object.entries(REFUSAL_CODES).map(([code, text]) => `| \`${code}\` | ${text} |`);
  return [HEADING, '', '| code | meaning |', '|---|---|', ...rows, ''].join('\n');
}

export function replaceSection(document: string): string {
  const start = document.indexOf(HEADING);
  if (start < 0) throw new Error(`docs/PROTOCOL.md has no heading '${HEADING}'`);
  return document.slice(0, start) + refusalSection();
}

if (import.meta.main) {
  const path = join(ROOT, 'docs/PROTOCOL.md');
  await writeFile(path, replaceSection(await readFile(path, 'utf8')));
}
