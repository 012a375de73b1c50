import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run as runAudit } from '../../../host-proxy/commands/database-audit.ts';
import type { Audit } from '../../../host-proxy/database/audit.ts';
import { auditDatabase, MAX_FINDINGS, parseAudit } from '../../../host-proxy/database/audit.ts';
import { LogKeys } from '../../../host-proxy/database/log-keys.ts';
import {
  migrate,
  MIGRATIONS_FOLDER,
  readMigrations,
} from '../../../host-proxy/database/migrations.ts';
import { openDatabaseService } from '../../../host-proxy/database/service.ts';
import type { DatabaseService } from '../../../host-proxy/database/service.ts';
import { nodeFiles } from '../../../host-proxy/files.ts';
import { freePort } from '../../../scripts/s3/ceph.ts';
import { parseTrackEvidence } from '../../../wire/track/evidence.ts';
import { encodeTrackEvidence } from '../../../wire/track/evidence.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodeRevocationStatement } from '../../../wire/track/revocation.ts';
import { RECORD_ACCOUNT } from '../../helpers/track-record.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { RecordFolder } from '../../verifier/track/record-folder.ts';
import { GOOD } from '../host-config.ts';
import type { Reached, Records } from './audited.ts';
import { buildRecords, connectAs, FIRST_HEX, SECOND_HEX, store } from './audited.ts';
import { call, shown } from './database-commands.ts';
import { CONFIG, SILENT } from './own-database.ts';
import {
  FEWER_RECORDS,
  foundBy,
  loosen,
  lostBy,
  OLDER,
  putBack,
  tamper,
  TAMPERS,
} from './tampers.ts';

const EMPTY = new Uint8Array();
const AUDITED = ['chain', 'hourly_returns', 'balance_snapshots', 'corrections'] as const;
/** Rows of both accounts in these tables. */
const ROWS = 10 + 8 + 1 + 2;

let folder = '';
let where: readonly string[] = [];
let service: DatabaseService;
let server: Reached;
let owner: Client;
let records: Records;
let record: RecordFolder;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-db-'));
  const listen = { host: '127.0.0.1', port: await freePort() };
  service = await openDatabaseService({ ...CONFIG, listen, folder: join(folder, 'db') }, SILENT);
  const file = join(folder, 'host.json');
  const database = { kind: 'pglite', folder: 'db', listen };
  await writeFile(file, JSON.stringify({ ...GOOD, database }));
  where = ['--config', file];
  server = { ...listen, ca: service.ca, passwords: service.passwords };
  owner = await connectAs(server, 'postgres');
  records = await buildRecords();
  record = await RecordFolder.create();
  const [first] = records.first.epochs;
  const second = records.second.epochs.at(-1);
  if (first === undefined || second === undefined) throw new Error('no epochs');
  await record.folder.write([first, second]);
}, 60_000);

afterAll(async () => {
  await owner.end();
  await service.front.close();
  await record.remove();
  await rm(folder, { recursive: true, force: true });
});

function keys(): LogKeys {
  return new LogKeys(nodeFiles, nodeCrypto, record.folder.log);
}

function audit(more: Partial<Parameters<typeof auditDatabase>[1]> = {}): Promise<Audit | null> {
  return auditDatabase(owner, { keys: null, since: [], onProgress: () => undefined, ...more });
}

