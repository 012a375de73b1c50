// OPEN as desk and tap read it (docs/PROTOCOL.md 11b): what they know of their epoch, from the core, which they trust.

import { parseFields } from './fields.ts';
import {
  MAX_BOOT_BYTES,
  MAX_CONFIGURATION_BYTES,
  MAX_DOCUMENT_BYTES,
  MAX_ITEM_BYTES,
  MAX_ORIGIN_CHARACTERS,
} from './limits.ts';
import type { Result } from './result.ts';
import { MAX_DATA_KEY_RECORDS, MAX_PASSWORD_BYTES, MAX_SEALED_ITEMS } from './sealed.ts';
import type { DeskSecret, DeskOpen } from './desk-frames.ts';

const MAX_SMALL_BYTES = 1024;

/** Views of `bytes`, which holds secrets: wipe it when they are taken. */
export function parseDeskOpen(bytes: Uint8Array): Result<DeskOpen> {
  return parseFields('desk_open', bytes, MAX_BOOT_BYTES, (fields) => {
    const secrets = (field: number, maximum: number): readonly DeskSecret[] =>
      fields.maps(field, maximum, (secret) => ({
        name: secret.text(1, 64),
        version: secret.uint(2),
        bytes: secret.bytes(3, 1, MAX_ITEM_BYTES),
      }));
    return {
      origin: fields.text(1, MAX_ORIGIN_CHARACTERS),
      epoch: fields.uint(2),
      configuration: fields.bytes(3, 2, MAX_CONFIGURATION_BYTES),
      nowNs: fields.uint64(4),
      vaultKeys: secrets(5, MAX_DATA_KEY_RECORDS),
      accounts: secrets(6, MAX_SEALED_ITEMS),
      manifest: fields.bytes(7, 0, MAX_BOOT_BYTES),
      roots: fields.bytes(8, 0, MAX_BOOT_BYTES),
      document: fields.bytes(9, 0, MAX_DOCUMENT_BYTES + MAX_SMALL_BYTES),
      leafZeroHash: fields.bytes(10, 32),
      clientCa: fields.bytesOrNull(11, 1, MAX_ITEM_BYTES),
      databasePassword: fields.bytesOrNull(12, 1, MAX_PASSWORD_BYTES),
    };
  });
}
