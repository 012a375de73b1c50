// A sample of the nightly run in `make test`: every parser with its kept corpus, the inputs of all bugs that
// were found, and some new ones, always the same. And the fuzzer itself has to find what it is for.

import { describe, expect, it } from 'vitest';
import { readCorpus, readRegressions, regressionFolders } from './corpus.ts';
import { PLANTS } from './plants.ts';
import type { Supervised } from './supervise.ts';
import { supervise } from './supervise.ts';
import { TARGET_NAMES } from './targets.ts';
import type { Job } from './job.ts';

const INPUTS = 2000;
/** Ends a hung test; a busy machine gets far less done in a second than an idle one. */
const HANG_MS = 60_000;

function jobOf(target: string, changes: Partial<Job> = {}): Omit<Job, 'slot'> {
  return {
    target,
    inputs: INPUTS,
    seed: 1,
    corpus: [],
    batchInputs: 256,
    first: false,
    windowInputs: 0,
    plant: null,
    only: false,
    distil: false,
    ...changes,
  };
}

function fuzz(target: string, changes: Partial<Job> = {}): Promise<Supervised> {
  return supervise(jobOf(target, changes), { hangMs: HANG_MS });
}

/** As lines, so that a failure shows the input. */
function linesOf({ findings }: Supervised): readonly string[] {
  return findings.map(
    ({ type, what, input }) => `${type}: ${what}: ${Buffer.from(input).toString('base64')}`,
  );
}

/** By file how many characters of it ran. */
function reached({ result }: Supervised): readonly string[] {
  return (result?.coverage ?? []).map(
    ({ file, ran }) => `${file} ${ran.reduce((sum, each) => sum + each, 0)}`,
  );
}

/** Plants that are found soon, one of each of these parsers. */
const QUICK: ReadonlySet<string> = new Set([
  'frames',
  'batch',
  'note',
  'configuration',
  'superseded',
]);
const QUICK_PLANTS = PLANTS.filter(
  ({ target }, index) =>
    QUICK.has(target) && PLANTS.findIndex((plant) => plant.target === target) === index,
);

describe('a sample of hostile input', () => {
  it.each(TARGET_NAMES)('finds nothing in %s', async (name) => {
    const corpus = [...readCorpus(name), ...readRegressions(name).map(({ input }) => input)];
    const supervised = await fuzz(name, { corpus, windowInputs: 500 });
    expect(linesOf(supervised)).toEqual([]);
    expect(supervised.inputs).toBeGreaterThanOrEqual(INPUTS + corpus.length);
  });

  it('has no regressions of a parser that is not there', () => {
    expect(regressionFolders().filter((name) => !TARGET_NAMES.includes(name))).toEqual([]);
  });
});

describe('the fuzzer', () => {
  const FOUND: readonly (readonly [string, string, string])[] = [
    ['throw', 'threw', 'undefined is not a function at 4'],
    ['oracle', 'oracle', 'accepted what is wrong'],
    ['later', 'threw', 'in a handler of nobody'],
    ['steps', 'steps', 'more than 1000 + 10 for each byte'],
  ];

  it.each(FOUND)(
    'finds a parser’s %s behind four bytes, and what it takes',
    async (name, ...found) => {
      const { findings } = await fuzz(`planted-${name}`, { inputs: 500_000, first: true });
      const [finding] = findings;
      expect([finding?.type, finding?.what]).toEqual(found);
      expect(Buffer.from(finding?.input ?? []).toString('latin1', 0, 4)).toBe('BUG!');
    },
  );

  it.each(['hang', 'crash'])('survives a parser’s %s, and knows the input', async (type) => {
    const job = jobOf(`planted-${type}`, { inputs: 500_000 });
    const { findings, result } = await supervise(job, {
      hangMs: type === 'hang' ? 8000 : HANG_MS,
      tries: 2,
    });
    expect(result).toBeNull();
    expect(findings.map((finding) => finding.type)).toEqual([type]);
    expect(findings[0]?.what).not.toContain('alone');
    expect(Buffer.from(findings[0]?.input ?? []).toString('latin1', 0, 4)).toBe('BUG!');
  });

  it('sees that inputs are kept, and that others are not', async () => {
    // What V8 frees in a window, of compiled code for example, may be more than a thousand inputs.
    const windowInputs = 10_000;
    const keeps = await fuzz('planted-growth', { windowInputs });
    expect(keeps.findings.map(({ type }) => type)).toEqual(['growth']);
    const not = await fuzz('planted-nothing', { windowInputs });
    expect(linesOf(not)).toEqual([]);
    expect(not.result?.growth?.aliveBytes).toHaveLength(6);
  });

  it('does the same again for the same seed, and something else for another', async () => {
    const runs = [1, 1, 2].map((seed) => fuzz('cbor', { seed }));
    const [first, again, other] = await Promise.all(runs);
    expect(again?.result?.corpus).toEqual(first?.result?.corpus);
    expect(other?.result?.corpus).not.toEqual(first?.result?.corpus);
  });

  it('keeps a smaller corpus that reaches as much', async () => {
    const whole = await fuzz('cbor', { distil: true });
    const distilled = whole.result?.distilled ?? [];
    expect(distilled.length).toBeLessThan(whole.result?.corpus.length ?? 0);
    const again = await fuzz('cbor', { inputs: 1, corpus: distilled });
    expect(reached(again)).toEqual(reached(whole));
  });

  it.each(QUICK_PLANTS)('finds that in $target $what', async (plant) => {
    const { findings } = await fuzz(plant.target, { plant, inputs: 100_000, first: true });
    expect(findings).not.toEqual([]);
  });
});
