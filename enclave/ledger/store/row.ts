// A row of an answer, column by column. The database is hostile: what it names a column's type or name is not looked at,
// each value is text of the server's or null, and every one is read with its bounds here.

/** A value of a row that cannot be: the answer is of no use. */
export class RowError extends Error {
  constructor(column: number) {
    super(`column ${column}`);
    this.name = 'RowError';
  }
}

const UINT = /^(?:0|[1-9][0-9]{0,15})$/u;

export class Row {
  readonly #values: readonly unknown[];

  constructor(values: readonly unknown[]) {
    this.#values = values;
  }

  #text(column: number): string {
    const value = this.#values[column];
    if (typeof value !== 'string') throw new RowError(column);
    return value;
  }

  isNull(column: number): boolean {
    return this.#values[column] === null;
  }

  text(column: number, maximum: number): string {
    const text = this.#text(column);
    if (text.length > maximum) throw new RowError(column);
    return text;
  }

  uint(column: number): number {
    const text = this.#text(column);
    const value = UINT.test(text) ? Number(text) : -1;
    if (!Number.isSafeInteger(value) || value < 0) throw new RowError(column);
    return value;
  }

  bytes(column: number, minimum: number, maximum: number = minimum): Uint8Array {
    const text = this.#text(column);
    const length = (text.length - 2) / 2;
    if (length < minimum || length > maximum || !text.startsWith('\\x')) throw new RowError(column);
    // It reads up to what is no hexadecimal digit.
    const bytes = Buffer.from(text.slice(2), 'hex');
    if (bytes.length !== length) throw new RowError(column);
    return bytes;
  }

  bytesOrNull(column: number, minimum: number, maximum: number = minimum): Uint8Array | null {
    return this.isNull(column) ? null : this.bytes(column, minimum, maximum);
  }

  uintOrNull(column: number): number | null {
    return this.isNull(column) ? null : this.uint(column);
  }
}
