// trackseal database audit: does every row of the track record say what its signed statement says, and is every chain whole?
// For the operator, whose readers look at rows that the enclave never reads again. Changes nothing.

import { readFileSync } from 'node:fs';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Audit, AuditedAccount } from '../database/audit.ts';
import { auditDatabase, parseAudit } from '../database/audit.ts';
import type { Finding } from '../database/audit-account.ts';
import { LogKeys } from '../database/log-keys.ts';
import type { HostIo } from '../explain.ts';
import { nodeFiles } from '../files.ts';
import { countRows, refused } from './database.ts';
import type { Answer, Options, ProgressLine } from './database-command.ts';
import { EXIT, runDatabase, WHERE } from './database-command.ts';
import type { Client } from 'pg';

const USAGE = `usage: trackseal database audit (--config FILE | --url URL) [OPTIONS]

Compares all rows, as of one moment, with the signed statements that they are of: hourly_returns, balance_snapshots and
corrections column by column, and the chain of each account from its first statement to its end. Changes nothing.

  --log FOLDER           the folder of the log: also each signature, under the key that leaf 0 of its epoch names, and
                         each leaf. What attests that key is for \`trackseal verify record\`
  --since FILE           an earlier audit that found nothing (its --json): every account goes on from where it was. Without it nobody
                         can tell that all rows of an account are those of an earlier day
${WHERE}
${EXIT}`;

/** Shown of a longer list; --json has more. */
const SHOWN = 20;

const NEXT_READERS =
  'readers were shown something else than was signed: what the enclave serves is the chain. Find who may write here, then restore a backup that audits well';
const NEXT_CHAIN =
  'keep this database and look for a newer copy or a backup that audits well; the enclave refuses such an account, and docs/OPERATE.md says what then';

const NEXT_LOSS =
  'give --log FOLDER: a revocation says that this was lost, and whether an enclave has signed it was not verified';

export function run(args: readonly string[], io: HostIo): Promise<number> {
  return runDatabase(args, io, { usage: USAGE, needs: null, perform, own: 'audit' });
}

async function perform(
  { log, since }: Options,
  client: Client,
  progress: ProgressLine,
): Promise<Answer> {
  if (log !== null && !nodeFiles.isDirectory(`${log}/epochs`)) {
    return unusable(
      'log_unreadable',
      `${log} has no folder \`epochs\`: give the folder of the log`,
    );
  }
  const before = since === null ? [] : readSince(since);
  if (before === null) {
    const what = `${since ?? ''} is no audit that found nothing: give what \`trackseal database audit --json\` last wrote with exit code 0`;
    return unusable('since_unreadable', what);
  }
  const totals = await countRows(client);
  const audited = ['chain', 'hourly_returns', 'balance_snapshots', 'corrections'];
  const total = audited.reduce((sum, table) => sum + (totals.get(table) ?? 0), 0);
  const audit = await auditDatabase(client, {
    keys: log === null ? null : new LogKeys(nodeFiles, nodeCrypto, log),
    since: before,
    onProgress: (done) => {
      progress.bar('auditing', done, total);
    },
  });
  if (audit === null) return refused('not_migrated', {});
  const isClean = audit.findings_total === 0;
  return {
    code: isClean ? 0 : 1,
    json: { audited: isClean, ...audit },
    lines: [...(isClean ? cleanLines(audit) : findingLines(audit)), ...signatureLines(audit, log)],
  };
}

function readSince(path: string): readonly AuditedAccount[] | null {
  try {
    return parseAudit(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

function unusable(code: string, next: string): Answer {
  return { code: 2, json: { audited: false, code }, lines: [code, `  next  ${next}`] };
}

function cleanLines({ accounts, rows, signatures }: Audit): readonly string[] {
  const lost = accounts.reduce((sum, account) => sum + account.lost, 0);
  const whole = `${rows} rows of ${accounts.length} accounts are what was signed`;
  if (lost === 0) return [`${whole}, and no chain has a hole`];
  if (signatures === null) {
    return [
      `${whole}, and every hole of a chain is one that a revocation names, which nobody verified`,
      `  lost        ${lost} statements are not here, if a signed revocation says so: give --log FOLDER`,
    ];
  }
  return [
    `${whole}, and every hole of a chain is one that a signed revocation names`,
    `  lost        ${lost} statements were signed and are not here: \`verify record\` shows where`,
  ];
}

function textOf({ code, account, table, counter, column }: Finding): string {
  const place = counter === null ? '' : `  counter ${counter}`;
  return `  ${code}  ${table}  account ${account}${place}${column === undefined ? '' : `  ${column}`}`;
}

function findingLines({ findings, findings_total: total }: Audit): readonly string[] {
  const accounts = new Set(findings.map(({ account }) => account)).size;
  const more = total - Math.min(total, SHOWN);
  const isLoss = findings.every(({ code }) => code === 'loss_unverified');
  const isChain = findings.some(({ table }) => table === 'chain' || table === 'chain_heads');
  return [
    `refused: ${total} findings in ${accounts} accounts`,
    ...findings.slice(0, SHOWN).map(textOf),
    ...(more === 0 ? [] : [`  and ${more} more: --json lists them`]),
    `  next  ${isLoss ? NEXT_LOSS : isChain ? NEXT_CHAIN : NEXT_READERS}`,
  ];
}

function signatureLines({ signatures }: Audit, log: string | null): readonly string[] {
  if (signatures === null) return ['  signatures  not verified: give --log FOLDER'];
  const { verified, unpublished, origins } = signatures;
  return [
    `  signatures  ${verified} verified under the keys of ${origins.length} epochs in ${log ?? ''}`,
    ...(unpublished === 0
      ? []
      : [`  unpublished ${unpublished}: their leaves come after the end of the folder`]),
  ];
}
