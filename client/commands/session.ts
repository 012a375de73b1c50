// trackseal session summary|metrics|track|renew|revoke: what to do with a session that `trackseal register` has begun. Figures
// are shown when their signature verified; with -o they are kept for `trackseal verify result`.

import { rm, writeFile } from 'node:fs/promises';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import type { CommandIo } from '../../verifier/io.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../../verifier/policy-options.ts';
import { encodeTrackEvidence } from '../../wire/track/evidence.ts';
import { DEFAULT_TTL_SECONDS } from '../account-options.ts';
import { nodeEnvironment } from '../node/index.ts';
import type { SavedSession } from '../registration.ts';
import type { ClientTrust } from '../secure-client.ts';
import { SecureClient } from '../secure-client.ts';
import { renderResult } from './result-text.ts';
import { readSessionFile, rewriteSessionFile } from './session-file.ts';
import { readClientTrust, tellFailure } from './trust-options.ts';

type Verb = 'summary' | 'metrics' | 'track' | 'renew' | 'revoke';

const ABOUT: Readonly<Record<Verb, string>> = {
  summary: `Asks for the account's sums, verifies that the attested enclave signed them, and shows them.`,
  metrics: `Asks for the account's figures with each hour of the last week, and verifies their signature.`,
  track: `Fetches the account's track record: every signed hour, day and correction, for \`trackseal verify record\`
and \`trackseal report\`, which need documents of the epochs that signed (\`trackseal attest URL -o\`).`,
  renew: `Prolongs the session: it ends --ttl seconds from now.`,
  revoke: `Ends the session at once: the enclave forgets the keys. The file is removed.`,
};

function usageOf(verb: Verb): string {
  const own = {
    summary: '  -o FILE                keep the signed result, for `trackseal verify result`\n',
    metrics: '  -o FILE                keep the signed result, for `trackseal verify result`\n',
    track: '  -o FILE                where to keep it; default trackseal-record.json\n',
    renew: '  --ttl SECONDS          300 to 604800, default 86400\n',
    revoke: '',
  }[verb];
  return `usage: trackseal session ${verb} [OPTIONS]

${ABOUT[verb]}
The enclave is challenged and verified first, as by \`trackseal register\`.

  --session FILE         of \`trackseal register\`; default trackseal-session.json
${own}
${POLICY_USAGE}
  --timeout-ms N         1,000 to 120,000, default 30,000
  --json                 the answer as JSON on stdout
  --help

Exit codes: 0 done, 1 refused, 2 could not (no policy, no session, no answer, wrong usage).
`;
}

const OPTIONS = {
  ...POLICY_OPTIONS,
  session: { type: 'string', default: 'trackseal-session.json' },
  output: { type: 'string', short: 'o' },
  ttl: { type: 'string' },
  'timeout-ms': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

interface Task {
  readonly client: SecureClient;
  readonly file: string;
  readonly output: string | undefined;
  readonly ttl: number;
  readonly json: boolean;
  readonly io: CommandIo;
}

const TASKS: Readonly<Record<Verb, (task: Task) => Promise<number>>> = {
  summary: (task) => show(task, 'getSummary'),
  metrics: (task) => show(task, 'getMetrics'),
  track: async ({ client, output = 'trackseal-record.json', json, io }) => {
    const record = await client.getTrackRecord();
    try {
      await writeFile(output, encodeTrackEvidence(record));
    } catch {
      return undecided(io, { code: 'file_unreadable', detail: { file: output } }, json);
    }
    const { length } = record.statements;
    const said = { statements: length, file: output };
    io.stdout(json ? `${JSON.stringify(said)}\n` : `KEPT  ${length} statements in ${output}\n`);
    return 0;
  },
  renew: async ({ client, file, ttl, json, io }) => {
    const expires = new Date(await client.renew(ttl)).toISOString();
    const session = client.getSession();
    if (session !== null) await rewriteSessionFile(file, session);
    io.stdout(
      json
        ? `${JSON.stringify({ renewed: true, expires_at: expires })}\n`
        : `RENEWED  until ${expires}\n`,
    );
    return 0;
  },
  revoke: async ({ client, file, json, io }) => {
    await client.revoke();
    await rm(file, { force: true });
    io.stdout(json ? `${JSON.stringify({ revoked: true })}\n` : `REVOKED  ${file} is removed\n`);
    return 0;
  },
};

async function show(
  { client, output, json, io }: Task,
  get: 'getSummary' | 'getMetrics',
): Promise<number> {
  const result = await client[get]();
  const evidence = `${JSON.stringify(result.evidence, null, 2)}\n`;
  if (output !== undefined) {
    try {
      await writeFile(output, evidence);
    } catch {
      return undecided(io, { code: 'file_unreadable', detail: { file: output } }, json);
    }
  }
  io.stdout(json ? evidence : renderResult(result));
  return 0;
}

async function runVerb(verb: Verb, args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(usageOf(verb));
    return 0;
  }
  if (positionals.length > 0) {
    const what = 'the session is in the file of --session';
    return undecided(io, { code: 'usage_invalid', detail: { what } }, json);
  }
  const trust = await readClientTrust(values, io.env);
  if (!trust.ok) return undecided(io, trust.refusal, json);
  const session = await readSessionFile(values.session);
  if (!session.ok) return refused(io, session.refusal, json);
  const task = {
    file: values.session,
    output: values.output,
    ttl: Number(values.ttl ?? DEFAULT_TTL_SECONDS),
    json,
    io,
  };
  return runTask(verb, task, session.value, trust.value);
}

async function runTask(
  verb: Verb,
  task: Omit<Task, 'client'>,
  session: SavedSession,
  trust: ClientTrust,
): Promise<number> {
  try {
    const client = new SecureClient(nodeEnvironment(), session.enclaveUrl, trust, { session });
    return await TASKS[verb]({ ...task, client });
  } catch (error) {
    return tellFailure(task.io, error, task.json);
  }
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

export const runSummary: Run = (args, io) => runVerb('summary', args, io);
export const runMetrics: Run = (args, io) => runVerb('metrics', args, io);
export const runTrack: Run = (args, io) => runVerb('track', args, io);
export const runRenew: Run = (args, io) => runVerb('renew', args, io);
export const runRevoke: Run = (args, io) => runVerb('revoke', args, io);
