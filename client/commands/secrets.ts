// The secrets of an account for the command line: from the environment, or asked for on the terminal; from arguments too,
// which every process of the machine can read, and which shells remember.

import type { CommandIo } from '../../verifier/io.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Terminal } from './prompt.ts';
import { promptSecret } from './prompt.ts';

export interface Secrets {
  readonly apiKey: string;
  readonly secret: string;
  readonly passphrase?: string;
}

export interface SecretArguments {
  readonly 'api-key'?: string | undefined;
  readonly secret?: string | undefined;
  readonly passphrase?: string | undefined;
}

interface Source {
  readonly argument: string | undefined;
  readonly variable: string;
  readonly question: string;
}

/** Exchanges that want a third secret. */
const WITH_PASSPHRASE: ReadonlySet<string> = new Set(['okx', 'bitget']);

/** Refuses `usage_invalid`, saying which variable to set. */
export async function readSecrets(
  exchange: string,
  values: SecretArguments,
  io: CommandIo,
  terminal: Terminal,
): Promise<Result<Secrets>> {
  const given = [values['api-key'], values.secret, values.passphrase];
  if (given.some((one) => one !== undefined)) {
    io.stderr('secrets in arguments can be read by other processes of this machine;\n');
    io.stderr(
      '  next  set TRACKSEAL_API_KEY and TRACKSEAL_SECRET, or leave them out to be asked\n',
    );
  }
  const read = async ({ argument, variable, question }: Source): Promise<Result<string>> => {
    const text =
      argument ?? io.env[variable] ?? (await promptSecret(terminal, io.stderr, `${question}: `));
    if (text !== null && text !== '') return accept(text);
    return refuse('usage_invalid', { what: `no ${question}: set ${variable}, or use a terminal` });
  };
  const apiKey = await read({
    argument: values['api-key'],
    variable: 'TRACKSEAL_API_KEY',
    question: 'API key',
  });
  if (!apiKey.ok) return apiKey;
  const secret = await read({
    argument: values.secret,
    variable: 'TRACKSEAL_SECRET',
    question: 'secret',
  });
  if (!secret.ok) return secret;
  const named = values.passphrase ?? io.env['TRACKSEAL_PASSPHRASE'];
  if (named === undefined && !WITH_PASSPHRASE.has(exchange)) {
    return accept({ apiKey: apiKey.value, secret: secret.value });
  }
  const passphrase = await read({
    argument: values.passphrase,
    variable: 'TRACKSEAL_PASSPHRASE',
    question: 'passphrase',
  });
  if (!passphrase.ok) return passphrase;
  return accept({ apiKey: apiKey.value, secret: secret.value, passphrase: passphrase.value });
}
