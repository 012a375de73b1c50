// The report of several accounts: who reads it is told what was derived, from which accounts, and what may be missing.

import { readFile, writeFile } from 'node:fs/promises';
import { XMLValidator } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/report.ts';
import type { TogetherVerdict } from '../../../verifier/together/together-verdict.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';
import { A, B, SENDS, TAKES, writeRecord } from '../together/files.ts';

let folder: LogFolder;
let files: readonly string[];

beforeAll(async () => {
  folder = await LogFolder.create();
  files = [await writeRecord(folder, SENDS, A), await writeRecord(folder, TAKES, B)];
});
afterAll(() => folder.remove());

async function report(...args: readonly string[]): Promise<string> {
  const output = folder.path(`report-${Math.random()}.html`);
  const { exit, err } = await runCommand(run, ...args, ...folder.trust(), '-o', output);
  expect([exit, err]).toEqual([0, '']);
  return readFile(output, 'utf8');
}

/** Without its style sheet and its tags, in one line. */
function readable(page: string): string {
  return page.replaceAll(/<style>[^]*?<\/style>|<[^>]*>/gu, ' ').replaceAll(/\s+/gu, ' ');
}

describe('a report of several accounts', () => {
  it('says what is derived, of which accounts, and which flows are theirs', async () => {
    const page = readable(await report(...files));
    for (const part of [
      'Track record of 2 accounts',
      'are derived: every hour that they rest on is signed, the sums are not',
      '1 account with a record that begins or ends within that of others',
      '1 pair of flows that look like a transfer, and count as external',
      'aa'.repeat(32),
      'bb'.repeat(32),
      'Both venues name one transaction',
      'a cost, 2.00 in all',
      'aaaaaaaa, kraken 400.00',
      'bbbbbbbb, okx 398.00 \u22122.00',
      '01'.repeat(16),
      'at least one of the venues names no transaction',
      'Value at the end 1,008.00',
      'Paid in 50.00',
      'Paid out 600.00',
      'together_flows',
      'trackseal.test/log/e0000000001',
      'put in one of somebody else',
    ]) {
      expect(page).toContain(part);
    }
  });

  it('is one well-formed file that loads and runs nothing', async () => {
    const page = await report(...files);
    expect(XMLValidator.validate(page.replace(/^<!doctype html>/u, ''))).toBe(true);
    expect(page).not.toMatch(/<(?:script|link|img|iframe|object|embed|base|form|use|image)\b/iu);
    expect(page).not.toMatch(/url\(|@import|@font-face|https?:|\/\//iu);
    const ids = Array.from(page.matchAll(/ id="([^"]+)"/gu), ([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has the figures of all and of each as JSON', async () => {
    const output = folder.path('both.html');
    const { out } = await runCommand(run, ...files, ...folder.trust(), '-o', output, '--json');
    const verdict = JSON.parse(out) as TogetherVerdict;
    expect(verdict.together?.figures['equity_end']).toBe('1008');
    expect(verdict.members.map(({ figures }) => figures['equity_end'])).toEqual(['550', '1008']);
  });

  it('is not written where one of them does not verify', async () => {
    const [first = '', second = ''] = files;
    const text = await readFile(second, 'utf8');
    const bad = folder.path('bad.json');
    await writeFile(bad, text.replace('"leaf_index":2', '"leaf_index":3'));
    const output = folder.path('bad.html');
    const { exit, err } = await runCommand(run, first, bad, ...folder.trust(), '-o', output);
    expect([exit, err.includes('record_signature'), err.includes(bad)]).toEqual([1, true, true]);
    await expect(readFile(output)).rejects.toThrow('ENOENT');
  });
});
