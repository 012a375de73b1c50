import { describe, expect, it } from 'vitest';
import { encodeRecord, judgeEnd, RECORD_HEAD_BYTES } from '../../host-proxy/spool-record.ts';

/** Starts of groups wherever there is room for one, each of a length up to the end. */
function fullOfStarts(bytes: number): Buffer {
  const segment = Buffer.alloc(bytes);
  for (let at = 1; at + RECORD_HEAD_BYTES <= bytes; at += RECORD_HEAD_BYTES) {
    segment.write('TSG1', at, 'latin1');
    segment.writeUInt32BE(bytes - at - RECORD_HEAD_BYTES, at + 8);
  }
  return segment;
}

describe('the end of a segment', () => {
  it('is found in linear time, whatever a venue has sent', () => {
    // Reading on for each of a quarter of a million starts would be half a terabyte.
    expect(judgeEnd(fullOfStarts(4 * 1024 * 1024), 0)).toBe('torn');
  });

  it('with one record among many that look like one is corrupt, wherever it is', () => {
    const payload = Buffer.alloc(100, 'a payload');
    for (const at of [1, 4095, 4096, 30_000, 65_536 - RECORD_HEAD_BYTES - payload.length]) {
      const segment = fullOfStarts(65_536);
      encodeRecord(segment, at, { number: 7, first: true, payload });
      expect(judgeEnd(segment, 0), `at ${at}`).toBe('corrupt');
      segment[at + RECORD_HEAD_BYTES + 50] = 0;
      expect(judgeEnd(segment, 0), `at ${at}`).toBe('torn');
    }
  });

  it('takes a mark, which has no payload, for a record', () => {
    const segment = Buffer.alloc(4096, 'torn');
    encodeRecord(segment, 4096 - RECORD_HEAD_BYTES, {
      number: 7,
      first: true,
      payload: new Uint8Array(0),
    });
    expect(judgeEnd(segment, 0)).toBe('corrupt');
    expect(judgeEnd(segment.subarray(0, -1), 0)).toBe('torn');
  });
});
