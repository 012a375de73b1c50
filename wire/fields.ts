// Typed access to a decoded CBOR map. Every field is taken by name; what is left over is refused, so
// that a message with a field we do not know is never half understood.

import type { CborMap, CborOptions, CborValue } from './cbor.ts';
import { parseCbor } from './cbor.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/** Thrown inside `parseFields` only; it becomes a refusal there. */
class FieldError extends Error {
  readonly field: number;
  constructor(field: number) {
    super('field');
    this.field = field;
  }
}

export class Fields {
  readonly #map: CborMap;
  readonly #left: Set<number | bigint | string>;

  constructor(map: CborMap) {
    this.#map = map;
    this.#left = new Set(map.keys());
  }

  take(field: number): CborValue {
    const value = this.#map.get(field);
    if (value === undefined) throw new FieldError(field);
    this.#left.delete(field);
    return value;
  }

  /** For a field that older messages lack. */
  has(field: number): boolean {
    return this.#map.has(field);
  }

  /** An unsigned integer from `minimum` to `maximum`, both at most 2^53-1. */
  uint(field: number, maximum: number = Number.MAX_SAFE_INTEGER, minimum = 0): number {
    return this.#checkUint(this.take(field), field, maximum, minimum);
  }

  int(field: number): number {
    const value = this.take(field);
    if (typeof value !== 'number') throw new FieldError(field);
    return value;
  }

  uint64(field: number): bigint {
    const value = this.take(field);
    if (typeof value !== 'number' && typeof value !== 'bigint') throw new FieldError(field);
    if (value < 0) throw new FieldError(field);
    return BigInt(value);
  }

  /** Undefined when the field is not there. */
  optionalUint(field: number, maximum: number, minimum: number): number | undefined {
    return this.#map.has(field) ? this.uint(field, maximum, minimum) : undefined;
  }

  bytes(field: number, minimum: number, maximum: number = minimum): Uint8Array {
    return this.#checkBytes(this.take(field), field, minimum, maximum);
  }

  bytesOrNull(field: number, minimum: number, maximum: number = minimum): Uint8Array | null {
    const value = this.take(field);
    return value === null ? null : this.#checkBytes(value, field, minimum, maximum);
  }

  uintOrNull(field: number, maximum: number = Number.MAX_SAFE_INTEGER): number | null {
    const value = this.take(field);
    return value === null ? null : this.#checkUint(value, field, maximum, 0);
  }

  /** A text of `minimum` to `maximum` UTF-16 units. */
  text(field: number, maximum: number, minimum = 1): string {
    const value = this.take(field);
    if (typeof value !== 'string' || value.length < minimum || value.length > maximum) {
      throw new FieldError(field);
    }
    return value;
  }

  textOrNull(field: number, maximum: number): string | null {
    return this.take(field) === null ? null : this.text(field, maximum);
  }

  texts(field: number, maximum: number, maximumLength: number): readonly string[] {
    return this.array(field, maximum).map((value) => {
      if (typeof value === 'string' && value.length > 0 && value.length <= maximumLength) {
        return value;
      }
      throw new FieldError(field);
    });
  }

  bool(field: number): boolean {
    const value = this.take(field);
    if (typeof value !== 'boolean') throw new FieldError(field);
    return value;
  }

  array(field: number, maximum: number): readonly CborValue[] {
    const value = this.take(field);
    if (!Array.isArray(value) || value.length > maximum) throw new FieldError(field);
    return value as readonly CborValue[];
  }

  uints(field: number, maximum: number): readonly number[] {
    return this.array(field, maximum).map((value) =>
      this.#checkUint(value, field, Number.MAX_SAFE_INTEGER, 0),
    );
  }

  byteStrings(
    field: number,
    maximum: number,
    minimumBytes: number,
    maximumBytes: number = minimumBytes,
  ): readonly Uint8Array[] {
    return this.array(field, maximum).map((value) =>
      this.#checkBytes(value, field, minimumBytes, maximumBytes),
    );
  }

  /** A nested map, read by the same rules. */
  map<T>(field: number, read: (fields: Fields) => T): T {
    return readWhole(this.take(field), field, read);
  }

  mapOrNull<T>(field: number, read: (fields: Fields) => T): T | null {
    const value = this.take(field);
    return value === null ? null : readWhole(value, field, read);
  }

  /** An array of maps. */
  maps<T>(field: number, maximum: number, read: (fields: Fields) => T): readonly T[] {
    return this.array(field, maximum).map((value) => readWhole(value, field, read));
  }

  /** The value of `field` fails a rule of the message. */
  refuse(field: number): never {
    throw new FieldError(field);
  }

  /** Call after the last field: anything unknown is refused. */
  end(): void {
    for (const key of this.#left) throw new FieldError(typeof key === 'number' ? key : -1);
  }

  #checkUint(value: CborValue, field: number, maximum: number, minimum: number): number {
    if (typeof value !== 'number' || value < minimum || value > maximum) {
      throw new FieldError(field);
    }
    return value;
  }

  #checkBytes(value: CborValue, field: number, minimum: number, maximum: number): Uint8Array {
    if (!(value instanceof Uint8Array) || value.length < minimum || value.length > maximum) {
      throw new FieldError(field);
    }
    return value;
  }
}

function readWhole<T>(value: CborValue, field: number, read: (fields: Fields) => T): T {
  if (!(value instanceof Map)) throw new FieldError(field);
  const fields = new Fields(value as CborMap);
  const result = read(fields);
  fields.end();
  return result;
}

/**
 * Decodes one deterministic CBOR map and reads its fields with `read`. `message` names it in the
 * refusal `message_malformed {message, field}`; unknown, missing and out-of-range fields are refused. With `firstEntries`
 * all of that holds for the first so many fields alone.
 */
export function parseFields<T>(
  message: string,
  bytes: Uint8Array,
  maxBytes: number,
  read: (fields: Fields) => T,
  options: Pick<CborOptions, 'maxItems' | 'firstEntries'> = {},
): Result<T> {
  const decoded = parseCbor(bytes, { maxBytes, ...options });
  if (!decoded.ok) return decoded;
  try {
    return accept(readWhole(decoded.value, 0, read));
  } catch (error) {
    if (error instanceof FieldError) {
      return refuse('message_malformed', { message, field: error.field });
    }
    throw error;
  }
}
