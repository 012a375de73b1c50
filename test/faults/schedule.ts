// What goes wrong, and when: a schedule is a row of hosts over one disk, each with one fault and what is
// left of the disk after it. Schedules come from a seed, or from fast-check, which makes failing ones
// shorter.

import * as fc from 'fast-check';
import type { HostPlan } from './appliance.ts';

/** Whose operations are counted; null: all. */
export type Part = 'spool' | 'releases' | 'execution' | 'epochs' | 'unreleased' | null;

/** An operation of the disk, reads not included, counted from the start of the host. */
interface At {
  readonly at: number;
  readonly part: Part;
}

export type Fault =
  | { readonly kind: 'none' }
  /** The power fails in place of the operation. */
  | ({ readonly kind: 'power'; readonly survival: number } & At)
  /** The process is killed in place of the operation: what was written is in the page cache. */
  | ({ readonly kind: 'kill' } & At)
  /** The operation fails once, with EIO; afterwards the power fails, or the host is only started again. */
  | {
      readonly kind: 'error';
      readonly at: number;
      readonly operations: readonly string[];
      readonly survival: number | null;
    }
  /** From the operation on so many attempts find the disk full. */
  | { readonly kind: 'full'; readonly at: number; readonly attempts: number }
  /** A bit of a file is another one when the host comes. */
  | { readonly kind: 'damage'; readonly seed: number }
  /** One read fails, or has a flipped bit. */
  | { readonly kind: 'read'; readonly at: number; readonly flip: number | null };

export interface HostSchedule extends HostPlan {
  readonly fault: Fault;
  /** Syncs take so many turns of the event loop, drawn from it; 0: none. */
  readonly latency: number;
}

export interface Schedule {
  /** 512 or 4096. */
  readonly tearBytes: number;
  readonly hosts: readonly HostSchedule[];
}

const SYNCS = ['fdatasync', 'fsync', 'fsync directory'];
const OTHERS = ['create', 'write', 'chmod', 'mkdir', 'rename', 'unlink', 'rmdir', 'close'];

/** Most of a host's operations are its boot and its end; a short list of batches has about 180 in all. */
const at = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 180 }) },
  { weight: 1, arbitrary: fc.nat({ max: 25 }) },
);
const place = {
  at: fc.oneof({ weight: 2, arbitrary: fc.nat({ max: 8 }) }, { weight: 3, arbitrary: at }),
  part: fc.constantFrom<Part>(null, null, 'spool', 'releases', 'execution', 'epochs', 'unreleased'),
};
const survival = fc.nat({ max: 1_000_000 });

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: 'none' as const }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('power' as const), ...place, survival }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('kill' as const), ...place }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('error' as const),
      at,
      operations: fc.constantFrom(SYNCS, SYNCS, OTHERS),
      survival: fc.option(survival),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('full' as const),
      at,
      attempts: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('damage' as const), seed: survival }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      at: fc.nat({ max: 40 }),
      flip: fc.option(survival),
    }),
  },
);

function seldom(arbitrary: fc.Arbitrary<number>): fc.Arbitrary<number | null> {
  return fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
}

const host: fc.Arbitrary<HostSchedule> = fc.record({
  batches: fc.integer({ min: 0, max: 10 }),
  stopAfter: seldom(fc.integer({ min: 1, max: 6 })),
  enclaveFrame: seldom(fc.nat({ max: 25 })),
  fault,
  latency: fc.oneof(fc.constant(0), survival),
});

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  tearBytes: fc.constantFrom(512, 4096),
  hosts: fc.array(host, { minLength: 1, maxLength: 3 }),
});
