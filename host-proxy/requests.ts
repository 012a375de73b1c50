// What operators ask of a host, as files in its state folder: whoever may write there is the operator, no port
// and no password is needed, and what is asked outlives a crash. Commands write them (durably); the host takes
// them up and removes them.

import * as z from 'zod';
import { parseHex } from '../wire/bytes.ts';
import type { HandOver } from '../wire/kms-messages.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Files } from './files.ts';

export const HAND_OVER_REQUEST = 'hand-over.json';
/** Written by the host when the epoch that handed over is settled. */
export const HAND_OVER_DONE = 'hand-over.done.json';
/** A certificate chain (PEM) for the TLS key of the epoch that runs; removed when it has been handed over. */
export const CERTIFICATE_REQUEST = 'certificate.pem';
const MAX_REQUEST_BYTES = 16 * 1024;

export function requestsDirectory(state: string): string {
  return `${state}/requests`;
}

/** The file that asks for a new version of the data key. */
export function rotationName(dataKey: string): string {
  return `rotate-${encodeURIComponent(dataKey)}`;
}

const pcr = z.string().regex(/^[0-9a-f]{96}$/u);
/** Of nitro-cli; other fields, PCR8 for one, are not asked for. */
const measurementsSchema = z.object({
  Measurements: z.object({ PCR0: pcr, PCR1: pcr, PCR2: pcr }),
});
const handOverSchema = z.strictObject({
  pcrs: z.tuple([pcr, pcr, pcr]),
  note: z.string().regex(/^[ -~]{0,256}$/u),
});

/** PCR0 to PCR2 of a measurements.json; null when it is something else, or of a debug image. */
export function parseNewImage(text: string): readonly string[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = measurementsSchema.safeParse(value);
  if (!parsed.success) return null;
  const { PCR0, PCR1, PCR2 } = parsed.data.Measurements;
  return /^0+$/u.test(PCR0) ? null : [PCR0, PCR1, PCR2];
}

/** Null: `note` is not one that the enclave takes. */
export function encodeHandOverRequest(pcrs: readonly string[], note: string): Uint8Array | null {
  const request = handOverSchema.safeParse({ pcrs, note });
  return request.success ? new TextEncoder().encode(`${JSON.stringify(request.data)}\n`) : null;
}

/** What is asked for; null when nothing is. Refuses `json_malformed` with the file. */
export function readHandOver(files: Files, directory: string): Result<HandOver | null> {
  const file = `${directory}/${HAND_OVER_REQUEST}`;
  const bytes = files.readFile(file, MAX_REQUEST_BYTES);
  if (bytes === null) return accept(null);
  try {
    const { pcrs, note } = handOverSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return accept({ pcrs: pcrs.map((hex) => parseHex(hex) ?? new Uint8Array(0)), note });
  } catch {
    return refuse('json_malformed', { file });
  }
}
