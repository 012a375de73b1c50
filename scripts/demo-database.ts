// The database of a local appliance: PGlite in the host's folder, behind the PostgreSQL protocol and TLS of an authority of
// its own, whose certificate goes into the enclave's configuration. Its password comes sealed.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseAuthority } from '../host-proxy/database/authority.ts';
import { openPasswords } from '../host-proxy/database/passwords.ts';
import type { ConfiguredDatabase } from '../wire/configuration.ts';

const NAME = 'database.internal';
const PORT = 5432;

export interface DemoDatabase {
  readonly configured: ConfiguredDatabase;
  /** File with the password of enclave_user, for the owner to seal. */
  readonly passwordFile: string;
  /** `database` of the host's file. */
  readonly host: { readonly kind: 'pglite'; readonly folder: string };
}

/** Authority and passwords, made in the host's folder; the data comes with the first migration. */
export async function prepareDatabase(directory: string): Promise<DemoDatabase> {
  const folder = join(directory, 'host', 'database');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = await DatabaseAuthority.open(folder);
  const passwords = await openPasswords(folder);
  const passwordFile = join(directory, 'owner', 'database-password');
  await mkdir(join(directory, 'owner'), { recursive: true });
  await writeFile(passwordFile, passwords.enclave_user, { mode: 0o600 });
  return {
    configured: {
      host: NAME,
      port: PORT,
      name: 'trackseal',
      user: 'enclave_user',
      roots: authority.pem,
    },
    passwordFile,
    host: { kind: 'pglite', folder },
  };
}
