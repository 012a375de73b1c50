// A batch that the enclave has fetched itself, out of the host's own durable log: it never came over the feed. What is
// missing or cannot be read is a hole in the stream's sequence, which ends its books.

import type { Batch, BatchMemory } from '../../wire/batch.ts';
import { parseBatch } from '../../wire/batch.ts';
import { KIND, LABEL, parseLeaf } from '../../wire/leaf.ts';
import type { Progress } from '../../wire/messages.ts';
import type { LogReader } from '../epoch-log.ts';

/** Null for a leaf that is no such batch, or whose bytes are a blob beside the log. */
export function loggedBatch(
  log: LogReader,
  { stream, sequence, leafIndex }: Progress,
  memory: BatchMemory,
): Batch | null {
  const bytes = log.leaf(leafIndex);
  const leaf = bytes === null ? null : parseLeaf(bytes);
  if (leaf?.ok !== true) return null;
  const { kind, label, body } = leaf.value;
  if (kind !== KIND.input || label !== LABEL.tls || body.form !== 'public') return null;
  const batch = parseBatch(body.plaintext, null, memory);
  return batch.ok && batch.value.stream === stream && batch.value.sequence === sequence
    ? batch.value
    : null;
}
