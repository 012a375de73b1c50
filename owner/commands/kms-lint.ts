// trackseal kms lint FILE: what is wrong with a key policy.

import { parseUtf8 } from '../../wire/bytes.ts';
import { refuse } from '../../wire/result.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, printable, readBounded, refused } from '../command-line.ts';
import type { Finding } from '../kms/findings.ts';
import { lintPolicy } from '../kms/lint.ts';
import { parseKeyPolicy } from '../kms/policy-document.ts';

const USAGE = `usage: trackseal kms lint FILE [--strict] [--json]

Judges a key policy, as a file or as \`aws kms get-key-policy\` prints it: each way around attestation that it
leaves open, with what to do.

  --strict  warnings count as errors
  --json    {verdict, findings: [{code, severity, statement, what, next}]}

Exit codes: 0 no errors, 1 errors, 2 not a key policy, or wrong usage.
`;

const MAX_BYTES = 256 * 1024;

function render(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ severity, code, statement, what, next }) => [
    `${severity.toUpperCase().padEnd(8)} ${code}`,
    ...(statement === null ? [] : [`  where         ${printable(statement)}`]),
    `  what          ${what}`,
    `  next          ${next}`,
  ]);
  return `${lines.join('\n')}${lines.length === 0 ? '' : '\n'}`;
}

/** Exit codes: 0 no errors, 1 errors, 2 could not judge. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: { strict: { type: 'boolean' }, json: { type: 'boolean' } },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const { positionals, values } = parsed.value;
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0) {
    return refused(io, { code: 'usage_invalid', detail: { what: 'one FILE' } }, json);
  }
  const bytes = await readBounded(path, MAX_BYTES);
  if (!bytes.ok) return refused(io, bytes.refusal, json);
  const policy = parseKeyPolicy(parseUtf8(bytes.value) ?? '');
  if (policy === null) {
    const refusal = refuse('policy_malformed', { file: path, what: 'not a key policy' });
    if (!refusal.ok) refused(io, refusal.refusal, json);
    return 2;
  }
  const findings = lintPolicy(policy);
  const failing = findings.filter(({ severity }) => {
    return severity === 'error' || (severity === 'warning' && values.strict === true);
  });
  const verdict = failing.length === 0 ? 'passed' : 'refused';
  const summary = `${verdict.toUpperCase()}  ${String(failing.length)} to correct, ${String(findings.length)} findings\n`;
  io.stdout(
    json ? `${JSON.stringify({ verdict, findings }, null, 2)}\n` : `${render(findings)}${summary}`,
  );
  return failing.length === 0 ? 0 : 1;
}
