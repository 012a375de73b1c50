// `trackseal database …` as an operator would call it, against one database.

import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Client } from 'pg';
import { expect, it } from 'vitest';
import {
  runBackup,
  runMigrate,
  runRestore,
  runStatus,
} from '../../../host-proxy/commands/database.ts';
import type { HostIo } from '../../../host-proxy/explain.ts';
import { fill } from './rows.ts';

export interface CommandAnswer {
  readonly code: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}

export async function call(
  command: (args: readonly string[], io: HostIo) => Promise<number>,
  args: readonly string[],
  isTerminal = false,
): Promise<CommandAnswer> {
  let stdout = '';
  let stderr = '';
  const code = await command([...args, '--json'], {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    isTerminal,
  });
  const json = (stdout === '' ? {} : JSON.parse(stdout)) as CommandAnswer['json'];
  return { code, json, stderr };
}

/** As a person reads it: exit code, and all that is written. */
export async function shown(
  command: (args: readonly string[], io: HostIo) => Promise<number>,
  args: readonly string[],
): Promise<string> {
  let said = '';
  const take = (text: string): void => {
    said += text;
  };
  const code = await command(args, { stdout: take, stderr: take, isTerminal: false });
  return `${code} ${said}`;
}

/** `where` says which database; it is empty. `asOwner` may open it while no command runs. */
export function databaseCommandTests(
  open: () => {
    readonly folder: string;
    readonly where: readonly string[];
    readonly asOwner: (work: (client: Client) => Promise<unknown>) => Promise<void>;
  },
): void {
  it('are: status, migrate, backup, restore', async () => {
    const { folder, where, asOwner } = open();
    const file = join(folder, 'saved.jsonl');
    const before = await call(runStatus, where);
    expect(before).toMatchObject({ code: 0, json: { applied: [], problem: null, rows: {} } });
    const early = await call(runBackup, [...where, '-o', file]);
    expect(early).toMatchObject({ code: 1, json: { refused: true, code: 'not_migrated' } });
    const first = await call(runMigrate, [...where, '--shares'], true);
    expect(first).toMatchObject({ code: 0, json: { migrated: true, shares: true } });
    expect((await call(runStatus, [...where, '--shares'])).code).toBe(2);
    expect(first.json['applied']).toContain('0001-track-record');
    expect(first.stderr).toContain('applied 0001-track-record');
    expect(await call(runMigrate, where)).toMatchObject({ code: 0, json: { applied: [] } });
    await asOwner(fill);
    const status = await call(runStatus, where);
    expect(status).toMatchObject({ code: 0, json: { pending: [], rows: { hourly_returns: 3 } } });
    expect(existsSync(file)).toBe(false);
    const saved = await call(runBackup, [...where, '-o', file], true);
    expect(saved).toMatchObject({ code: 0, json: { saved: true, file } });
    expect(saved.stderr).toContain('saving hourly_returns  3 of 3 rows');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const disk = join(folder, 'full.jsonl');
    symlinkSync('/dev/full', `${disk}.part`);
    const toFull = await call(runBackup, [...where, '-o', disk]);
    expect(toFull).toMatchObject({ code: 2, json: { saved: false, error: 'ENOSPC' } });
    const nowhere = await shown(runBackup, [...where, '-o', join(folder, 'none', 'b.jsonl')]);
    expect(nowhere).toMatch(/^2 nothing was saved: .* cannot be written \(open, ENOENT\)\n/u);
    expect(readdirSync(folder).filter((name) => name.includes('.jsonl'))).toEqual(['saved.jsonl']);
    const again = await call(runBackup, [...where, '-o', file]);
    expect(again).toMatchObject({ code: 1, json: { code: 'file_exists' } });
    const full = await call(runRestore, [...where, file]);
    expect(full).toMatchObject({ code: 1, json: { refused: true, code: 'not_empty' } });
    await asOwner((client) => client.query('DROP SCHEMA trackseal CASCADE'));
    await call(runMigrate, where);
    const cut = join(folder, 'cut.jsonl');
    writeFileSync(cut, readFileSync(file, 'utf8').slice(0, -100));
    const damaged = await call(runRestore, [...where, cut]);
    expect(damaged).toMatchObject({ code: 1, json: { code: 'damaged' } });
    const restored = await call(runRestore, [...where, file]);
    const { rows, sha256 } = saved.json;
    expect(restored).toMatchObject({ code: 0, json: { restored: true, rows, sha256 } });
    const copy = join(folder, 'copy.jsonl');
    await call(runBackup, [...where, '-o', copy]);
    expect(readFileSync(copy, 'utf8')).toBe(readFileSync(file, 'utf8'));
    await asOwner((client) =>
      client.query("UPDATE trackseal.migrations SET digest = repeat('0', 64)"),
    );
    for (const command of [runMigrate, runStatus]) {
      const edited = await call(command, where);
      expect(edited.code).toBe(1);
      expect(JSON.stringify(edited.json)).toContain('migration_edited');
    }
  });
}
