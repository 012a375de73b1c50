// The strategies of a demo: the example, or those of the options, each with its parameters. They run side by
// side in one epoch, so that each needs a name of its own.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { ApplianceStrategy } from './appliance.ts';
import { ROOT } from './bundle.ts';
import { findBeside, findSource, readBundle } from './kit/strategy-source.ts';

const EXAMPLE = join(ROOT, 'strategies/order-flow.ts');
const EXAMPLE_PARAMETERS = join(ROOT, 'strategies/order-flow.ethusdt.json');
const MAX_STRATEGIES = 8;

async function readJson(path: string): Promise<Result<unknown>> {
  try {
    return accept(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    const code = error instanceof SyntaxError ? 'json_malformed' : 'file_unreadable';
    return refuse(code, { file: path });
  }
}

/** The name, with a number when there is one like it. */
function unique(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}-${number}`)) number++;
  return `${name}-${number}`;
}

/** Paths as the options have them; the n-th parameters belong to the n-th strategy. */
export async function demoStrategies(
  paths: readonly string[],
  parameterFiles: readonly string[],
): Promise<Result<readonly ApplianceStrategy[]>> {
  const wanted = paths.length === 0 ? [EXAMPLE] : paths;
  const files = paths.length === 0 ? [parameterFiles[0] ?? EXAMPLE_PARAMETERS] : parameterFiles;
  if (wanted.length > MAX_STRATEGIES || parameterFiles.length > wanted.length) {
    const what = `at most ${MAX_STRATEGIES} strategies, and one --parameters for each`;
    return refuse('usage_invalid', { what });
  }
  const strategies: ApplianceStrategy[] = [];
  const taken = new Set<string>();
  for (const [at, path] of wanted.entries()) {
    const source = findSource(path);
    if (!source.ok) return source;
    if (source.value.path.endsWith('bundle.js')) {
      return refuse('usage_invalid', { what: 'give the sources, not what was packed', path });
    }
    const file = files[at] ?? findBeside(source.value, 'parameters.json');
    if (file === null) {
      return refuse('usage_invalid', { what: 'no parameters.json beside it: --parameters', path });
    }
    const parameters = await readJson(file);
    if (!parameters.ok) return parameters;
    // Before anything is prepared: sources that do not build are the author's to correct.
    const built = await readBundle(source.value);
    if (!built.ok) return built;
    const strategyName = unique(source.value.name, taken);
    taken.add(strategyName);
    strategies.push({
      strategy: source.value.path,
      strategyName,
      parameters: parameters.value,
    });
  }
  return accept(strategies);
}
