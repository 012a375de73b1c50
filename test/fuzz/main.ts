// npm run fuzz: a nightly run over all parsers, or some. Exits 1 when something was found, 2 for usage.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ProgressBar } from '../../verifier/log/progress.ts';
import { readCorpus, readRegressions, writeCorpus } from './corpus.ts';
import { ROOT } from './coverage.ts';
import type { Finding } from './finding.ts';
import { nameOfFinding } from './finding.ts';
import { PLANTS } from './plants.ts';
import { findingsText, reportOf, tableOf, Unreached } from './report.ts';
import type { ParserReport } from './report.ts';
import { supervise } from './supervise.ts';
import type { Supervised } from './supervise.ts';
import { TARGET_NAMES } from './targets.ts';
import type { Job } from './job.ts';

const USAGE = `usage: npm run fuzz -- [--parser NAME]... [--inputs N] [--seed N] [--jobs N] [--json] [--keep] [--plants]

  --parser NAME  only this parser; may be repeated. One of:
                 ${TARGET_NAMES.join(', ')}
  --inputs N     for each parser, default 1,000,000
  --seed N       default: a new one, which is printed
  --jobs N       parsers at a time, default 1
  --json         the report as JSON on stdout
  --unreached    also prints the lines that no parser has reached
  --keep         writes the smallest inputs that reach as much to test/fuzz/corpus/
  --plants       breaks each parser by hand, one rule at a time, and says after how many inputs that was found

Inputs of findings are written to build/fuzz/; moved to test/fuzz/regressions/<parser>/ they are tried first in every run.
`;

const OPTIONS = {
  parser: { type: 'string', multiple: true },
  inputs: { type: 'string', default: '1000000' },
  seed: { type: 'string' },
  jobs: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  unreached: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  plants: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const BATCH_INPUTS = 256;
const HANG_MS = 60_000;
const OUTPUT = join(ROOT, 'build', 'fuzz');

const io = {
  isTerminal: process.stderr.isTTY,
  env: process.env,
  stdout: (text: string): void => void process.stdout.write(text),
  stderr: (text: string): void => void process.stderr.write(text),
};

function writeFinding(parser: string, finding: Finding): string {
  mkdirSync(OUTPUT, { recursive: true });
  const path = join(OUTPUT, `${parser}-${nameOfFinding(finding)}.bin`);
  writeFileSync(path, finding.input);
  return relative(process.cwd(), path);
}

function jobOf(target: string, inputs: number, seed: number): Omit<Job, 'slot'> {
  return {
    target,
    inputs,
    seed,
    corpus: [...readCorpus(target), ...readRegressions(target).map(({ input }) => input)],
    batchInputs: BATCH_INPUTS,
    first: false,
    windowInputs: Math.max(1000, Math.floor(inputs / 50)),
    plant: null,
    only: false,
    distil: false,
  };
}

/** Runs `work` over all names, `jobs` at a time. */
async function inParallel(
  names: readonly string[],
  jobs: number,
  work: (name: string) => Promise<void>,
): Promise<void> {
  const left = [...names];
  const next = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await work(name);
  };
  await Promise.all(Array.from({ length: jobs }, next));
}

async function fuzzParsers(
  names: readonly string[],
  options: { inputs: number; seed: number; jobs: number; keep: boolean; quiet: boolean },
  unreached: Unreached,
): Promise<readonly ParserReport[]> {
  const { inputs, seed, jobs, keep } = options;
  const reports: ParserReport[] = [];
  const bar = new ProgressBar(io, 'fuzzing');
  const done = new Map<string, number>();
  await inParallel(names, jobs, async (name) => {
    const job = { ...jobOf(name, inputs, seed), distil: keep };
    const supervised: Supervised = await supervise(job, {
      hangMs: HANG_MS,
      onProgress: (count) => {
        done.set(name, count);
        bar.update(
          [...done.values()].reduce((sum, each) => sum + each, 0),
          names.length * inputs,
        );
      },
    });
    unreached.add(supervised.result?.coverage ?? []);
    const report = reportOf(name, seed, supervised, (finding) => writeFinding(name, finding));
    reports.push(report);
    if (keep && supervised.result !== null) writeCorpus(name, supervised.result.distilled);
    bar.clear();
    if (!options.quiet) io.stderr(`${tableOf([report]).split('\n')[1] ?? ''}\n`);
  });
  bar.clear();
  return reports.sort((a, b) => names.indexOf(a.parser) - names.indexOf(b.parser));
}

interface PlantReport {
  readonly parser: string;
  readonly file: string;
  readonly broken: string;
  /** Null: not within the inputs. */
  readonly after: number | null;
  readonly what: string | null;
}

async function findPlants(
  names: readonly string[],
  options: { inputs: number; seed: number; jobs: number },
): Promise<readonly PlantReport[]> {
  const reports: PlantReport[] = [];
  const plants = PLANTS.filter(({ target }) => names.includes(target));
  await inParallel(
    plants.map((_, index) => String(index)),
    options.jobs,
    async (index) => {
      const plant = plants[Number(index)];
      if (plant === undefined) return;
      // Without the kept corpus: what it reaches was found once already.
      const job = { ...jobOf(plant.target, options.inputs, options.seed), corpus: [] };
      const supervised = await supervise(
        { ...job, plant, first: true, windowInputs: plant.grows === true ? 2000 : 0 },
        { hangMs: HANG_MS },
      );
      const [finding] = supervised.findings;
      const report: PlantReport = {
        parser: plant.target,
        file: plant.file,
        broken: plant.what,
        after: finding?.after ?? null,
        what: finding === undefined ? null : `${finding.type}: ${finding.what}`,
      };
      reports.push(report);
      io.stderr(
        `${plant.target}: ${plant.what}: ${report.after === null ? 'NOT FOUND' : `${report.after.toLocaleString('en')} inputs, ${report.what}`}\n`,
      );
    },
  );
  return reports;
}

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    io.stderr(`${error instanceof Error ? error.message : 'usage'}\n\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    io.stdout(USAGE);
    return 0;
  }
  const names = values.parser ?? TARGET_NAMES;
  const unknown = names.find((name) => !TARGET_NAMES.includes(name));
  const [inputs, jobs, seed] = [
    values.inputs,
    values.jobs,
    values.seed ?? String(Date.now() % 2 ** 31),
  ].map(Number);
  if (
    unknown !== undefined ||
    !isCount(inputs) ||
    !isCount(jobs) ||
    seed === undefined ||
    !Number.isSafeInteger(seed)
  ) {
    io.stderr(
      `${unknown === undefined ? 'a number is wrong' : `no parser ${unknown}`}\n\n${USAGE}`,
    );
    return 2;
  }
  io.stderr(`seed ${seed}\n`);
  if (values.plants) {
    const plants = await findPlants(names, { inputs, seed, jobs });
    if (values.json) io.stdout(`${JSON.stringify({ seed, plants }, null, 2)}\n`);
    return plants.every(({ after }) => after !== null) ? 0 : 1;
  }
  const unreached = new Unreached();
  const options = { inputs, seed, jobs, keep: values.keep, quiet: values.json };
  const reports = await fuzzParsers(names, options, unreached);
  if (values.json) {
    const lines = Object.fromEntries(unreached.lines());
    io.stdout(`${JSON.stringify({ seed, parsers: reports, unreached: lines }, null, 2)}\n`);
  } else {
    io.stdout(tableOf(reports));
    if (values.unreached) io.stdout(unreached.text());
    io.stdout(findingsText(reports));
  }
  return reports.every(({ findings }) => findings.length === 0) ? 0 : 1;
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value > 0;
}

process.exitCode = await main();
