// The one command line: finds the command and hands it the arguments. Commands live with their trust
// domain and are loaded only when asked for, so that a verifier never loads the host's code.

import { stderr, stdout } from 'node:process';
import type { CommandIo } from '../verifier/io.ts';

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

interface Command {
  readonly words: readonly string[];
  readonly summary: string;
  readonly load: () => Promise<Run>;
}

const COMMANDS: readonly Command[] = [
  {
    words: ['demo'],
    summary: 'run the whole appliance on this machine and prove what it did',
    load: async () => (await import('./demo.ts')).run,
  },
  {
    words: ['verify', 'attestation'],
    summary: 'verify an attestation document',
    load: async () => (await import('../verifier/commands/verify-attestation.ts')).run,
  },
  {
    words: ['verify', 'log'],
    summary: 'verify a whole epoch of a log, from a folder or a URL',
    load: async () => (await import('../verifier/commands/verify-log.ts')).run,
  },
  {
    words: ['verify', 'proof'],
    summary: 'verify the proof file of one leaf',
    load: async () => (await import('../verifier/commands/verify-proof.ts')).run,
  },
  {
    words: ['verify', 'bundle'],
    summary: 'verify an evidence file: leaves of a log with all that proves them',
    load: async () => (await import('../verifier/commands/verify-bundle.ts')).run,
  },
  {
    words: ['verify', 'result'],
    summary: 'verify figures of an account that an enclave has signed',
    load: async () => (await import('../verifier/commands/verify-result.ts')).run,
  },
  {
    words: ['verify', 'record'],
    summary: 'verify the track record of an account, statement by statement',
    load: async () => (await import('../verifier/commands/verify-record.ts')).run,
  },
  {
    words: ['report'],
    summary: 'write the track record of an account as one HTML file',
    load: async () => (await import('../verifier/commands/report.ts')).run,
  },
  {
    words: ['attest'],
    summary: 'challenge a running enclave with a fresh nonce and verify its answer',
    load: async () => (await import('../verifier/commands/attest.ts')).run,
  },
  {
    words: ['log', 'list'],
    summary: 'list the leaves of an epoch, disclosed if you hold the key',
    load: async () => (await import('../verifier/commands/log-list.ts')).run,
  },
  {
    words: ['log', 'prove'],
    summary: 'write the proof file of one leaf, disclosed if you hold the key',
    load: async () => (await import('../verifier/commands/log-prove.ts')).run,
  },
  {
    words: ['log', 'pull'],
    summary: 'write an evidence file: a time, an order or a leaf, disclosed if you hold the key',
    load: async () => (await import('../verifier/commands/log-pull.ts')).run,
  },
  {
    words: ['measurements', 'sign'],
    summary: 'sign a list of image measurements, with those that were taken back',
    load: async () => (await import('../verifier/commands/measurements-sign.ts')).run,
  },
  {
    words: ['measurements', 'verify'],
    summary: 'verify and show a signed list of image measurements',
    load: async () => (await import('../verifier/commands/measurements-verify.ts')).run,
  },
  {
    words: ['replay'],
    summary: 'run the logged inputs through the strategy again and compare every output',
    load: async () => (await import('../verifier/commands/replay.ts')).run,
  },
  {
    words: ['strategy', 'pack'],
    summary: 'bundle a strategy and make its commitment',
    load: async () => (await import('./strategy-pack.ts')).run,
  },
  {
    words: ['image', 'build'],
    summary: 'build the enclave image of this checkout, with its measurements',
    load: async () => (await import('../eif/commands/build.ts')).run,
  },
  {
    words: ['image', 'reproduce'],
    summary: 'build the image twice under other circumstances and compare the bytes',
    load: async () => (await import('../eif/commands/reproduce.ts')).run,
  },
  {
    words: ['image', 'describe'],
    summary: 'show the sections, measurements and signer of an enclave image file',
    load: async () => (await import('../eif/commands/describe.ts')).run,
  },
  {
    words: ['image', 'verify'],
    summary: 'compare an enclave image file with announced measurements',
    load: async () => (await import('../eif/commands/verify.ts')).run,
  },
  {
    words: ['image', 'sign'],
    summary: 'sign an enclave image file',
    load: async () => (await import('../eif/commands/sign.ts')).run,
  },
  {
    words: ['strategy', 'new'],
    summary: 'write a small strategy to start from, with its tests',
    load: async () => (await import('./strategy-new.ts')).run,
  },
  {
    words: ['strategy', 'test'],
    summary: 'play the scenarios of a strategy: events in, signals expected',
    load: async () => (await import('./strategy-test.ts')).run,
  },
  {
    words: ['strategy', 'backtest'],
    summary: 'run a strategy over capture files as beside an enclave',
    load: async () => (await import('./strategy-backtest.ts')).run,
  },
  {
    words: ['seal'],
    summary: 'seal strategies, parameters and keys for one image',
    load: async () => (await import('../owner/commands/seal.ts')).run,
  },
  {
    words: ['kms', 'policy'],
    summary: 'write the key policy that lets one image in',
    load: async () => (await import('../owner/commands/kms-policy.ts')).run,
  },
  {
    words: ['kms', 'lint'],
    summary: 'find what is wrong with a key policy',
    load: async () => (await import('../owner/commands/kms-lint.ts')).run,
  },
  {
    words: ['kms', 'canary'],
    summary: 'try to open sealed items without attestation, and alarm if it works',
    load: async () => (await import('../owner/commands/kms-canary.ts')).run,
  },
  {
    words: ['register'],
    summary: 'give an account at an exchange to an attested enclave',
    load: async () => (await import('../client/commands/register.ts')).run,
  },
  {
    words: ['session', 'summary'],
    summary: 'show the signed sums of an account',
    load: async () => (await import('../client/commands/session.ts')).runSummary,
  },
  {
    words: ['session', 'metrics'],
    summary: 'show the signed figures of an account, hour by hour',
    load: async () => (await import('../client/commands/session.ts')).runMetrics,
  },
  {
    words: ['session', 'track'],
    summary: 'fetch the track record of an account, for verify record and report',
    load: async () => (await import('../client/commands/session.ts')).runTrack,
  },
  {
    words: ['session', 'renew'],
    summary: 'prolong the session of an account',
    load: async () => (await import('../client/commands/session.ts')).runRenew,
  },
  {
    words: ['session', 'revoke'],
    summary: 'end the session of an account: the enclave forgets its keys',
    load: async () => (await import('../client/commands/session.ts')).runRevoke,
  },
  {
    words: ['track', 'returns'],
    summary: 'show hourly returns over gRPC, verified (with a client certificate)',
    load: async () => (await import('../client/commands/track.ts')).runReturns,
  },
  {
    words: ['track', 'snapshots'],
    summary: 'show daily snapshots over gRPC, verified',
    load: async () => (await import('../client/commands/track.ts')).runSnapshots,
  },
  {
    words: ['track', 'metrics'],
    summary: 'show figures of accounts over gRPC, verified',
    load: async () => (await import('../client/commands/track.ts')).runMetrics,
  },
  {
    words: ['host', 'hand-over'],
    summary: 'have the running enclave log which image comes next, and close',
    load: async () => (await import('../host-proxy/commands/hand-over.ts')).run,
  },
  {
    words: ['tls', 'csr'],
    summary: "request a public authority's certificate for the enclave's TLS key",
    load: async () => (await import('../host-proxy/commands/tls.ts')).runCsr,
  },
  {
    words: ['tls', 'install'],
    summary: 'hand a certificate to the running enclave',
    load: async () => (await import('../host-proxy/commands/tls.ts')).runInstall,
  },
  {
    words: ['kms', 'rotate'],
    summary: 'ask for a new version of a data key',
    load: async () => (await import('../host-proxy/commands/kms-rotate.ts')).run,
  },
  {
    words: ['database', 'migrate'],
    summary: 'bring the database of the track record to the schema of this release',
    load: async () => (await import('../host-proxy/commands/database.ts')).runMigrate,
  },
  {
    words: ['database', 'backup'],
    summary: 'write all rows of the database to a file',
    load: async () => (await import('../host-proxy/commands/database.ts')).runBackup,
  },
  {
    words: ['database', 'restore'],
    summary: 'put a backup into an empty database',
    load: async () => (await import('../host-proxy/commands/database.ts')).runRestore,
  },
  {
    words: ['database', 'status'],
    summary: 'show migrations and rows of the database',
    load: async () => (await import('../host-proxy/commands/database.ts')).runStatus,
  },
  {
    words: ['database', 'audit'],
    summary: 'compare all rows of the database with what was signed',
    load: async () => (await import('../host-proxy/commands/database-audit.ts')).run,
  },
  {
    words: ['bucket', 'create'],
    summary: 'make a bucket for a log, with Object Lock and a policy',
    load: async () => (await import('../owner/commands/bucket-create.ts')).run,
  },
  {
    words: ['bucket', 'policy'],
    summary: 'print the bucket policy of a log',
    load: async () => (await import('../owner/commands/bucket-policy.ts')).run,
  },
  {
    words: ['bucket', 'check'],
    summary: 'audit the bucket of a log, with a report of retention',
    load: async () => (await import('../owner/commands/bucket-check.ts')).run,
  },
  {
    words: ['bucket', 'hold'],
    summary: 'set or remove legal holds',
    load: async () => (await import('../owner/commands/bucket-hold.ts')).run,
  },
  {
    words: ['host'],
    summary: 'run the host proxy beside an enclave',
    load: async () => (await import('../host-proxy/main.ts')).run,
  },
];

