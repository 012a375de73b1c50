// What tests of the database have in common, whichever it is: who logs in, its migrations, what went wrong, a backup as text.

import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import { DatabaseError } from 'pg';
import { expect } from 'vitest';
import { backUp } from '../../../host-proxy/database/backup.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import type { Migration } from '../../../host-proxy/database/migrations.ts';

export type Role = 'postgres' | 'enclave_user' | 'gateway_reader';

export interface DatabaseUnderTest {
  /** As one who may log in; ended by the test or by its end. */
  readonly connect: (role: Role) => Promise<Client>;
}

export async function migrateAll(owner: Client): Promise<void> {
  expect((await migrate(owner, await readMigrations(MIGRATIONS_FOLDER))).ok).toBe(true);
}

/** Of a database as after its migrations, whatever the test before left. */
export async function migratedOwner({ connect }: DatabaseUnderTest): Promise<Client> {
  const owner = await connect('postgres');
  await owner.query('DROP SCHEMA IF EXISTS trackseal CASCADE');
  await owner.query('DROP SCHEMA IF EXISTS other CASCADE');
  await migrateAll(owner);
  return owner;
}

/** The SQLSTATE; null when it was done. */
export async function codeOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof DatabaseError) return error.code ?? 'unknown';
    throw error;
  }
}

export async function saveText(client: Client): Promise<string> {
  let text = '';
  const saved = await backUp(client, (line) => {
    text += line;
    return Promise.resolve();
  });
  expect(saved.ok).toBe(true);
  return text;
}

export async function* linesOf(text: string): AsyncGenerator<string> {
  for (const line of text.split('\n')) {
    if (line !== '') yield Promise.resolve(line);
  }
}

export function migrationOf(number: number, sql: string): Migration {
  const name = `${String(number).padStart(4, '0')}-test`;
  return { number, name, sql, digest: createHash('sha256').update(sql).digest('hex') };
}
