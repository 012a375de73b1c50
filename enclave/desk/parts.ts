// Where the parts of a desk are put together: what each needs of the others, and what answers which path. The parts are
// opened before HTTPS is listened to, so that the log has their first words before anybody can ask.

import type { Routes } from './https.ts';
import type { DeskServices } from './services.ts';

/** One part, with counters of its own (at most 48 in all, names of lower-case letters, digits and `_`). */
export interface DeskPart {
  readonly counters: Readonly<Record<string, number>>;
  /** The log is about to be closed: takes nothing more; resolves when nothing of it is under way. */
  close(): Promise<void>;
}

export interface DeskParts {
  /** Paths beside those of https.ts; null for none. */
  readonly routes: Routes | null;
  readonly parts: readonly DeskPart[];
}

export interface HttpsControl {
  /** Another certificate (chain, PEM, checked) for the same TLS key, from the next connection on. */
  readonly replaceCertificate: (chain: string) => void;
}

export function openParts(services: DeskServices, https: HttpsControl): Promise<DeskParts> {
  void services;
  void https;
  return Promise.resolve({ routes: null, parts: [] });
}
