// trackseal strategy test: the scenarios of a strategy's author, each played twice in processes as the enclave
// has them.

import { readFile } from 'node:fs/promises';
import { parseOptions } from '../verifier/command-line.ts';
import type { CommandIo } from '../verifier/io.ts';
import { ProgressBar } from '../verifier/log/progress.ts';
import { locateRunner } from '../verifier/replay/locate-runner.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { RunnerProgram } from '../wire/node/strategy-program.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { explain } from './kit/explain.ts';
import { parseInstruments, readInstruments } from './kit/instruments.ts';
import type { ScenarioOptions, ScenarioResult } from './kit/scenario-run.ts';
import { playScenario } from './kit/scenario-run.ts';
import type { Scenario, ScenarioFile } from './kit/scenario.ts';
import { parseScenarios } from './kit/scenario-file.ts';
import { diffLines } from './kit/scenario-signals.ts';
import type { StrategySource } from './kit/strategy-source.ts';
import { findBeside, findSource, readBundle } from './kit/strategy-source.ts';

const USAGE = `usage: trackseal strategy test PATH [--scenarios FILE] [--only NAME] [--json]

Plays the scenarios of a strategy: market events in, signals expected. Each runs in a process of its own, as
in the enclave and with its limits, and once more in a second one, which must give the same bytes. PATH is a
source file, a folder with strategy.ts, or what 'strategy pack' made of it. docs/STRATEGIES.md describes the
scenarios; parameters.json and instruments.json beside the strategy are theirs, unless they have their own.

  --scenarios FILE   default: scenarios.json beside the strategy
  --only NAME        one scenario
  --json             the results as JSON on stdout
  --help

Exit codes: 0 all as expected, 1 some not, 2 could not run.
`;

const OPTIONS = {
  scenarios: { type: 'string' },
  only: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

interface Task {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  readonly options: ScenarioOptions;
}

async function readText(path: string): Promise<Result<string>> {
  try {
    return accept(await readFile(path, 'utf8'));
  } catch {
    return refuse('file_unreadable', { file: path });
  }
}

async function readScenarios(
  source: StrategySource,
  given: string | undefined,
): Promise<Result<ScenarioFile>> {
  const path = given ?? findBeside(source, 'scenarios.json');
  if (path === null) {
    return refuse('usage_invalid', { what: 'no scenarios.json beside the strategy: --scenarios' });
  }
  const text = await readText(path);
  if (!text.ok) return text;
  const parsed = parseScenarios(text.value);
  if (parsed.ok) return parsed;
  const { code, detail } = parsed.refusal;
  return refuse(code, { file: path, ...detail });
}

async function readParametersObject(
  source: StrategySource,
): Promise<Result<Readonly<Record<string, unknown>>>> {
  const path = findBeside(source, 'parameters.json');
  if (path === null) return accept({});
  const text = await readText(path);
  if (!text.ok) return text;
  try {
    return accept(JSON.parse(text.value) as Record<string, unknown>);
  } catch {
    return refuse('json_malformed', { file: path });
  }
}

async function readTable(
  source: StrategySource,
  inline: unknown,
): Promise<ReturnType<typeof parseInstruments>> {
  if (inline !== undefined) return parseInstruments(inline);
  const path = findBeside(source, 'instruments.json');
  if (path !== null) return readInstruments(path);
  return refuse('usage_invalid', { what: 'no instruments: instruments.json, or in the scenarios' });
}

async function prepare(
  path: string,
  values: { readonly scenarios?: string | undefined; readonly only?: string | undefined },
  runner: RunnerProgram | null,
): Promise<Result<Task>> {
  const program = runner === null ? locateRunner() : accept(runner);
  if (!program.ok) return program;
  const source = findSource(path);
  if (!source.ok) return source;
  const file = await readScenarios(source.value, values.scenarios);
  if (!file.ok) return file;
  const instruments = await readTable(source.value, file.value.instruments);
  if (!instruments.ok) return instruments;
  const own = file.value.parameters;
  const parameters = own === undefined ? await readParametersObject(source.value) : accept(own);
  if (!parameters.ok) return parameters;
  const scenarios = file.value.scenarios.filter(
    ({ name }) => values.only === undefined || name === values.only,
  );
  if (scenarios.length === 0) {
    const names = file.value.scenarios.map(({ name }) => JSON.stringify(name)).join(', ');
    return refuse('usage_invalid', { what: `--only: there are ${names}` });
  }
  const bundle = await readBundle(source.value);
  if (!bundle.ok) return bundle;
  const { name } = source.value;
  return accept({
    name,
    scenarios,
    options: {
      epoch: { crypto: nodeCrypto, program: program.value, name, bundle: bundle.value },
      parameters: parameters.value,
      instruments: instruments.value,
    },
  });
}

function renderResult(result: ScenarioResult): readonly string[] {
  const { name, failures, batches, rows, signals, ended } = result;
  const facts = `${batches} batches, ${rows} rows, ${signals} signals${ended === null ? '' : `, ${ended}`}`;
  if (failures.length === 0) return [`  ok    ${name}  (${facts})`];
  const lines = [`  FAIL  ${name}  (${facts})`];
  for (const { place, atMs, what, expected, actual } of failures) {
    lines.push(`        ${place}, ${atMs} ms: ${what}`);
    lines.push(...diffLines(expected, actual).map((line) => `          ${line}`));
  }
  return lines;
}

function render(name: string, results: readonly ScenarioResult[]): string {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const head =
    failed === 0
      ? `PASSED  ${name}: ${results.length} scenarios, each in two processes`
      : `FAILED  ${name}: ${failed} of ${results.length} scenarios`;
  const lines = [head, ...results.flatMap(renderResult)];
  const differs = results.some(({ failures }) => failures.some(({ actual }) => actual.length > 0));
  if (differs) {
    lines.push(
      '  next  - is expected, + came: correct the strategy, or copy the lines into `expect`',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `runner`: for tests; null is the runner of this installation. */
export async function run(
  args: readonly string[],
  io: CommandIo,
  runner: RunnerProgram | null = null,
): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return explain(io, parsed.refusal, { json, exit: 2 });
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    const detail = { what: 'give one PATH' };
    return explain(io, { code: 'usage_invalid', detail }, { json, exit: 2 });
  }
  const task = await prepare(path, values, runner);
  if (!task.ok) return explain(io, task.refusal, { json, exit: 2 });
  const { name, scenarios, options } = task.value;
  const bar = new ProgressBar(io, 'scenarios');
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    bar.update(results.length, scenarios.length);
    results.push(await playScenario(options, scenario));
  }
  bar.clear();
  const passed = results.every(({ failures }) => failures.length === 0);
  const verdict = passed ? 'passed' : 'failed';
  io.stdout(
    json
      ? `${JSON.stringify({ verdict, strategy: name, scenarios: results }, null, 2)}\n`
      : render(name, results),
  );
  return passed ? 0 : 1;
}
