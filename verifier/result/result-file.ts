// A signed result as a file: the JSON that the enclave answered and a client kept. Hostile until its signature verifies;
// what is readable in it is compared with what the statement says, and is otherwise of no use.

import { parseBase64, parseHex, parseUtf8 } from '../../wire/bytes.ts';
import { SALT_BYTES } from '../../wire/leaf.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { MAX_STATEMENT_BYTES } from '../../wire/result-statement.ts';

export const MAX_RESULT_FILE_BYTES: number = 2 * 1024 * 1024;
const SIGNATURE_BYTES = 64;

export interface ResultFile {
  readonly statement: Uint8Array;
  readonly leafIndex: number;
  readonly leafSalt: Uint8Array;
  readonly signature: Uint8Array;
  /** As the file has them; undefined where it has none. */
  readonly summary: unknown;
  readonly metrics: unknown;
}

/** Refuses `result_malformed`. Other fields of the answer, such as session_expires, are let be. */
export function parseResultFile(bytes: Uint8Array): Result<ResultFile> {
  const text = parseUtf8(bytes);
  if (text === null) return refuse('result_malformed', { what: 'UTF-8' });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('result_malformed', { what: 'JSON' });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('result_malformed', { what: 'JSON' });
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const { leaf_index: leafIndex } = fields;
  const statement = bytesOf(fields['statement'], parseBase64, 1, MAX_STATEMENT_BYTES);
  const signature = bytesOf(fields['signature'], parseBase64, SIGNATURE_BYTES, SIGNATURE_BYTES);
  const leafSalt = bytesOf(fields['leaf_salt'], parseHex, SALT_BYTES, SALT_BYTES);
  if (statement === null) return refuse('result_malformed', { what: 'statement' });
  if (signature === null) return refuse('result_malformed', { what: 'signature' });
  if (leafSalt === null) return refuse('result_malformed', { what: 'leaf_salt' });
  if (typeof leafIndex !== 'number' || !Number.isSafeInteger(leafIndex) || leafIndex < 0) {
    return refuse('result_malformed', { what: 'leaf_index' });
  }
  const { summary, metrics } = fields;
  return accept({ statement, leafIndex, leafSalt, signature, summary, metrics });
}

function bytesOf(
  value: unknown,
  parse: (text: string) => Uint8Array | null,
  minimum: number,
  maximum: number,
): Uint8Array | null {
  const bytes = typeof value === 'string' ? parse(value) : null;
  return bytes === null || bytes.length < minimum || bytes.length > maximum ? null : bytes;
}
