// The feed that the operator's file asks for.

import type { Configuration } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { HostConfig, ReplayConfig } from '../config-file.ts';
import type { FeedSource } from '../feed-session.ts';
import type { Logger } from '../logger.ts';
import { LiveSource, planLive } from './live.ts';
import { replayCapture } from './replay.ts';

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((stop) => {
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** Without a feed the enclave runs until it is asked to stop. */
const noFeed: FeedSource = async (_, signal) => {
  await untilAborted(signal);
  return accept({
    messages: 0,
    events: 0,
    batches: 0,
    refusedLines: 0,
    firstTimeNs: 0n,
    lastTimeNs: 0n,
    ended: 'aborted',
  });
};

export interface ConfiguredFeed {
  readonly source: FeedSource;
  /** `drop` for what cannot wait. */
  readonly whenFull: 'wait' | 'drop';
  readonly live: LiveSource | null;
}

/** Refuses `config_invalid`: an epoch without its feed would be for nothing. */
export function configuredFeed(
  { feed }: Pick<HostConfig, 'feed'>,
  configuration: Configuration,
  logger: Logger,
): Result<ConfiguredFeed> {
  if (feed === null) return accept({ source: noFeed, whenFull: 'wait', live: null });
  if (feed.source === 'replay') {
    return accept({
      source: replaySource(feed, configuration, logger),
      whenFull: feed.when_full,
      live: null,
    });
  }
  const plans = planLive(feed, configuration);
  if (!plans.ok) return plans;
  const { close_rows: closeRows, close_ms: closeMs } = feed;
  const live = new LiveSource({ plans: plans.value, closeRows, closeMs, logger });
  return accept({ source: live.run, whenFull: 'drop', live });
}

function replaySource(
  feed: ReplayConfig,
  configuration: Configuration,
  logger: Logger,
): FeedSource {
  return async (sender, signal) => {
    const replayed = await replayCapture(
      {
        path: feed.capture,
        instruments: configuration.instruments,
        stream: feed.stream,
        speed: feed.speed,
        limitEvents: feed.limit_events,
        closeRows: feed.close_rows,
        closeMs: feed.close_ms,
        onMalformed: feed.skip_malformed ? 'continue' : 'stop',
        onRefusal: ({ code, detail }) => {
          logger.warn('capture_refused', { ...detail, code });
        },
        signal,
      },
      sender,
    );
    if (replayed.ok && feed.at_end === 'stay') {
      logger.info('feed_played', { stream: feed.stream, batches: replayed.value.batches });
      await untilAborted(signal);
    }
    return replayed;
  };
}
