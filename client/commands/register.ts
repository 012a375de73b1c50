// trackseal register URL: gives an account at an exchange to an attested enclave, which polls it from then on. The keys
// are sealed for the enclave after it has proved itself; what is left here is a file with the session.

import { stdin } from 'node:process';
import { parseOptions, refused, undecided } from '../../verifier/command-line.ts';
import type { CommandIo } from '../../verifier/io.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../../verifier/policy-options.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { AccountOptions, AccountType } from '../account-options.ts';
import { ACCOUNT_TYPES, checkAccount } from '../account-options.ts';
import { nodeEnvironment } from '../node/index.ts';
import { parseBase } from '../http.ts';
import type { Registration } from '../registration.ts';
import { SecureClient } from '../secure-client.ts';
import type { Terminal } from './prompt.ts';
import { readSecrets } from './secrets.ts';
import { createSessionFile } from './session-file.ts';
import { readClientTrust, tellFailure } from './trust-options.ts';

const USAGE = `usage: trackseal register URL --user-id ID --exchange NAME [OPTIONS]

Challenges the enclave at URL, verifies its answer under your policy, seals the exchange keys for it, and
sends them over a TLS connection that ends in it. From then on the enclave polls the account. Keys that can
only read are enough, and others are refused unless you say --allow-trading or --allow-withdrawals.

  API key and secret (and the passphrase of exchanges that have one) come from TRACKSEAL_API_KEY,
  TRACKSEAL_SECRET and TRACKSEAL_PASSPHRASE, or are asked for without echo. --api-key, --secret and
  --passphrase work too, and can be read by every process of this machine.

  --user-id ID           your own name for yourself: part of the account's commitment, sent encrypted
  --exchange NAME        such as binance; docs/VENUES.md lists them
  --label TEXT           tells several accounts at one exchange apart
  --account-type TYPE    ${ACCOUNT_TYPES.join(', ')}; default spot
  --sandbox              the exchange's test environment
  --allow-trading        take keys that can trade
  --allow-withdrawals    take keys that can withdraw
  --symbols A,B          asked for in any case, beside what the exchange lists
  --ttl SECONDS          300 to 604800, default 86400: how long the enclave keeps the keys
  --session FILE         where the session is kept, for its owner alone; default trackseal-session.json

${POLICY_USAGE}
  --timeout-ms N         1,000 to 120,000, default 30,000: the exchange is asked before you get an answer
  --json                 the answer as JSON on stdout; it does not hold the session's id
  --help

Exit codes: 0 registered, 1 refused, 2 could not (no policy, no secrets, no answer, wrong usage).
`;

const OPTIONS = {
  ...POLICY_OPTIONS,
  'user-id': { type: 'string' },
  exchange: { type: 'string' },
  'api-key': { type: 'string' },
  secret: { type: 'string' },
  passphrase: { type: 'string' },
  label: { type: 'string' },
  'account-type': { type: 'string' },
  sandbox: { type: 'boolean' },
  'allow-trading': { type: 'boolean' },
  'allow-withdrawals': { type: 'boolean' },
  symbols: { type: 'string' },
  ttl: { type: 'string' },
  session: { type: 'string', default: 'trackseal-session.json' },
  'timeout-ms': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

export async function run(
  args: readonly string[],
  io: CommandIo,
  terminal: Terminal = stdin,
): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const [url] = positionals;
  if (url === undefined || positionals.length !== 1 || parseBase(url) === null) {
    return undecided(io, usage('give one URL that starts with https://'), json);
  }
  // All that can be wrong without the secrets is said before anybody types them.
  const settings = readSettings(values);
  if (!settings.ok) return undecided(io, settings.refusal, json);
  const trust = await readClientTrust(values, io.env);
  if (!trust.ok) return undecided(io, trust.refusal, json);
  const secrets = await readSecrets(settings.value.exchange, values, io, terminal);
  if (!secrets.ok) return undecided(io, secrets.refusal, json);
  const file = await createSessionFile(values.session);
  if (!file.ok) return undecided(io, file.refusal, json);
  const account = { ...settings.value, ...secrets.value };
  let client: SecureClient;
  let registration: Registration;
  try {
    client = new SecureClient(nodeEnvironment(), url, trust.value, { account });
    registration = await client.register();
  } catch (error) {
    await file.value.discard();
    return tellFailure(io, error, json);
  }
  try {
    await file.value.write(registration.session);
  } catch {
    await client.revoke().catch(() => undefined);
    return refused(io, { code: 'disk_failed', detail: { file: values.session } }, json);
  }
  tell(io, registration, values.session, trust.value.trust?.unsafe ?? [], json);
  return 0;
}

