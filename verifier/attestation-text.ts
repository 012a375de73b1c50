// The verdict on an attestation document for people. Only what is proven is shown as a fact; a refusal
// says what was expected, what came, and the next step. Everything printed is a number, hex or checked
// text, so that a hostile document cannot write escape sequences to a terminal.

import { REFUSAL_CODES } from '../wire/codes.ts';
import type { RefusalDetail } from '../wire/result.ts';
import type { AttestationReport } from './attestation-report.ts';
import { hintOf } from './hints.ts';
import { renderRisks } from './residual-risks.ts';

export function renderReport(report: AttestationReport, subject: string): string {
  const lines = [`${report.verdict.toUpperCase()}  ${subject}`];
  if (report.code !== null) {
    lines.push(`  ${report.code}: ${REFUSAL_CODES[report.code]}`, ...renderDetail(report.detail));
    lines.push(row('next', hintOf(report.code)));
  }
  lines.push(...renderFacts(report), ...renderReportRisks(report));
  if (report.skipped.length > 0) lines.push(row('not checked', report.skipped.join(', ')));
  if (report.unsafe.length > 0) {
    lines.push(row('UNSAFE', `${report.unsafe.join(' ')}: do not rely on this verdict`));
  }
  return `${lines.join('\n')}\n`;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(14)}${text}`;
}

const NAMES: Readonly<Record<string, string>> = { actual: 'got' };
const YEAR_2000_MS = 946_684_800_000;

/** Moments are shown as ISO times: `*_ms` above the year 2000 is one, below it is a duration. */
export function renderDetail(detail: RefusalDetail): readonly string[] {
  return Object.entries(detail).map(([name, value]) => {
    const moment = name.endsWith('_ms') && typeof value === 'number' && value > YEAR_2000_MS;
    if (moment) return row(name.slice(0, -3), new Date(value).toISOString());
    return row(NAMES[name] ?? name, value === null ? 'none' : String(value));
  });
}

function renderFacts(report: AttestationReport): readonly string[] {
  const { timestamp, pcrs, user_data: userData } = report;
  if (timestamp === null || pcrs === null) return [];
  const lines = [
    row('enclave', report.module_id ?? ''),
    row('signed', new Date(timestamp).toISOString()),
    row('valid', `at signing: ${yes(report.valid_at_signing)}, now: ${yes(report.valid_now)}`),
    ...['0', '1', '2'].map((index) => row(`PCR${index}`, pcrs[index] ?? 'none')),
    row('nonce', `${report.nonce ?? 'none'} (${nonceState(report)})`),
    row('root', report.root.aws ? 'AWS Nitro Enclaves G1' : `${report.root.sha256}, not AWS`),
  ];
  if (userData === null) return [...lines, row('user data', 'not of Trackseal')];
  const { purpose, origin, head } = userData;
  lines.push(row('purpose', purpose), row('origin', origin));
  lines.push(row('log head', head === null ? 'none' : `size ${head.size}, root ${head.root}`));
  lines.push(row('configuration', userData.config_digest ?? 'none'));
  return lines;
}

/** All text of it is ours, but for the origin, whose characters were checked. */
function renderReportRisks(report: AttestationReport): readonly string[] {
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = report;
  if (operator === null || rests === null || risks === null) return [];
  return renderRisks({ operator_could_still: operator, rests_on: rests, residual_risks: risks });
}

function nonceState({ nonce_checked: checked, code }: AttestationReport): string {
  if (!checked) return 'not checked';
  return code === 'nonce_mismatch' ? 'another' : 'checked';
}

function yes(value: boolean | null): string {
  return value === true ? 'yes' : 'no';
}
