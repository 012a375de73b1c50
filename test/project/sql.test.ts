// Parameters only: no statement is built from a value. Every text that goes to PostgreSQL is a literal, or a template whose
// `${}` are constants, names of columns and tables of ours, or numbers of placeholders, each of which is in a list here: who adds
// one has to add it there, and to say what it is. A value comes as $1, $2 and so on.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { argumentsOf, sourceOf, templatesOf } from './sql-texts.ts';

/** What a statement may have in `${}`, by file; everything else is refused. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  // Columns as a constant, and $2, $3, … for as many values as there are.
  'enclave/ledger/store/postgres-store.ts': [
    'CHAIN_COLUMNS',
    'PAGE_ROWS',
    "asked.map((_, index) => `$${index + 2}`).join(', ')",
  ],
  'enclave/ledger/store/sealed-records.ts': [
    'COLUMNS',
    "asked.map((_, index) => `$${index + 2}`).join(', ')",
    "places.join(', ')",
  ],
  // By its type one of two texts: none, and a lock on the row.
  'enclave/ledger/store/account-rows.ts': ['lock'],
  // Table and columns by the kind of a statement, from the object literals below it.
  'enclave/ledger/store/chain-rows.ts': ['table', "names.join(', ')", 'placeholders(names.length)'],
  // Tables and columns of the list of a backup: of the server's own catalogue, compared with the file's.
  'host-proxy/database/backup.ts': [
    'name',
    'texts',
    'order',
    'select',
    'atOnce',
    'into',
    "places.join(', ')",
  ],
  // Names of tables and of their columns, all written in the file.
  'host-proxy/database/audit.ts': ['name', "selects.join(' UNION ')", 'columns', 'table'],
  // Tables of the list of a backup, their columns of the catalogue.
  'host-proxy/database/table-reader.ts': ['table', 'texts', 'this.#atOnce', 'this.table'],
  'host-proxy/database/shares.ts': ['SHARES_SCHEMA'],
};

/** Texts that are made elsewhere: what makes them is named here, or hands on what others are checked for. */
const VARIABLES: Readonly<Record<string, readonly string[]>> = {
  // Hands on what the others in this folder give, with the values apart.
  'enclave/ledger/store/database.ts': [
    'text',
    "{ text, values: values.map(parameterOf), rowMode: 'array', types: AS_TEXT, }",
  ],
  'enclave/ledger/store/chain-rows.ts': ['text'],
  'host-proxy/database/backup.ts': ['rawQuery(`FETCH ${atOnce} FROM backup`)'],
  'host-proxy/database/audit.ts': ['text'],
  // Hands on what an audit gives, with the values apart.
  'host-proxy/database/table-reader.ts': ['{ text, values: [...values], types }', 'fetch'],
  // Migrations are files of the release, by digest.
  'host-proxy/database/migrations.ts': ['OWN_TABLE', 'next.sql'],
  // pg-boss, which has parameters of its own.
  'host-proxy/database/shares.ts': ['text'],
};

const SQL =
  /\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|VALUES|WHERE|LOCK TABLE|DECLARE|FETCH|GRANT|REVOKE|CREATE|ALTER|DROP|SET LOCAL)\b/u;

async function filesOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(ROOT, folder), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
}

const LITERAL = /^(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")$/u;

/** Where ours is declared. */
const PARAMETER = /^text: string$/u;

function inOneLine(text: string): string {
  return text.replaceAll(/\s+/gu, ' ');
}

/** What is given as the text of a statement. */
function textsOf(source: string): readonly string[] {
  const given = argumentsOf(source, '.query').map(([text = '']) => text);
  // Ours have the connection before it.
  const ours = ['.#query', ' textRows'].flatMap((name) => argumentsOf(source, name));
  return [...given, ...ours.map(([, text = '']) => text)].filter((text) => !PARAMETER.test(text));
}

/** What is wrong in the file, in words. */
function faultsOf(file: string, text: string): readonly string[] {
  const source = sourceOf(text);
  const names = NAMES[file] ?? [];
  const variables = VARIABLES[file] ?? [];
  const faults: string[] = [];
  for (const { text: template, holes } of templatesOf(source)) {
    if (!SQL.test(template)) continue;
    for (const hole of holes) if (!names.includes(hole)) faults.push(`\${${hole}} in ${template}`);
  }
  for (const first of textsOf(source)) {
    const isTemplate = templatesOf(first).some(({ whole }) => whole === first);
    if (isTemplate || LITERAL.test(first) || variables.includes(inOneLine(first))) continue;
    faults.push(`query(${first})`);
  }
  return faults;
}

describe.each(['enclave/ledger/store', 'host-proxy/database'])('%s', (folder) => {
  it('gives PostgreSQL no text that is made of values', async () => {
    const found: Record<string, readonly string[]> = {};
    let queries = 0;
    for (const file of await filesOf(folder)) {
      const text = await readFile(join(ROOT, file), 'utf8');
      queries += textsOf(sourceOf(text)).length;
      const faults = faultsOf(file, text);
      if (faults.length > 0) found[file] = faults;
    }
    expect(queries).toBeGreaterThan(10);
    expect(found).toEqual({});
  });
});

it('the lists have nothing that is not there', async () => {
  for (const [file, names] of Object.entries(NAMES)) {
    const templates = templatesOf(sourceOf(await readFile(join(ROOT, file), 'utf8')));
    const holes = templates.filter(({ text }) => SQL.test(text)).flatMap((one) => one.holes);
    const used = new Set(holes);
    expect(names.filter((name) => !used.has(name))).toEqual([]);
  }
});

describe('would be found', () => {
  const FILE = 'enclave/ledger/store/account-rows.ts';
  it.each([
    ['a value in a template', 'sql.query(`SELECT a FROM t WHERE b = ${id}`, [])'],
    ['a value in quotes', "sql.query(`SELECT a FROM t WHERE b = '${account.venue}'`, [])"],
    ['a text put together', "sql.query('SELECT a FROM t WHERE b = ' + id, [])"],
    ['a text put together of templates', 'sql.query(`SELECT a` + `${id}`, [])'],
    ['a variable', 'sql.query(text, [])'],
    ['a call', 'sql.query<Row>(textOf(id), [])'],
    ['a text of another line', 'const where = `WHERE b = ${id}`;'],
    ['one behind quotes in a comment', "// don't\nsql.query(`SELECT ${id}`, [])"],
    ['one with a type that has brackets', 'client.query<(string | null)[]>(raw(id))'],
    ['one of the connection', 'this.#query(connection, `SELECT ${id}`, [])'],
    ['a variable of the connection', 'this.#query(connection, built, [])'],
    ['a variable of an audit', 'const rows = await textRows(client, built)'],
    ['an object', 'client.query({ text: `SELECT ${id}`, values })'],
  ])('%s', (_, text) => {
    expect(faultsOf(FILE, text)).not.toEqual([]);
  });

  it.each([
    ['placeholders', 'sql.query(`SELECT a FROM t WHERE b = $1 AND c = $2`, [b, c])'],
    ['a literal', "sql.query('SELECT a FROM t WHERE b = $1', [b])"],
    ['a type', "client.query<readonly string[]>('SELECT 1')"],
    ['a template in a comment', '// sql.query(`SELECT ${id}`)'],
    ['a text that is no statement', 'super(`column ${column}`);'],
  ])('and %s would not', (_, text) => {
    expect(faultsOf(FILE, text)).toEqual([]);
  });
});