function usage(what: string): {
  readonly code: 'usage_invalid';
  readonly detail: { what: string };
} {
  return { code: 'usage_invalid', detail: { what } };
}

type Settings = Omit<AccountOptions, 'apiKey' | 'secret' | 'passphrase'>;
interface Values {
  readonly 'user-id'?: string | undefined;
  readonly exchange?: string | undefined;
  readonly label?: string | undefined;
  readonly 'account-type'?: string | undefined;
  readonly sandbox?: boolean | undefined;
  readonly 'allow-trading'?: boolean | undefined;
  readonly 'allow-withdrawals'?: boolean | undefined;
  readonly symbols?: string | undefined;
  readonly ttl?: string | undefined;
}

function readSettings(values: Values): Result<Settings> {
  const { label, symbols, ttl } = values;
  const userId = values['user-id'];
  const { exchange } = values;
  if (userId === undefined) return refuse('usage_invalid', { what: '--user-id is missing' });
  if (exchange === undefined) return refuse('usage_invalid', { what: '--exchange is missing' });
  const accountType = values['account-type'];
  const settings: Settings = {
    userId,
    exchange,
    sandbox: values.sandbox ?? false,
    allowTrading: values['allow-trading'] ?? false,
    allowWithdrawals: values['allow-withdrawals'] ?? false,
    ...(label === undefined ? {} : { label }),
    // Looked at below.
    ...(accountType === undefined ? {} : { accountType: accountType as AccountType }),
    ...(symbols === undefined ? {} : { symbols: symbols.split(',') }),
    ...(ttl === undefined ? {} : { ttl: Number(ttl) }),
  };
  const checked = checkAccount({ ...settings, apiKey: '-', secret: '-' });
  return checked.ok ? accept(settings) : checked;
}

function say(flag: boolean | null): string {
  return flag === null ? 'not told' : flag ? 'yes' : 'no';
}

function tell(
  io: CommandIo,
  { session, permissions }: Registration,
  file: string,
  unsafe: readonly string[],
  json: boolean,
): void {
  const expires = new Date(session.expiresMs).toISOString();
  if (json) {
    const answer = {
      registered: true,
      origin: session.origin,
      account_commitment: session.accountCommitment,
      expires_at: expires,
      permissions: {
        read: permissions.read,
        trade: permissions.trade,
        withdraw: permissions.withdraw,
        transfer: permissions.transfer,
        ip_restricted: permissions.ipRestricted,
        sub_account: permissions.subAccount,
      },
      session_file: file,
      unsafe,
    };
    io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
    return;
  }
  const { read, trade, withdraw } = permissions;
  const lines = [
    `REGISTERED  ${session.enclaveUrl}`,
    `  origin        ${session.origin}`,
    `  account       ${session.accountCommitment}`,
    `  until         ${expires}`,
    `  the keys may  read: ${say(read)}, trade: ${say(trade)}, withdraw: ${say(withdraw)}`,
    `  session       ${file}: whoever reads it reads your figures`,
    `  next          trackseal session summary --session ${file} --policy FILE`,
    ...(unsafe.length === 0
      ? []
      : [`  UNSAFE        ${unsafe.join(' ')}: do not rely on whom the keys went to`]),
  ];
  io.stdout(`${lines.join('\n')}\n`);
}