describe('an audit', () => {
  beforeEach(() => store(server, owner, records), 60_000);

  it('finds nothing in what the ledger has stored, and verifies every signature and leaf', async () => {
    const found = await audit({ keys: keys() });
    expect(found).toMatchObject({ rows: ROWS, findings: [], findings_total: 0 });
    expect(found?.signatures).toMatchObject({ verified: 10, unpublished: 0 });
    expect(found?.signatures?.origins).toHaveLength(2);
    expect(found?.accounts).toMatchObject([
      { account: FIRST_HEX, counter: 8, statements: 7, lost: 1 },
      { account: SECOND_HEX, counter: 3, statements: 3, lost: 0 },
    ]);
  });

  it('asks for the migrations of this release, which say of older rows what their statements say', async () => {
    await owner.query('ALTER TABLE trackseal.hourly_returns DROP COLUMN rebuilt');
    await owner.query('DELETE FROM trackseal.migrations WHERE number > 1');
    expect(await audit()).toBeNull();
    await migrate(owner, await readMigrations(MIGRATIONS_FOLDER));
    expect(foundBy(await audit({ keys: keys() }))).toEqual([]);
    const reader = await connectAs(server, 'gateway_reader');
    const found = await reader.query<{ counter: string }>(
      'SELECT counter FROM trackseal.hourly_returns WHERE rebuilt',
    );
    await reader.end();
    expect(found.rows).toEqual([{ counter: '1' }]);
  });

  it('with an earlier one, finds that all of an account is older', async () => {
    const before = await audit();
    await tamper(owner, OLDER);
    expect(foundBy(await audit())).toEqual([]);
    const since = parseAudit(JSON.stringify({ audited: true, ...before })) ?? [];
    expect(since).toEqual(before?.accounts);
    expect(foundBy(await audit({ since }))).toEqual(['store_rolled_back chain 8']);
    expect(foundBy(await audit({ since: (await audit())?.accounts ?? [] }))).toEqual([]);
    // A later one goes on from there.
    await store(server, owner, records);
    expect(foundBy(await audit({ since }))).toEqual([]);
    const tables = ['chain', 'chain_heads', 'accounts', 'sync_status', 'sealed_fills', ...AUDITED];
    const gone = tables.map(
      (table) => `DELETE FROM trackseal.${table} WHERE account = decode('${SECOND_HEX}', 'hex')`,
    );
    await tamper(owner, gone.join('; '));
    expect(foundBy(await audit({ since }))).toEqual(['B store_deleted chain']);
  });

  it('with an earlier one, finds that sealed records are gone', async () => {
    const before = parseAudit(JSON.stringify({ audited: true, ...(await audit()) })) ?? [];
    expect(before.map(({ records: sealed }) => sealed)).toEqual([3, 3]);
    await tamper(owner, FEWER_RECORDS);
    expect(foundBy(await audit())).toEqual([]);
    expect(foundBy(await audit({ since: before }))).toEqual(['store_rolled_back sealed_fills']);
    // A revocation of statements behind what was audited says that there was a loss; one before it does not.
    const [account] = before;
    if (account === undefined) throw new Error('no account');
    const hash = toHex(nodeCrypto.sha256(records.first.statements[4]?.statement ?? EMPTY));
    const earlier = { ...account, counter: 5, hash };
    expect(foundBy(await audit({ since: [earlier], keys: keys() }))).toEqual([]);
    expect(foundBy(await audit({ since: [earlier] }))).toEqual(['loss_unverified chain 5']);
    // Audits were written without that number.
    const { records: _, ...older } = account;
    const file = JSON.stringify({ audited: true, accounts: [older] });
    expect(foundBy(await audit({ since: parseAudit(file) ?? [] }))).toEqual([]);
  });

  it('finds a fork of the last statement by the log, and by an earlier audit', async () => {
    const before = (await audit())?.accounts ?? [];
    const forked = await buildRecords();
    await store(server, owner, { ...forked, second: records.second });
    // Well made, and by other keys: rows alone do not tell.
    expect(foundBy(await audit())).toEqual([]);
    const signatures = foundBy(await audit({ keys: keys() }));
    expect(signatures).toHaveLength(7);
    expect(new Set(signatures.map((text) => text.split(' ')[0]))).toEqual(
      new Set(['record_signature']),
    );
    const hash = 'ab'.repeat(32);
    const other = before.map((one) => Object.assign({}, one, { hash }));
    expect(foundBy(await audit({ since: other }))).toEqual([
      'B chain_fork chain 3',
      'chain_fork chain 8',
    ]);
  });

  it('with a log that lacks an epoch or a leaf, says so', async () => {
    const [first] = records.first.epochs;
    if (first === undefined) throw new Error('no epoch');
    const other = await RecordFolder.create();
    await other.folder.write([first]);
    const short = new LogKeys(nodeFiles, nodeCrypto, other.folder.log);
    expect(foundBy(await audit({ keys: short }))).toEqual(
      [1, 2, 3].map((counter) => `B record_unattested chain ${counter} signature`),
    );
    await other.remove();
  });

  it('counts what comes after the end of the folder, and does not call it unlogged', async () => {
    const last = records.second.epochs.at(-1);
    const [first] = records.first.epochs;
    if (first === undefined || last === undefined) throw new Error('no epochs');
    const { leaves, tree, blobs, header } = last;
    // A log that runs: what is published ends before the last statement.
    const notes = last.notes.slice(0, -1);
    const checkpoint = notes.at(-1)?.note ?? new Uint8Array();
    const other = await RecordFolder.create();
    await other.folder.write([first, { leaves, tree, blobs, header, notes, checkpoint }]);
    const behind = new LogKeys(nodeFiles, nodeCrypto, other.folder.log);
    const found = await audit({ keys: behind });
    expect(foundBy(found)).toEqual([]);
    expect(found?.signatures).toMatchObject({ verified: 10, unpublished: 3 });
    await other.remove();
  });
});

