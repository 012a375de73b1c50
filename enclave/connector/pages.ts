// Records into pages that the desk takes: of one kind, at most 500, at most 256 KiB as encoded.

import { encodeCbor } from '../../wire/cbor.ts';
import { MAX_RECORDS_BYTES, MAX_RECORDS_PER_PAGE } from './protocol.ts';
import type { ConnectorRecord, RecordKind } from './records.ts';
import { RECORD_KINDS, recordToCbor } from './records.ts';

/** Heads and names around the list. */
const FRAME_BYTES = 64;

export interface RecordPage {
  readonly kind: RecordKind;
  readonly records: readonly ConnectorRecord[];
}

export function pagesOf(records: readonly ConnectorRecord[]): readonly RecordPage[] {
  const pages: RecordPage[] = [];
  for (const kind of RECORD_KINDS) {
    let page: ConnectorRecord[] = [];
    let bytes = FRAME_BYTES;
    for (const record of records) {
      if (record.kind !== kind) continue;
      const size = encodeCbor(recordToCbor(record)).length;
      if (page.length === MAX_RECORDS_PER_PAGE || bytes + size > MAX_RECORDS_BYTES) {
        pages.push({ kind, records: page });
        page = [];
        bytes = FRAME_BYTES;
      }
      page.push(record);
      bytes += size;
    }
    if (page.length > 0) pages.push({ kind, records: page });
  }
  return pages;
}
