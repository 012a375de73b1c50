// A verified result for people: of the signed statement alone.

import { row } from '../../verifier/log/verdict-frame.ts';
import { renderAmounts, renderFigures } from '../../verifier/result/figures-text.ts';
import type { VerifiedResult } from '../signed-result.ts';

export function renderResult({ summary, hours, leafIndex }: VerifiedResult): string {
  const lines = [
    `VERIFIED  signed by the attested enclave, leaf ${leafIndex} of ${summary.origin}`,
    ...renderFigures(summary),
    ...hours.map((hour) =>
      row(
        new Date(hour.start_ms).toISOString().slice(0, 13),
        `${hour.trades} trades, ${renderAmounts(hour.volume)}, fees ${renderAmounts(hour.fees)}${hour.complete ? '' : ', INCOMPLETE'}`,
      ),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
