// Where the strategy runner of this installation is: beside the sources of a checkout, or in dist/ of a
// package. It is started as a program and never imported (docs/decisions/0003).

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

/** In a checkout this file is in verifier/replay/, in a package it is part of dist/trackseal.mjs. */
export function locateRunner(): Result<RunnerProgram> {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const root of [join(here, '../..'), join(here, '..')]) {
    const runner = findRunner(root);
    if (existsSync(runner.path)) return accept(runner);
  }
  return refuse('file_unreadable', { what: 'the strategy runner of this installation' });
}
