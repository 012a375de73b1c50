// Options of the commands that compare what they see with remembered heads.

import { headsPath } from './heads.ts';
import type { CommandIo } from './io.ts';

export const HEADS_OPTIONS = {
  heads: { type: 'string' },
  'no-heads': { type: 'boolean' },
} as const;

export interface HeadsOptionValues {
  readonly heads?: string | undefined;
  readonly 'no-heads'?: boolean | undefined;
}

export const HEADS_USAGE = `  --heads FILE           memory of log heads (default: $TRACKSEAL_HEADS, or the user's state folder;
                         with an --unsafe- flag only a file that is named)`;

/** Null: no head is compared or remembered. */
export function optionalHeadsPath(
  options: HeadsOptionValues,
  env: CommandIo['env'],
  unsafe: readonly string[],
): string | null {
  return options['no-heads'] === true ? null : headsPath(options.heads, env, unsafe);
}
