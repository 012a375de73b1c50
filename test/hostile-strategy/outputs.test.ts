// A strategy that answers with what is no output: too many, malformed, for instruments of others.

import { describe } from 'vitest';
import { MAX_TTL_MS } from '../../wire/payloads.ts';
import { bundleOf, signalText } from '../enclave/strategy/support.ts';
import { counts, ends, testAttempts } from './support.ts';
import type { Attempt } from './support.ts';

const MALFORMED = 'strategy_output_malformed';

function malformed(name: string, fields: Readonly<Record<string, string>>): Attempt {
  return ends(name, MALFORMED, signalText(fields));
}

describe('a bundle that signals', () => {
  testAttempts([
    malformed('NaN', { quantity: 'NaN' }),
    malformed('minus zero', { quantity: '-0', limit: '-0' }),
    malformed('infinity', { limit: 'Infinity' }),
    malformed('a fraction', { limit: '1.5' }),
    malformed('a negative number', { quantity: '-1' }),
    malformed('an integer that is not safe', { quantity: '2 ** 53' }),
    malformed('a bigint', { quantity: '1n' }),
    malformed('a text', { limit: "'1'" }),
    malformed('nothing', { quantity: 'undefined' }),
    malformed('a symbol', { ttlMs: "Symbol('x')" }),
    malformed('a lifetime without end', { ttlMs: String(MAX_TTL_MS + 1) }),
    malformed('a third side', { side: '3' }),
    malformed('for an instrument that it has not subscribed', { instrument: '3' }),
    malformed('for an instrument that nobody knows', { instrument: '65535' }),
    malformed('for an instrument by its name', { instrument: "'ETHUSDT'" }),
    malformed('for an instrument below zero', { instrument: '-7' }),
    ends('with no object', MALFORMED, 'ctx.signal(5)'),
    ends('with nothing at all', MALFORMED, 'ctx.signal()'),
    ends('and catches the refusal', MALFORMED, `try { ${signalText({ quantity: '0' })} } catch {}`),
    ends(
      '65 times',
      'strategy_output_limit',
      `for (let n = 0; n < 65; n++) ${signalText({ quantity: '1' })}`,
    ),
    ends(
      'a million times, whatever happens',
      'strategy_output_limit',
      `for (let n = 0; n < 1e6; n++) try { ${signalText({ quantity: '1' })} } catch {}`,
    ),
  ]);
});

describe('a bundle that signals at another time', () => {
  const later = bundleOf({
    before: 'let kept = null;',
    start: 'if (kept !== null) kept(); return {};',
    onBatch: `kept ??= () => ctx.signal({ instrument: 7, side: 1, quantity: 100, limit: 1, ttlMs: 1 });
      Promise.resolve().then(kept); ${signalText({ quantity: '1' })}`,
  });
  testAttempts([
    { name: 'in a promise job of a batch that is over', bundle: later, fate: 'runs' },
    counts(
      'by writing into the columns',
      'batch.price.fill(9e15); batch.instrument.fill(3); batch.id.fill(-1)',
    ),
    {
      name: 'with fields that nobody asked for',
      bundle: bundleOf({
        onBatch: signalText({ quantity: '1', id: '99', causes: '[1]', decisionNs: '5n' }),
      }),
      fate: 'runs',
    },
  ]);
});
