// Who may come to the database by which password: 32 random bytes for each role, made on first start, mode 0600. The
// enclave's may be turned off (`enclave_password: false`): then whoever reaches the listener, on this machine,
// writes what the enclave could write, and the enclave finds out.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** `postgres` is the operator, who owns everything. */
export const DATABASE_ROLES = ['postgres', 'enclave_user', 'gateway_reader'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

export type Passwords = Readonly<Record<DatabaseRole, string>>;

const MIN_LENGTH = 16;
const password = z.string().min(MIN_LENGTH).max(1024);
const schema: z.ZodType<Passwords> = z.strictObject({
  postgres: password,
  enclave_user: password,
  gateway_reader: password,
});

/** Throws where the file is no such file. */
export async function openPasswords(folder: string): Promise<Passwords> {
  const file = join(folder, 'passwords.json');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text !== null) return schema.parse(JSON.parse(text));
  const [postgres = '', enclaveUser = '', gatewayReader = ''] = DATABASE_ROLES.map(() =>
    randomBytes(32).toString('base64url'),
  );
  const made = { postgres, enclave_user: enclaveUser, gateway_reader: gatewayReader };
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.part`, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.part`, file);
  return made;
}

export function isRole(name: string): name is DatabaseRole {
  return DATABASE_ROLES.some((role) => role === name);
}