describe('an audit of a database that lies', () => {
  beforeAll(async () => {
    await store(server, owner, records);
    await loosen(owner);
  }, 60_000);

  beforeEach(() => putBack(owner));

  it.each(TAMPERS)('$name', async ({ sql, found }) => {
    await tamper(owner, sql);
    expect(foundBy(await audit())).toEqual(found.toSorted());
  });

  it.each(AUDITED)('sees a change of any column of %s', async (table) => {
    const columns = await owner.query<{ name: string; type: string }>(
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = 'trackseal' AND table_name = $1`,
      [table],
    );
    const unseen: string[] = [];
    for (const { name, type } of columns.rows) {
      const byType: Readonly<Record<string, string>> = {
        bytea: `coalesce(set_byte(${name}, 0, 255 - get_byte(${name}, 0)), '\\x00')`,
        boolean: `NOT ${name}`,
        text: `coalesce(${name}, '') || 'x'`,
      };
      const value = byType[type] ?? `coalesce(${name}, 0) + 86400000`;
      await tamper(owner, `UPDATE trackseal.${table} SET ${name} = ${value}`);
      if (foundBy(await audit()).length === 0) unseen.push(name);
      await putBack(owner);
    }
    expect(columns.rows.length).toBeGreaterThan(4);
    // Only the enclave has the key of it.
    expect(unseen).toEqual(table === 'chain' ? ['mac'] : []);
  });

  it.each([
    [
      5,
      'signature',
      'set_byte(signature, 0, 255 - get_byte(signature, 0))',
      ['record_signature chain 5 signature'],
    ],
    [
      5,
      'leaf_index',
      'leaf_index + 1',
      ['record_signature chain 5 signature', 'record_unlogged chain 5 leaf_index'],
    ],
    [
      5,
      'leaf_salt',
      'set_byte(leaf_salt, 0, 255 - get_byte(leaf_salt, 0))',
      ['record_unlogged chain 5 leaf_index'],
    ],
    // The second of a leaf of two, of which the first opens it.
    [
      2,
      'leaf_salt',
      'set_byte(leaf_salt, 0, 255 - get_byte(leaf_salt, 0))',
      ['record_unlogged chain 1 leaf_index'],
    ],
    // The last of an account: no other leaf follows.
    [
      8,
      'leaf_salt',
      'set_byte(leaf_salt, 0, 255 - get_byte(leaf_salt, 0))',
      ['record_unlogged chain 8 leaf_index'],
    ],
    // The second of a leaf of two.
    [
      2,
      'position',
      'position + 1',
      ['record_signature chain 2 signature', 'record_unlogged chain 1 leaf_index'],
    ],
  ])('with the log, of statement %i sees another %s', async (counter, column, value, found) => {
    for (const table of ['chain', 'hourly_returns', 'balance_snapshots']) {
      await tamper(
        owner,
        `UPDATE trackseal.${table} SET ${column} = ${value} WHERE account = decode('${FIRST_HEX}', 'hex') AND counter = ${counter}`,
      );
    }
    expect(foundBy(await audit({ keys: keys() }))).toEqual(found);
  });

  it('lists so many findings and counts the others', async () => {
    const again =
      'INSERT INTO trackseal.corrections SELECT k.* FROM kept.corrections k, generate_series(1, 600)';
    await tamper(owner, again);
    const found = await audit();
    expect(found?.findings).toHaveLength(MAX_FINDINGS);
    expect(found?.findings_total).toBe(2 * 600);
  });
});

describe('trackseal database audit', () => {
  beforeEach(() => store(server, owner, records), 60_000);

  it('tells what it found, shows how far it is, and takes an earlier one', async () => {
    const file = join(folder, 'audit.json');
    const clean = await call(runAudit, [...where, '--log', record.folder.log], true);
    expect(clean).toMatchObject({ code: 0, json: { audited: true, rows: ROWS, findings: [] } });
    expect(clean.stderr).toContain(`of ${ROWS} rows`);
    await writeFile(file, JSON.stringify(clean.json));
    expect((await call(runAudit, [...where, '--since', file])).code).toBe(0);
    const [update] = TAMPERS;
    await tamper(owner, update?.sql ?? '');
    const found = await call(runAudit, [...where, '--since', file]);
    expect(found).toMatchObject({ code: 1, json: { audited: false, findings_total: 1 } });
    await writeFile(file, JSON.stringify(found.json));
    expect(await call(runAudit, [...where, '--since', file])).toMatchObject({
      code: 2,
      json: { code: 'since_unreadable' },
    });
    const said = await shown(runAudit, where);
    expect(said).toMatch(/^1 refused: 1 findings/u);
    expect(said).toContain(
      `column_differs  hourly_returns  account ${FIRST_HEX}  counter 5  return_ratio`,
    );
    expect(said).toContain('give --log FOLDER');
    expect(said).toMatch(/ {2}next {2}readers were shown something else/u);
  });

  it('without the log takes nobody’s word that statements were lost', async () => {
    const file = join(folder, 'audit.json');
    const since = [...where, '--since', file];
    const before = await call(runAudit, where);
    expect(before).toMatchObject({ code: 0 });
    await writeFile(file, JSON.stringify(before.json));
    // It says that it lost one, and nobody looked whether it is signed.
    const unsigned = await shown(runAudit, where);
    expect(unsigned).toMatch(/^0 .* a revocation names, which nobody verified\n/u);
    expect(unsigned).not.toContain('signed revocation names');
    const signed = await shown(runAudit, [...where, '--log', record.folder.log]);
    expect(signed).toMatch(/^0 .* is one that a signed revocation names\n/u);
    const { origin } = records.first;
    const made = encodeRevocationStatement({
      kind: 'revocation',
      origin,
      ...RECORD_ACCOUNT,
      counter: 9,
      previous: new Uint8Array(32).fill(1),
      lost: { from: 2, to: 8 },
      reason: 'store_lost',
      atMs: 1_800_000_000_000,
    });
    await tamper(owner, lostBy(made, origin));
    const found = await call(runAudit, since);
    expect(found).toMatchObject({ code: 1, json: { findings_total: 1 } });
    expect(foundBy(found.json as unknown as Audit)).toEqual(['loss_unverified chain 8']);
    expect(await shown(runAudit, since)).toMatch(
      / {2}next {2}give --log FOLDER: a revocation says/u,
    );
    const withLog = await call(runAudit, [...since, '--log', record.folder.log]);
    expect(foundBy(withLog.json as unknown as Audit)).toContain(
      'record_signature chain 9 signature',
    );
  });

  it('says what it cannot use', async () => {
    const bad = join(folder, 'bad.json');
    await writeFile(bad, '{"accounts": [{}]}');
    expect(await call(runAudit, [...where, '--since', bad])).toMatchObject({
      code: 2,
      json: { code: 'since_unreadable' },
    });
    expect(await call(runAudit, [...where, '--log', folder])).toMatchObject({
      code: 2,
      json: { code: 'log_unreadable' },
    });
    await owner.query('DROP SCHEMA trackseal CASCADE');
    expect(await call(runAudit, where)).toMatchObject({ code: 1, json: { code: 'not_migrated' } });
  });
});

/** The query that docs/OPERATE.md gives. */
async function queryFor(account: string): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '../../../docs/OPERATE.md'), 'utf8');
  const [, query = ''] = /```sql\n([\s\S]*?json_build_object[\s\S]*?)```/u.exec(text) ?? [];
  expect(query).toContain('COMMITMENT');
  return query.replaceAll('COMMITMENT', account);
}

async function recordOf(account: string): Promise<string> {
  const reader = await connectAs(server, 'gateway_reader');
  const found = await reader.query<{ record: unknown }>(await queryFor(account));
  await reader.end();
  const file = JSON.stringify(found.rows[0]?.record);
  const { statements } = assertAccepted(parseTrackEvidence(utf8(file)));
  const { attestations } = records.second;
  return encodeTrackEvidence({ statements, attestations });
}

describe('gateway_reader', () => {
  beforeEach(() => store(server, owner, records), 60_000);

  it('can verify what it reads', async () => {
    const { exit, verdict } = await record.verify(
      await recordOf(SECOND_HEX),
      '--log',
      record.folder.log,
    );
    expect([exit, verdict.code]).toEqual([0, null]);
    expect(verdict.record?.statements.hours).toBe(3);
    await tamper(
      owner,
      `DELETE FROM trackseal.hourly_returns WHERE account = decode('${SECOND_HEX}', 'hex') AND counter = 2`,
    );
    const cut = await record.verify(await recordOf(SECOND_HEX));
    expect([cut.exit, cut.verdict.code]).toEqual([1, 'chain_hole']);
  });
});
