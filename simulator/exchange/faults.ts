// What can go wrong between a client and a venue, on demand. A fault says which requests it meets (venue, host,
// start of the path, method), how many of them, and what becomes of the answer. Without faults the simulator
// does none of this.

import { z } from 'zod';
import { TROUBLES } from './call.ts';
import type { Trouble } from './call.ts';
import { VENUES } from './markets.ts';
import type { VenueName } from './markets.ts';

/** Which requests a fault meets. */
export interface Aim {
  readonly venue?: VenueName | undefined;
  readonly host?: string | undefined;
  /** How the path starts. */
  readonly path?: string | undefined;
  readonly method?: string | undefined;
  /** Matching requests that pass before it; 0. */
  readonly after?: number | undefined;
  /** Requests that it meets, then it is gone; until it is cleared without it. */
  readonly times?: number | undefined;
}

export type CertificateFault = 'wrong-authority' | 'wrong-name' | 'expired' | 'other-key';

export type Fault = Aim &
  (
    | {
        readonly type: 'status';
        readonly status: number;
        readonly body?: string | undefined;
        readonly headers?: Readonly<Record<string, string>> | undefined;
      }
    /** A state of the venue, in its own words. */
    | {
        readonly type: 'trouble';
        readonly kind: Trouble;
        readonly retryAfterS?: number | undefined;
      }
    /** No answer ever; the connection stays. */
    | { readonly type: 'hang' }
    /** The connection is gone, before an answer. */
    | { readonly type: 'reset' }
    /** The body ends before its announced length, after 20 bytes or as many as said. */
    | { readonly type: 'cut'; readonly bytes?: number | undefined }
    /** The second half of the body is missing; its length fits. */
    | { readonly type: 'malformed' }
    /** JSON of another shape: `null`, or what is said. */
    | { readonly type: 'wrong-shape'; readonly body?: string | undefined }
    | { readonly type: 'empty' }
    /** A page of HTML, as load balancers answer; 502 without a status. */
    | { readonly type: 'html'; readonly status?: number | undefined }
    | { readonly type: 'redirect'; readonly location: string }
    /** The answer comes later. */
    | { readonly type: 'slow'; readonly delayMs: number }
    /** The body comes in pieces of so many bytes. */
    | { readonly type: 'drip'; readonly bytes: number; readonly everyMs: number }
    /** A body of that many bytes; 64 MiB. */
    | { readonly type: 'huge'; readonly bytes?: number | undefined }
    /** A small body that inflates to that many; 64 MiB. */
    | { readonly type: 'gzip-bomb'; readonly bytes?: number | undefined }
    /** Announced as gzip and is not. */
    | { readonly type: 'bad-gzip' }
    /** What is sent is not HTTP. */
    | { readonly type: 'bad-http' }
    /** New connections to the host see another certificate. */
    | { readonly type: 'certificate'; readonly kind: CertificateFault }
  );

export const HUGE_BYTES: number = 64 * 1024 * 1024;

const count = z.int().min(0).max(1_000_000_000);

const AIM = {
  venue: z.enum(VENUES).optional(),
  host: z.string().max(253).optional(),
  path: z.string().max(500).optional(),
  method: z.string().max(10).optional(),
  after: count.optional(),
  times: count.min(1).optional(),
};

const CERTIFICATES = ['wrong-authority', 'wrong-name', 'expired', 'other-key'] as const;

function shape<T extends string, S extends z.ZodRawShape>(
  type: T,
  fields: S,
): z.ZodObject<typeof AIM & { type: z.ZodLiteral<T> } & S> {
  return z.strictObject({ ...AIM, type: z.literal(type), ...fields });
}

const bytes = count.max(HUGE_BYTES).optional();

const FAULT: z.ZodType<Fault> = z.union([
  shape('status', {
    status: z.int().min(200).max(599),
    body: z.string().max(100_000).optional(),
    headers: z.record(z.string(), z.string()).optional(),
  }),
  shape('trouble', { kind: z.enum(TROUBLES), retryAfterS: count.optional() }),
  shape('hang', {}),
  shape('reset', {}),
  shape('cut', { bytes }),
  shape('malformed', {}),
  shape('wrong-shape', { body: z.string().max(100_000).optional() }),
  shape('empty', {}),
  shape('html', { status: z.int().min(200).max(599).optional() }),
  shape('redirect', { location: z.string().max(2000) }),
  shape('slow', { delayMs: count }),
  shape('drip', { bytes: count.min(1), everyMs: count }),
  shape('huge', { bytes }),
  shape('gzip-bomb', { bytes }),
  shape('bad-gzip', {}),
  shape('bad-http', {}),
  shape('certificate', { kind: z.enum(CERTIFICATES) }),
]);

interface Kept {
  readonly id: number;
  readonly fault: Fault;
  seen: number;
  met: number;
}

export interface Target {
  readonly venue: string;
  readonly host: string;
  readonly path: string;
  readonly method: string;
}

function isAimedAt({ fault }: Kept, target: Target): boolean {
  if (fault.venue !== undefined && fault.venue !== target.venue) return false;
  if (fault.host !== undefined && fault.host !== target.host) return false;
  if (fault.method !== undefined && fault.method !== target.method) return false;
  return fault.path === undefined || target.path.startsWith(fault.path);
}

export class Faults {
  #kept: Kept[] = [];
  #ids = 0;

  /** Throws ZodError. */
  add(input: unknown): number {
    const fault = FAULT.parse(input);
    this.#ids += 1;
    this.#kept.push({ id: this.#ids, fault, seen: 0, met: 0 });
    return this.#ids;
  }

  /** All of them without an id. */
  clear(id?: number): void {
    this.#kept = id === undefined ? [] : this.#kept.filter((kept) => kept.id !== id);
  }

  /** How many requests each has met. */
  list(): readonly { readonly id: number; readonly type: string; readonly met: number }[] {
    return this.#kept.map(({ id, fault, met }) => ({ id, type: fault.type, met }));
  }

  /** The fault that this request meets: the oldest that is aimed at it. */
  meet(target: Target): Fault | null {
    for (const kept of this.#kept) {
      if (kept.fault.type === 'certificate' || !isAimedAt(kept, target)) continue;
      if (this.#count(kept)) return kept.fault;
    }
    return null;
  }

  /** The same for a handshake. */
  meetHandshake(venue: string, host: string): CertificateFault | null {
    for (const kept of this.#kept) {
      if (kept.fault.type !== 'certificate') continue;
      if (isAimedAt(kept, { venue, host, path: '', method: '' }) && this.#count(kept)) {
        return kept.fault.kind;
      }
    }
    return null;
  }

  #count(kept: Kept): boolean {
    kept.seen += 1;
    const { after = 0, times } = kept.fault;
    if (kept.seen <= after || (times !== undefined && kept.met >= times)) return false;
    kept.met += 1;
    return true;
  }
}
