// External flows of several accounts in one hour, with the value of all of them right before each. Of the account that a flow is of,
// that value is signed; of the others there is one from before the flow and one from after it, and the one counts that
// makes the return smaller: the lower one where money comes in, the higher one where it goes out. Where neither is known
// the flow has none.

import type { Fixed } from '../../wire/fixed.ts';
import { absolute } from '../../wire/fixed.ts';
import { unexplainedGain } from '../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';
import type { Member, Members } from './member.ts';
import { addAll } from './member.ts';
import type { Transfers } from './transfers.ts';
import { inTransitBefore, isSecond } from './transit.ts';

type Flows = Pick<HourFigures, 'inflow' | 'outflow' | 'flows'>;

interface External {
  readonly atMs: number;
  readonly amount: Fixed | null;
}

/** Those that are no half of a transfer, and what of a transfer is more than what left: prices rise on the way, too. */
function ownFlows({ flows }: HourFigures, { of }: Transfers): readonly External[] {
  return flows.flatMap((flow): readonly External[] => {
    const transfer = of.get(flow);
    if (transfer === undefined) return [flow];
    const gain = transfer.arrived.amount - transfer.left.amount;
    return isSecond(flow, transfer) && gain > 0n ? [{ atMs: flow.atMs, amount: gain }] : [];
  });
}

function externalOf(
  { startMs: atMs, there, gone }: Members,
  transfers: Transfers,
): readonly External[] {
  const joining = there.filter(({ joins }) => joins);
  return [
    ...joining.map(({ figures: { equityStart: amount } }) => ({ atMs, amount })),
    ...gone.map(({ equityEnd }) => ({ atMs, amount: equityEnd === null ? null : -equityEnd })),
    ...there.flatMap(({ figures }) => ownFlows(figures, transfers)),
  ];
}

interface Known {
  readonly atMs: number;
  /** Right before what happened then, and right after it. */
  readonly before: Fixed | null;
  readonly after: Fixed | null;
}

/** What is known of an account within the hour, in the order of time. */
function knownOf({ figures }: Member): readonly Known[] {
  const { startMs, equityStart, equityEnd, flows } = figures;
  const inner = [...Map.groupBy(flows, ({ atMs }) => atMs)].map(([atMs, group]): Known => {
    const before = atMs === startMs ? equityStart : (group[0]?.equityBefore ?? null);
    return { atMs, before, after: addAll([before, ...group.map(({ amount }) => amount)]) };
  });
  const rest = inner.filter(({ atMs }) => atMs > startMs).toSorted((a, b) => a.atMs - b.atMs);
  const start = inner.find(({ atMs }) => atMs === startMs);
  const end = equityEnd === null ? null : equityEnd - unexplainedGain(figures);
  return [
    start ?? { atMs: startMs, before: equityStart, after: equityStart },
    ...rest,
    { atMs: startMs + HOUR_MS, before: end, after: end },
  ];
}

function valueBefore(known: readonly Known[], atMs: number, isInflow: boolean): Fixed | null {
  const at = known.findIndex((point) => point.atMs >= atMs);
  const next = known[at];
  if (next === undefined) return null;
  if (next.atMs === atMs) return next.before;
  const earlier = known[at - 1]?.after ?? null;
  if (earlier === null || next.before === null) return null;
  return earlier < next.before === isInflow ? earlier : next.before;
}

/** `equityStart`: of all, before anybody comes in or leaves. */
export function flowsOf(equityStart: Fixed | null, members: Members, transfers: Transfers): Flows {
  const { startMs, there } = members;
  const external = externalOf(members, transfers);
  const known = there.map(knownOf);
  const byTime = Map.groupBy(external, ({ atMs }) => atMs);
  const flows = [...byTime]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([atMs, group]) => {
      const net = addAll(group.map(({ amount }) => amount));
      const value = (): Fixed | null => {
        if (atMs === startMs) return equityStart;
        if (net === null) return null;
        const values = known.map((one) => valueBefore(one, atMs, net > 0n));
        return addAll([...values, inTransitBefore(transfers.internal, atMs)]);
      };
      const equityBefore = value();
      return group.map(({ amount }) => ({ atMs, amount, equityBefore, reference: null }));
    });
  return { flows, ...sumsOf(external, there) };
}

/** An account that does not know what came in or went out makes it unknown of all. */
function sumsOf(
  external: readonly External[],
  members: readonly Member[],
): Pick<Flows, 'inflow' | 'outflow'> {
  const isKnown = members.every(
    ({ figures: { inflow, outflow } }) => inflow !== null && outflow !== null,
  );
  const amounts = external.map(({ amount }) => amount);
  const sum = (sign: (amount: Fixed) => boolean): Fixed | null =>
    addAll(
      amounts.map((amount) => (amount === null ? null : sign(amount) ? absolute(amount) : 0n)),
    );
  if (!isKnown) return { inflow: null, outflow: null };
  return { inflow: sum((amount) => amount > 0n), outflow: sum((amount) => amount < 0n) };
}