function usage(): string {
  const names = COMMANDS.map(({ words, summary }) => `  ${words.join(' ').padEnd(22)}${summary}`);
  return [
    'usage: trackseal COMMAND [OPTIONS]',
    '',
    ...names,
    '',
    'Each command explains itself with --help and speaks JSON with --json.',
    'Exit codes: 0 verified or done, 1 refused, 2 could not decide or wrong usage.',
    '',
  ].join('\n');
}

/** Null where the command needs what an installed package does not have: esbuild and the sources. */
async function load({ load: loadCommand }: Command): Promise<Run | null> {
  try {
    return await loadCommand();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')
      return null;
    throw error;
  }
}

/** Whoever read the result (`| head`) has enough. Without a reader of the messages work goes on. */
function outliveReaders(): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(2);
  });
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function main(args: readonly string[]): Promise<number> {
  outliveReaders();
  const io: CommandIo = {
    stdout: (text) => {
      stdout.write(text);
    },
    stderr: (text) => {
      stderr.write(text);
    },
    isTerminal: stderr.isTTY,
    env: process.env,
  };
  const command = COMMANDS.find(({ words }) => words.every((word, at) => args[at] === word));
  if (command === undefined) {
    const asked = args[0] === 'help' || args.includes('--help');
    (asked ? io.stdout : io.stderr)(usage());
    return asked ? 0 : 2;
  }
  const run = await load(command);
  if (run === null) {
    io.stderr(`trackseal ${command.words.join(' ')} needs a checkout of the project (it builds)\n`);
    return 2;
  }
  return run(args.slice(command.words.length), io);
}

process.exitCode = await main(process.argv.slice(2));
