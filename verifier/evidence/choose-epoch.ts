// Which epoch an evidence file is made of. A range of time names its epoch by itself, the first with a leaf
// of it; everything else takes the newest, unless one is asked for.

import type { CommandIo } from '../io.ts';
import type { EpochFiles } from '../log/epoch-files.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { openSource } from '../log/source.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { OtherEpochs, TimeRange } from './epoch-range.ts';
import type { Progress } from './find-leaves.ts';
import { firstTouched, otherEpochs, surveyEpochs } from './survey-epochs.ts';

export interface EpochChoice {
  readonly address: string;
  /** The text of --epoch. */
  readonly wanted: string | undefined;
  /** Null for what is not asked for by its time. */
  readonly range: TimeRange | null;
  readonly values: StoreOptionValues;
  readonly env: CommandIo['env'];
  readonly onProgress: Progress;
}

export interface ChosenEpoch {
  readonly files: EpochFiles;
  /** Null without a range, and for an epoch's folder that stands alone: nobody has looked. */
  readonly otherEpochs: OtherEpochs | null;
}

export async function chooseEpoch(choice: EpochChoice): Promise<Result<ChosenEpoch>> {
  const { address, wanted, range, values, env, onProgress } = choice;
  const selected = await selectEpoch(address, wanted, values, env);
  if (!selected.ok) return selected;
  const { files, epoch, asked } = selected.value;
  if (range === null || epoch === null) return accept({ files, otherEpochs: null });
  // A source of its own: what the store says of other epochs is no part of the evidence.
  const opened = await openSource(address, values, env);
  if (!opened.ok) return opened;
  const survey = await surveyEpochs(opened.value.source, range, epoch, onProgress);
  if (!survey.ok) return survey;
  const number = asked ?? firstTouched(survey.value, range) ?? epoch;
  const chosen =
    number === epoch ? selected : await selectEpoch(address, String(number), values, env);
  if (!chosen.ok) return chosen;
  const others = otherEpochs(survey.value, number, range);
  return others.ok ? accept({ files: chosen.value.files, otherEpochs: others.value }) : others;
}
