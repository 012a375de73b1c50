// Reads a file of scenarios. It is the author's own, but parsed strictly: a misspelt key would be an expectation
// that silently is none. What is wrong is said with its place.
//
//   {"instruments": [table, optional], "parameters": {optional},
//    "scenarios": [{"name", "parameters": {changes}, "seed", "batch": {"rows", "ms"}, "paper": {model},
//                   "time_budget_ms", "steps": [step, …], "ends": code}]}

import { z } from 'zod';
import type { RefusalCode } from '../../wire/codes.ts';
import { isRefusalCode } from '../../wire/codes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type {
  BestStep,
  ExpectStep,
  LoseStep,
  PaperModel,
  ReportStep,
  Scenario,
  ScenarioFile,
  SnapshotStep,
  Step,
  TradeStep,
  UpdateStep,
} from './scenario.ts';

const MAX_DEPTH = 4;
const MAX_LEVELS = 500;

const decimal = z.string().regex(/^\d{1,16}(?:\.\d{1,12})?$/u, 'a decimal as text, like "2683.80"');
const change = z.string().regex(/^-?\d{1,16}(?:\.\d{1,12})?$/u, 'a decimal as text, like "-0.01"');
const level = z.tuple([decimal, decimal]);
const levels = z.array(level).max(MAX_LEVELS);
const side = z.enum(['buy', 'sell']);
const instrument = z.union([z.string(), z.int()]).optional();
const common = { after: z.int().min(0).max(86_400_000).default(0), instrument };
const code: z.ZodType<RefusalCode> = z.custom<RefusalCode>(
  (text) => typeof text === 'string' && isRefusalCode(text),
  'a code of docs/PROTOCOL.md 13',
);

type Body<T extends Step> = Omit<T, 'kind'>;

const best: z.ZodType<Body<BestStep>> = z.strictObject({
  ...common,
  best: z.strictObject({ bid: level, ask: level }),
});
const trade: z.ZodType<Body<TradeStep>> = z.strictObject({
  ...common,
  trade: z.strictObject({ side, price: decimal, quantity: decimal }),
});
const snapshot: z.ZodType<Body<SnapshotStep>> = z.strictObject({
  ...common,
  snapshot: z.strictObject({ bids: levels, asks: levels }),
});
const update: z.ZodType<Body<UpdateStep>> = z.strictObject({
  ...common,
  update: z.strictObject({ bids: levels.default([]), asks: levels.default([]) }),
});
const lose: z.ZodType<Body<LoseStep>> = z.strictObject({
  ...common,
  lose: z.enum(['update', 'trade']),
});
const report: z.ZodType<Body<ReportStep>> = z.strictObject({
  report: z.strictObject({
    signal: z.int().min(0),
    status: z.enum(['accepted', 'partlyFilled', 'filled', 'cancelled', 'expired', 'rejected']),
    reason: code.nullable().default(null),
    fills: z
      .array(z.strictObject({ price: decimal, quantity: decimal, fee: change.default('0') }))
      .max(64)
      .default([]),
  }),
});
const expect: z.ZodType<Body<ExpectStep>> = z.strictObject({
  expect: z.array(
    z.strictObject({
      instrument,
      side,
      quantity: decimal.optional(),
      limit: decimal.optional(),
      ttl_ms: z.int().optional(),
    }),
  ),
});
const STEPS = { best, trade, snapshot, update, lose, report, expect } as const;

interface RawRepeat {
  readonly repeat: number;
  readonly drift: string;
  readonly steps: readonly unknown[];
}
const repeat: z.ZodType<RawRepeat> = z.strictObject({
  repeat: z.int().min(1).max(1_000_000),
  drift: change.default('0'),
  steps: z.array(z.unknown()).max(1000),
});

const paper: z.ZodType<PaperModel> = z.strictObject({
  latency_ms: z.int().min(0).max(60_000).default(5),
  taker_fee_ppm: z.int().min(-1_000_000).max(1_000_000).default(500),
  maker_fee_ppm: z.int().min(-1_000_000).max(1_000_000).default(100),
  slippage_ticks: z.int().min(0).max(1_000_000).default(1),
});
const object = z.record(z.string(), z.unknown());

type RawScenario = Omit<Scenario, 'steps'> & { readonly steps: readonly unknown[] };
const scenario: z.ZodType<RawScenario> = z.strictObject({
  name: z.string().min(1).max(200),
  parameters: object.default({}),
  seed: z
    .string()
    .regex(/^[0-9a-f]{64}$/u, '64 hex digits')
    .default('00'.repeat(32)),
  batch: z
    .strictObject({
      rows: z.int().min(1).max(1024).default(256),
      ms: z.int().min(1).max(60_000).default(50),
    })
    .prefault({}),
  paper: paper.nullable().default(null),
  time_budget_ms: z.int().min(1).max(60_000).default(5000),
  steps: z.array(z.unknown()).max(10_000),
  ends: code.nullable().default(null),
});

interface RawFile {
  readonly instruments?: unknown;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
  readonly scenarios: readonly RawScenario[];
}
const file: z.ZodType<RawFile> = z.strictObject({
  instruments: z.unknown().optional(),
  parameters: object.optional(),
  scenarios: z.array(scenario).min(1).max(1000),
});

/** Where a file is wrong; caught in `parseScenarios` only. */
class Wrong extends Error {}

function check<T>(schema: z.ZodType<T>, value: unknown, place: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = [place, ...(issue?.path ?? [])].filter((part) => part !== '').join('.');
  throw new Wrong(`${path === '' ? 'the file' : path}: ${issue?.message ?? 'wrong'}`);
}

function parseStep(value: unknown, place: string, depth: number): Step {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const kinds = keys.filter((key) => key === 'repeat' || Object.hasOwn(STEPS, key));
  const [kind] = kinds as (keyof typeof STEPS | 'repeat')[];
  if (kind === undefined || kinds.length !== 1) {
    const names = [...Object.keys(STEPS), 'repeat'].join(', ');
    throw new Wrong(`${place}: exactly one of ${names}`);
  }
  if (kind !== 'repeat') {
    const schema: z.ZodType<object> = STEPS[kind];
    return { ...check(schema, value, place), kind } as Step;
  }
  if (depth === MAX_DEPTH) throw new Wrong(`${place}: repeats at most ${MAX_DEPTH} deep`);
  const loop = check(repeat, value, place);
  return { ...loop, kind, steps: parseSteps(loop.steps, `${place}.steps`, depth + 1) };
}

function parseSteps(values: readonly unknown[], place: string, depth = 1): readonly Step[] {
  return values.map((value, at) => parseStep(value, `${place}.${at}`, depth));
}

/** Refuses `json_malformed` with the place and what is expected there. */
export function parseScenarios(text: string): Result<ScenarioFile> {
  try {
    const { instruments, parameters, scenarios } = check(file, JSON.parse(text), '');
    const names = scenarios.map(({ name }) => name);
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) throw new Wrong(`two scenarios are called ${JSON.stringify(twice)}`);
    return accept({
      instruments,
      parameters,
      scenarios: scenarios.map((raw, at) =>
        Object.assign(raw, { steps: parseSteps(raw.steps, `scenarios.${at}.steps`) }),
      ),
    });
  } catch (error) {
    if (error instanceof Wrong || error instanceof SyntaxError) {
      return refuse('json_malformed', { what: error.message });
    }
    throw error;
  }
}
