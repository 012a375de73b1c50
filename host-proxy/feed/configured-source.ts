// The feed that the operator's file asks for.

import type { Configuration } from '../../wire/configuration.ts';
import { accept } from '../../wire/result.ts';
import type { HostConfig } from '../config-file.ts';
import type { FeedSource } from '../feed-session.ts';
import type { Logger } from '../logger.ts';
import { replayCapture } from './replay.ts';

/** Without a feed the enclave runs until it is asked to stop. */
const noFeed: FeedSource = async (_, signal) => {
  if (!signal.aborted) {
    await new Promise((stop) => {
      signal.addEventListener('abort', stop, { once: true });
    });
  }
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

export function sourceOf(
  config: HostConfig,
  configuration: Configuration,
  logger: Logger,
): FeedSource {
  const { feed } = config;
  if (feed === null) return noFeed;
  return (sender, signal) =>
    replayCapture(
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
}
