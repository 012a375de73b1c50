// The threat model and the catalogue name the same lies.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import { readLies } from './threat-model.ts';

const FOLDER = join(ROOT, 'test/hostile-host');
/** These are about the catalogue. */
const NOT_LIES: ReadonlySet<string> = new Set(['catalogue.test.ts', 'verdicts.test.ts']);

/** `file: name` of each test of the catalogue. Names are literals at the start of a line. */
async function namesOfTests(): Promise<readonly string[]> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.test.ts'));
  const names: string[] = [];
  for (const file of files.filter((name) => !NOT_LIES.has(name))) {
    const text = await readFile(join(FOLDER, file), 'utf8');
    const tests = [...text.matchAll(/^it\(\s*(['"])(.*?)\1,\s*async/gmsu)];
    // A test that this does not read would be missing in the threat model unseen.
    expect(tests.length, file).toBe([...text.matchAll(/\bit(?:\.\w+)*\(/gu)].length);
    for (const [, , name = ''] of tests) names.push(`${file}: ${name}`);
  }
  return names;
}

describe('docs/THREAT-MODEL.md', () => {
  it('names every lie of the catalogue, and no other', async () => {
    const lies = await readLies();
    const named = lies.map(({ lie, found, file }) => `${file}: ${lie}: ${found}`);
    const tests = await namesOfTests();
    expect(new Set(tests).size).toBe(tests.length);
    expect(named.toSorted()).toEqual(tests.toSorted());
  });

  it('says of each what finds it: a code of the closed list, a field or a risk of a verdict, or no effect', async () => {
    const lies = await readLies();
    expect(lies.length).toBeGreaterThan(90);
    for (const { lie, found } of lies) {
      const quoted = [...found.matchAll(/`([a-z_]+)`/gu)].map(([, word]) => word ?? '');
      const coded = quoted.some((word) => Object.hasOwn(REFUSAL_CODES, word));
      const said =
        /gap lea(?:f|ves)|in the (?:verdicts?|counters|diagnostics)|^no effect$|never between/u;
      expect(coded || said.test(found), lie).toBe(true);
    }
  });
});
