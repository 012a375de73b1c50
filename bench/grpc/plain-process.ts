// The same answers without the boundary: a server of grpc-js in a process of its own, mutual TLS over loopback, Node's default flags.
// `plain-process FOLDER` reads the client's certificate in FOLDER; its port and the PEM of its own certificate go to its parent.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { createGuard } from '../../enclave/fatal.ts';
import { metricsAnswer, returnsAnswer } from '../../enclave/ledger/grpc/answers.ts';
import { definitionOf, unaryHandler } from '../../enclave/ledger/grpc/calls.ts';
import { parseMetricsRequest, parseRangeRequest } from '../../enclave/ledger/grpc/requests.ts';
import { enclaveService } from '../../wire/grpc/services.ts';
import { STATIC_TRACK } from './static-track.ts';

const [folder = ''] = process.argv.slice(2);
const { tls } = generateDeskKeys();
const certificate = await createCertificate(tls, ['localhost'], Date.now());
const caller = { certificate: new Uint8Array(32) };
const { getAggregatedMetrics, calculateHistoricalReturns } = enclaveService.methods;
const handling = {
  guard: createGuard((code) => {
    throw new Error(code);
  }),
  ended: () => undefined,
};
const server = new Server({ 'grpc.enable_channelz': 0 });
server.addService(definitionOf({ getAggregatedMetrics, calculateHistoricalReturns }), {
  getAggregatedMetrics: unaryHandler(
    {
      method: getAggregatedMetrics,
      parse: parseMetricsRequest,
      ask: (query, signal) => STATIC_TRACK.aggregatedMetrics(caller, query, signal),
      answer: metricsAnswer,
    },
    handling,
  ),
  calculateHistoricalReturns: unaryHandler(
    {
      method: calculateHistoricalReturns,
      parse: parseRangeRequest,
      ask: (query, signal) => STATIC_TRACK.historicalReturns(caller, query, signal),
      answer: returnsAnswer,
    },
    handling,
  ),
});
const key = Buffer.from(tls.privateKey.export({ format: 'pem', type: 'pkcs8' }));
const pair = { private_key: key, cert_chain: Buffer.from(certificate) };
const secure = ServerCredentials.createSsl(readFileSync(join(folder, 'client.pem')), [pair], true);
server.bindAsync('127.0.0.1:0', secure, (error, port) => {
  if (error !== null) throw error;
  process.send?.({ certificate, port });
});
process.on('disconnect', () => {
  process.exit();
});
