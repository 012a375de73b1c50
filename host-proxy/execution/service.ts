// Execution as the operator's file wants it: the paper broker, its limits, and the journal in the state
// folder, which goes on from epoch to epoch.

import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Configuration } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { HostConfig } from '../config-file.ts';
import type { EpochServices } from '../epoch-services.ts';
import type { Files } from '../files.ts';
import type { Logger } from '../logger.ts';
import type { BrokenEpoch } from '../settle.ts';
import { Execution } from './execution.ts';
import type { JournalPlace } from './journal.ts';
import { findJournal, openJournal } from './journal.ts';
import { KillSwitch } from './kill-switch.ts';
import { reconcile } from './reconcile.ts';
import { tradingOf } from './trading.ts';

export interface ExecutionService {
  readonly createExecution: EpochServices['createExecution'];
  /** Null: only looks whether the journal can be read. */
  readonly reconcile: (epoch: BrokenEpoch | null) => Promise<Result<null>>;
}

export function executionService(
  config: HostConfig,
  configuration: Configuration,
  files: Files,
  logger: Logger,
): ExecutionService {
  const { instruments } = configuration;
  const { kill_switch: killSwitchFile, keep_journals: keep } = config.execution;
  const place: JournalPlace = { files, directory: `${config.state}/execution`, instruments, keep };
  const options = {
    crypto: nodeCrypto,
    instruments,
    ...tradingOf(config.execution),
    onRefusal: ({ code }: { readonly code: string }) => {
      logger.error('signal_refused', { code });
    },
  };
  return {
    createExecution: async (log, origin, onReport) => {
      const opened = await openJournal(place);
      if (!opened.ok) return opened;
      const killSwitch = new KillSwitch(killSwitchFile);
      const services = { log, origin, killSwitch, onReport };
      return accept(new Execution({ ...options, ...opened.value, ...services }));
    },
    reconcile: async (epoch) => {
      if (epoch !== null) return reconcile(place, epoch);
      const found = await findJournal(place);
      return found.ok ? accept(null) : found;
    },
  };
}
