import { describe, expect, it } from 'vitest';
import { LogFile } from '../../host-proxy/log-file.ts';

/** A file with room for so many bytes, at most five in one write. */
class Rig {
  room = Number.POSITIVE_INFINITY;
  text = '';
  readonly shown: string[] = [];
  readonly file = new LogFile({
    append: (bytes) => {
      const count = Math.min(bytes.length, 5, this.room);
      if (count === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      this.room -= count;
      this.text += Buffer.from(bytes.subarray(0, count)).toString('latin1');
      return count;
    },
    fallback: (line) => this.shown.push(line),
  });
}

describe('log file', () => {
  it('takes whole lines, in as many writes as they need', () => {
    const rig = new Rig();
    rig.file.write('{"first":1}\n');
    rig.file.write('{"second":2}\n');
    expect([rig.text, rig.shown]).toEqual(['{"first":1}\n{"second":2}\n', []]);
  });

  it('shows what does not get in elsewhere, and is whole again when there is room', () => {
    const full = ['{"full":1}', '{"full":2}'];
    for (let room = 0; room <= 12; room++) {
      const rig = new Rig();
      rig.file.write('{"before":0}\n');
      rig.room = room;
      for (const line of full) rig.file.write(`${line}\n`);
      rig.room = Number.POSITIVE_INFINITY;
      rig.file.write('{"after":3}\n');
      const lines = rig.text.split('\n').slice(0, -1);
      // The first and the last line are whole; of the others one may be cut.
      expect(lines[0]).toBe('{"before":0}');
      expect(lines.at(-1)).toBe('{"after":3}');
      const between = lines.slice(1, -1).filter((line) => line !== '');
      expect(between.length).toBeLessThanOrEqual(2);
      for (const line of between) expect(full.some((one) => one.startsWith(line))).toBe(true);
      // What is not in the file with its newline was shown.
      const fits = Math.min(2, Math.floor(room / 11));
      expect(rig.shown).toEqual(full.slice(fits).map((line) => `${line}\n`));
      expect(between.slice(0, fits)).toEqual(full.slice(0, fits));
    }
  });

  it('writes to a descriptor, and to standard error when that is gone', () => {
    const shown: string[] = [];
    const file = LogFile.of(2 ** 30, (line) => shown.push(line));
    file.write('line\n');
    expect(shown).toEqual(['line\n']);
  });
});
