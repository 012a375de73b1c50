// Fields of a request, checked against the bounds of AWS's API model.

import { parseBase64 } from '../../wire/bytes.ts';
import { validation } from './errors.ts';
import type { EncryptionContext } from './keys.ts';

export type Input = Readonly<Record<string, unknown>>;

const MAX_KEY_ID = 2048;
const MAX_CONTEXT_CHARACTERS = 8192;
export const MAX_PLAINTEXT_BYTES = 4096;
export const MAX_CIPHERTEXT_BYTES = 6144;

function failed(field: string, constraint: string): Error {
  const name = field.charAt(0).toLowerCase() + field.slice(1);
  return validation(
    `1 validation error detected: Value at '${name}' failed to satisfy constraint: ${constraint}`,
  );
}

export function parseInput(body: Uint8Array): Input {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    value = null;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Input;
  throw validation('Could not parse request body into json.');
}

export function textOf(
  input: Input,
  field: string,
  maxCharacters: number = MAX_KEY_ID,
): string | null {
  const value = input[field];
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' && value.length > 0 && value.length <= maxCharacters) return value;
  throw failed(field, `Member must have length between 1 and ${maxCharacters}`);
}

export function requiredText(input: Input, field: string, maxCharacters?: number): string {
  const value = textOf(input, field, maxCharacters);
  if (value === null) throw failed(field, 'Member must not be null');
  return value;
}

export function requiredBytes(input: Input, field: string, maxBytes: number): Uint8Array {
  const text = requiredText(input, field, Math.ceil(maxBytes / 3) * 4);
  const bytes = parseBase64(text);
  if (bytes !== null && bytes.length > 0 && bytes.length <= maxBytes) return bytes;
  throw failed(field, `Member must have length less than or equal to ${maxBytes}`);
}

export function contextOf(input: Input): EncryptionContext {
  const value = input['EncryptionContext'] ?? {};
  const entries = typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : null;
  const isText = entries?.every(([, text]) => typeof text === 'string');
  const total = (entries ?? []).flat().join('').length;
  if (entries === null || isText !== true || total > MAX_CONTEXT_CHARACTERS) {
    throw failed('EncryptionContext', 'Member must be a map of strings');
  }
  return new Map(entries);
}

/** SYMMETRIC_DEFAULT, by default too; what an asymmetric key can does not exist here. */
export function checkAlgorithm(input: Input): void {
  const algorithm = textOf(input, 'EncryptionAlgorithm') ?? 'SYMMETRIC_DEFAULT';
  if (algorithm !== 'SYMMETRIC_DEFAULT') {
    throw failed('EncryptionAlgorithm', 'Member must satisfy enum value set: [SYMMETRIC_DEFAULT]');
  }
}
