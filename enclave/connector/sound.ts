// What a connector may say: a record goes out when the desk would take it.

import { encodeCbor } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { ConnectorRecord } from './records.ts';
import { READ_RECORD, recordToCbor } from './records.ts';

const MAX_RECORD_BYTES = 8192;

/**
 * Whether the desk would take it. A record that it would not take ends the process with everything that is in it,
 * so one that a venue's answer has made is left out here, and counted.
 */
export function isSound(record: ConnectorRecord): boolean {
  try {
    const bytes = encodeCbor(recordToCbor(record));
    return parseFields('record', bytes, MAX_RECORD_BYTES, READ_RECORD[record.kind]).ok;
  } catch (error) {
    // A time that is no whole number.
    if (error instanceof RangeError) return false;
    throw error;
  }
}
