// The file that holds a session: whoever reads it reads the account's figures, so that it is for its owner alone. It is
// made before anything is sent: a session that cannot be kept is not begun.

import { open, readFile, rm, stat } from 'node:fs/promises';
import * as z from 'zod';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SavedSession } from '../registration.ts';

const MAX_FILE_BYTES = 16 * 1024;
const OWNER_ONLY = 0o600;

const schema = z.strictObject({
  enclave_url: z.url({ protocol: /^https$/u }).max(2048),
  session_id: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
  expires_at: z.iso.datetime(),
  origin: z.string().regex(/^[!-~]{1,96}$/u),
  account_commitment: z.string().regex(/^[0-9a-f]{64}$/u),
  account_salt: z.string().regex(/^[0-9a-f]{64}$/u),
  venue: z.string().max(64),
  account_id: z.string().max(256).nullable(),
});

export interface SessionFile {
  /** Writes the session. Rejects with the system's error. */
  readonly write: (session: SavedSession) => Promise<void>;
  /** There is no session: removes the file. */
  readonly discard: () => Promise<void>;
}

function encode(session: SavedSession): string {
  const fields = {
    enclave_url: session.enclaveUrl,
    session_id: session.sessionId,
    expires_at: new Date(session.expiresMs).toISOString(),
    origin: session.origin,
    account_commitment: session.accountCommitment,
    account_salt: session.accountSalt,
    venue: session.venue,
    account_id: session.accountId,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/** Refuses `usage_invalid` when there is a file already, `file_unreadable` when none can be made. */
export async function createSessionFile(path: string): Promise<Result<SessionFile>> {
  try {
    const file = await open(path, 'wx', OWNER_ONLY);
    return accept({
      write: async (session) => {
        await file.writeFile(encode(session));
        await file.sync();
        await file.close();
      },
      discard: async () => {
        await file.close();
        await rm(path, { force: true });
      },
    });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      const what = 'there is a session in this file: name another one with --session FILE';
      return refuse('usage_invalid', { what, file: path });
    }
    return refuse('file_unreadable', { file: path });
  }
}

export async function readSessionFile(path: string): Promise<Result<SavedSession>> {
  let text: string;
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) return refuse('json_malformed', { file: path });
    text = await readFile(path, 'utf8');
  } catch {
    return refuse('file_unreadable', { file: path });
  }
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) return refuse('json_malformed', { file: path });
  const { data } = parsed;
  return accept({
    enclaveUrl: data.enclave_url,
    sessionId: data.session_id,
    expiresMs: Date.parse(data.expires_at),
    origin: data.origin,
    accountCommitment: data.account_commitment,
    accountSalt: data.account_salt,
    venue: data.venue,
    accountId: data.account_id,
  });
}

/** In place, so that its rights stay as they are. */
export async function rewriteSessionFile(path: string, session: SavedSession): Promise<void> {
  const file = await open(path, 'w', OWNER_ONLY);
  await file.writeFile(encode(session));
  await file.close();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : null;
}
