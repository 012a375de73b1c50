// Which epoch of a log to look at: the newest by default, since an operator who offers an old one has
// something to hide. A URL whose server cannot list folders needs the number.

import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { EpochFiles, epochPath } from './epoch-files.ts';
import type { LogSource } from './source.ts';
import { openSource } from './source.ts';
import type { CommandIo } from '../io.ts';
import type { StoreOptionValues } from './store-options.ts';

export interface SelectedEpoch {
  readonly source: LogSource;
  readonly files: EpochFiles;
  /** For messages. */
  readonly name: string;
  /** Null for an epoch's folder that stands alone. */
  readonly epoch: number | null;
  /** A later epoch is there. */
  readonly succeeded: boolean;
  /** The number that was asked for; null: the newest, as far as the source says. */
  readonly asked: number | null;
}

/** `wanted` is the text of --epoch. */
export async function selectEpoch(
  address: string,
  wanted: string | undefined,
  values: StoreOptionValues = {},
  env: CommandIo['env'] = {},
): Promise<Result<SelectedEpoch>> {
  if (wanted !== undefined && !/^[1-9]\d{0,9}$/u.test(wanted)) {
    return refuse('usage_invalid', { what: '--epoch: a number from 1' });
  }
  const opened = await openSource(address, values, env);
  if (!opened.ok) return opened;
  const { source, alone } = opened.value;
  const asked = wanted === undefined ? opened.value.epoch : Number(wanted);
  if (alone) {
    const files = new EpochFiles(source, null);
    const { name } = source;
    return accept({ source, files, name, epoch: null, succeeded: false, asked });
  }
  const listed = await listEpochs(source);
  if (!listed.ok) return listed;
  const epochs = listed.value;
  const newest = epochs.at(-1) ?? null;
  const epoch = asked ?? newest;
  if (epoch === null) {
    return refuse('file_unreadable', { path: source.name, what: 'no epochs; give --epoch N' });
  }
  return accept({
    source,
    files: new EpochFiles(source, epoch),
    name: `${source.name.replace(/\/$/u, '')}/${epochPath(epoch).slice(0, -1)}`,
    epoch,
    succeeded: newest !== null && newest > epoch,
    asked,
  });
}

/** Ascending; empty when the source cannot list. */
export async function listEpochs(source: LogSource): Promise<Result<readonly number[]>> {
  const names = await source.list('epochs');
  if (!names.ok) return names;
  const epochs = (names.value ?? []).filter((name) => /^\d{10}$/u.test(name)).map(Number);
  return accept(epochs.sort((a, b) => a - b));
}
