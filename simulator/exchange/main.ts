// `node simulator/exchange/main.ts`: the simulated exchange as a process of its own, for the demo, the local
// appliance and tests. Prints one JSON line with its ports when it listens. Its certificates are its own
// authority's and its money is made up: it proves nothing about any venue.

import { argv, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { serveControl } from './control-server.ts';
import { startExchange } from './server.ts';

const USAGE = `usage: node simulator/exchange/main.ts [--port N] [--control-port N] [--folder DIR]

  --port N           TLS on 127.0.0.1; chosen by the system without it
  --control-port N   HTTP on 127.0.0.1, POST /<operation> with JSON; chosen by the system without it
  --folder DIR       keeps the certificate authority there (ca.pem, ca-key.pem); in memory without it

The name that a client dials decides the venue: it must come as SNI and Host. The answer's header
x-trackseal-simulator says what this is.
`;

function parsePort(text: string): number | null {
  const port = Number(text);
  return Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : null;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      port: { type: 'string', default: '0' },
      'control-port': { type: 'string', default: '0' },
      folder: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  const port = parsePort(values.port);
  const controlPort = parsePort(values['control-port']);
  if (values.help === true || port === null || controlPort === null) {
    (values.help === true ? stdout : stderr).write(USAGE);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const { folder } = values;
  const exchange = await startExchange({ port, ...(folder === undefined ? {} : { folder }) });
  const control = await serveControl(exchange.control, controlPort);
  const { ca, hosts } = exchange;
  const ports = { port: exchange.port, control_port: control.port };
  stdout.write(`${JSON.stringify({ simulator: 'exchange', ...ports, hosts, ca })}\n`);
  const stop = (): void => {
    void Promise.all([exchange.close(), control.close()]);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

await main();
