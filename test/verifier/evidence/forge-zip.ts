// ZIP archives with any field as a test wants it, written without the product's code.

import { concatBytes, utf8 } from '../../../wire/bytes.ts';

export interface ForgedEntry {
  readonly name: string;
  /** As it lies in the file. */
  readonly data: Uint8Array;
  readonly size: number;
  readonly crc: number;
  readonly method: number;
  readonly flags?: number;
  readonly attributes?: number;
  /** In the central directory, in place of the true one. */
  readonly offset?: number;
  readonly localName?: string;
  readonly localSize?: number;
  readonly localFlags?: number;
  /** Bytes of nothing behind its data. */
  readonly behind?: number;
}

export interface ForgedEnd {
  readonly prefix?: number;
  readonly comment?: string;
  readonly count?: number;
  readonly directoryOffset?: number;
  readonly disk?: number;
  /** The central directory lists the entries the other way round. */
  readonly reversed?: boolean;
}

const DOS_TIME = 0x00210000;

function record(...fields: readonly (readonly [bytes: 2 | 4, value: number])[]): Uint8Array {
  const buffer = Buffer.alloc(fields.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) buffer.writeUInt16LE(value, at);
    else buffer.writeUInt32LE(value >>> 0, at);
    at += bytes;
  }
  return new Uint8Array(buffer);
}

export function forgeZip(entries: readonly ForgedEntry[], end: ForgedEnd = {}): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(end.prefix ?? 0)];
  const directory: Uint8Array[] = [];
  let at = end.prefix ?? 0;
  for (const entry of entries) {
    const { data, size, crc, method, flags = 0, attributes = 0 } = entry;
    const [name, localName] = [utf8(entry.name), utf8(entry.localName ?? entry.name)];
    const common = [
      [2, method],
      [4, DOS_TIME],
      [4, crc],
      [4, data.length],
    ] as const;
    const central = concatBytes(
      record(
        [4, 0x02014b50],
        [2, 20],
        [2, 20],
        [2, flags],
        ...common,
        [4, size],
        [2, name.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, attributes],
        [4, entry.offset ?? at],
      ),
      name,
    );
    if (end.reversed === true) directory.unshift(central);
    else directory.push(central);
    const local = [
      record(
        [4, 0x04034b50],
        [2, 20],
        [2, entry.localFlags ?? flags],
        ...common,
        [4, entry.localSize ?? size],
        [2, localName.length],
        [2, 0],
      ),
      localName,
      data,
      new Uint8Array(entry.behind ?? 0),
    ];
    parts.push(...local);
    at += local.reduce((sum, { length }) => sum + length, 0);
  }
  const central = new Uint8Array(Buffer.concat(directory));
  const comment = utf8(end.comment ?? '');
  const count = end.count ?? entries.length;
  const tail = concatBytes(
    central,
    record(
      [4, 0x06054b50],
      [2, end.disk ?? 0],
      [2, 0],
      [2, count],
      [2, count],
      [4, central.length],
      [4, end.directoryOffset ?? at],
      [2, comment.length],
    ),
    comment,
  );
  // A call cannot have this many arguments.
  return new Uint8Array(Buffer.concat([...parts, tail]));
}
