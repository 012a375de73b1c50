import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { COVERAGE_REASONS, COVERAGE_SUBJECTS, VENUES } from '../../../enclave/connector/classes.ts';
import type { Declared } from '../../../enclave/connector/declared.ts';
import { DECLARED } from '../../../enclave/connector/declared.ts';
import { jobOf, runJob } from '../../helpers/connector-desk.ts';

const WORDS: Readonly<Record<Declared, string>> = {
  given: 'yes',
  venue_lacks: 'no',
  not_supported: 'unread',
};

/** Prices are of markets and not of accounts. */
const SUBJECTS = COVERAGE_SUBJECTS.filter((subject) => subject !== 'prices');

const DOC: string = await readFile(new URL('../../../docs/VENUES.md', import.meta.url), 'utf8');

function rowOf(name: string): readonly string[] {
  const line = DOC.split('\n').find((text) => new RegExp(`^\\| ${name} +\\|`, 'u').test(text));
  return (line ?? '')
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim());
}

describe('docs/VENUES.md', () => {
  it('has the columns that are declared', () => {
    expect(rowOf('venue')).toEqual(SUBJECTS);
  });

  it.each(VENUES)('says of %s what is declared', (venue) => {
    expect(rowOf(venue)).toEqual(SUBJECTS.map((subject) => WORDS[DECLARED[venue][subject]]));
  });

  it('explains every reason but the one of a closed venue, which FTX has', () => {
    const unexplained = COVERAGE_REASONS.filter((reason) => !DOC.includes(`\`${reason}\``));
    expect(unexplained).toEqual([]);
    expect(DOC).toMatch(/FTX.*closed since November 2022/u);
  });
});

describe('each poll', () => {
  it('says what its venue lacks, even when nothing answers', async () => {
    const { done } = await runJob(jobOf('alpaca'), () => ({ failed: 'network' }));
    expect(done.coverage).toContainEqual(
      expect.objectContaining({ what: 'funding', complete: false, reason: 'venue_lacks' }),
    );
  });
});
