// trackseal kms rotate: asks for a new version of a data key. The enclave makes it (only it can) at its next
// start; what was encrypted under older versions stays readable.

import { resolve } from 'node:path';
import { writeDurably } from '../durable-file.ts';
import type { HostConfig } from '../config-file.ts';
import { explain } from '../explain.ts';
import type { HostIo } from '../explain.ts';
import { makeDirectories, nodeFiles } from '../files.ts';
import { readEnclaveFiles } from '../items.ts';
import { requestsDirectory, rotationName } from '../requests.ts';
import { dataKeyStore } from '../secrets/configured-secrets.ts';
import { parseHostArgs, runHostCommand } from './host-command.ts';

const USAGE = `usage: trackseal kms rotate NAME --config FILE [--json]

Asks for a new version of a data key. The enclave gets it from KMS at its next start; older versions are kept
and stay readable. Asking twice before that start is asking once.

  NAME            of a data key in the enclave's configuration (data_keys)
  --config FILE   the host's configuration
  --json          the answer as JSON on stdout

Exit codes: 0 asked, 1 refused, 2 could not.
`;

export function run(args: readonly string[], io: HostIo): Promise<number> {
  return runHostCommand(args, io, { usage: USAGE, readOptions, perform: rotate });
}

async function rotate(options: Options, config: HostConfig, io: HostIo): Promise<number> {
  const enclave = readEnclaveFiles({ ...config, strategies: [], sealed: [] });
  if (!enclave.ok) {
    explain(io, enclave.refusal);
    return 2;
  }
  const names = enclave.value.configuration.data_keys?.map(({ name }) => name) ?? [];
  if (!names.includes(options.name)) {
    explain(io, { code: 'seal_unexpected', detail: { data_key: options.name } });
    io.stderr(
      `  data keys of this configuration: ${names.length === 0 ? 'none' : names.join(', ')}\n`,
    );
    return 1;
  }
  return ask(options, resolve(config.state), io);
}

async function ask({ name, json }: Options, state: string, io: HostIo): Promise<number> {
  const store = dataKeyStore({ state }, [name], nodeFiles);
  await makeDirectories(nodeFiles, state);
  const read = await store.read();
  if (!read.ok) {
    explain(io, read.refusal);
    return 2;
  }
  const version = Math.max(0, ...store.kept.map((one) => one.version));
  const request = new TextEncoder().encode(`${JSON.stringify({ name, after_version: version })}\n`);
  await writeDurably(nodeFiles, requestsDirectory(state), rotationName(name), request);
  if (json) io.stdout(`${JSON.stringify({ asked: true, name, current_version: version })}\n`);
  else {
    const now = version === 0 ? 'has no version yet' : `is at version ${version}`;
    io.stdout(`asked: data key ${name} ${now}; the next start of the enclave makes another one\n`);
  }
  return 0;
}

interface Options {
  readonly name: string;
  readonly config: string;
  readonly json: boolean;
}

function readOptions(args: readonly string[]): Options | null {
  const parsed = parseHostArgs({
    args: [...args],
    allowPositionals: true,
    options: { config: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  if (parsed === null) return null;
  const [name, ...rest] = parsed.positionals;
  const { config, json } = parsed.values;
  if (name === undefined || rest.length > 0 || config === undefined) return null;
  return { name, config, json };
}
