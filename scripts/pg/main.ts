// `make pg`: a real PostgreSQL on this machine, for trying things out. Prints how to reach it as one JSON line and
// runs until it is interrupted; then everything in it is gone.

import { stderr, stdout } from 'node:process';
import { CommandFailed } from '../vm/command.ts';
import { startPostgres } from './postgres.ts';

async function main(): Promise<void> {
  const server = await startPostgres();
  const { ca, host, name, password, port, user } = server;
  const url = `postgres://${user}@${host}:${port}/postgres`;
  stdout.write(`${JSON.stringify({ server: name, url, password, ca })}\n`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await server.stop();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
