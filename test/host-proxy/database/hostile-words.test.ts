// A server that speaks to the operator's terminal: whatever it says, in an error or in a row, is shown in one line of
// characters that stay where they are.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { run as runAudit } from '../../../host-proxy/commands/database-audit.ts';
import { runStatus } from '../../../host-proxy/commands/database.ts';
import { takeShare } from '../../../host-proxy/database/configured-share.ts';
import { DatabaseAuthority } from '../../../host-proxy/database/authority.ts';
import {
  cString,
  encodeAuthentication,
  encodeError,
  encodeMessage,
} from '../../../host-proxy/database/protocol.ts';
import { shown } from './database-commands.ts';
import { SILENT } from './own-database.ts';

const EVIL =
  '\u001B]0;owned\u0007\u001B[2J\u009B1A\u202E14 rows\n14 rows of 2 accounts are what was signed';
const TAMED = '?]0;owned??[2J?1A?14 rows?14 rows of 2 accounts are what was signed';
const READY = encodeMessage('Z', Buffer.from('I'));
const BOOLEAN = 16;
const TEXT = 25;

let folder = '';
let server: Server;
let where: readonly string[] = [];
/** What a query is answered with. */
let answer: (sql: string) => Buffer;
let isOpen = true;

function int(bytes: 2 | 4, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

/** One row of texts. */
function row(columns: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(columns);
  const head = names.flatMap((name) => [
    cString(name),
    // Table, column, type, size, modifier, format.
    int(4, 0),
    int(2, 0),
    int(4, name === 'found' ? BOOLEAN : TEXT),
    int(2, -1),
    int(4, -1),
    int(2, 0),
  ]);
  const values = Object.values(columns).flatMap((value) => {
    const bytes = Buffer.from(value);
    return [int(4, bytes.length), bytes];
  });
  return Buffer.concat([
    encodeMessage('T', Buffer.concat([int(2, names.length), ...head])),
    encodeMessage('D', Buffer.concat([int(2, names.length), ...values])),
    encodeMessage('C', cString('SELECT 1')),
  ]);
}

/** Behind TLS: the startup message is let in, or refused, and every query is answered. */
function serve(secure: TLSSocket): void {
  secure.on('error', () => undefined);
  secure.once('data', () => {
    if (!isOpen) {
      secure.end(encodeError('FATAL', '28P01', EVIL));
      return;
    }
    secure.write(Buffer.concat([encodeAuthentication(0), READY]));
    secure.on('data', (bytes: Buffer) => {
      if (bytes[0] !== 'Q'.charCodeAt(0)) return;
      const sql = bytes.subarray(5, -1).toString();
      secure.write(Buffer.concat([answer(sql), READY]));
    });
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-words-'));
  const authority = await DatabaseAuthority.open(folder);
  const { keyPem, certificatePem } = await authority.issue(['localhost', '127.0.0.1']);
  const secureContext = createSecureContext({ key: keyPem, cert: certificatePem });
  server = createServer((socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('S');
      serve(new TLSSocket(socket, { isServer: true, secureContext }));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const ca = join(folder, 'authority.pem');
  await writeFile(ca, authority.pem);
  const { port } = server.address() as AddressInfo;
  where = ['--url', `postgres://owner@localhost:${port}/d`, '--ca', ca];
});

beforeEach(() => {
  isOpen = true;
});

afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

it('of an error', async () => {
  answer = () => encodeError('ERROR', 'P0001', EVIL);
  for (const command of [runAudit, runStatus]) {
    expect(await shown(command, where)).toBe(`2 the database refused (P0001): ${TAMED}\n`);
  }
});

it('of a login that fails', async () => {
  isOpen = false;
  expect(await shown(runStatus, where)).toBe(`2 the database cannot be reached: ${TAMED}\n`);
});

it('of a share that cannot be taken', async () => {
  isOpen = false;
  const [, url = '', , ca = ''] = where;
  const share = { name: 'a', url, ca, password_file: null, lease_ms: 60_000 };
  const taken = takeShare(share, SILENT, new AbortController().signal);
  await expect(taken).rejects.toThrow(TAMED);
});

it('of its version and its migrations', async () => {
  answer = (sql) => {
    if (sql.includes('to_regclass')) return row({ found: 't' });
    if (sql.includes('server_version')) return row({ server_version: EVIL });
    if (sql.includes('count(*)')) return row({ rows: '7' });
    return row({ number: '1', name: EVIL, digest: 'x' });
  };
  const said = await shown(runStatus, where);
  expect(said).toContain(`PostgreSQL ${TAMED}\n`);
  expect(said).toContain(`  applied  ${TAMED}\n`);
  expect(said.replaceAll('\n', '')).toMatch(/^\P{C}+$/u);
});
