// What the enclave's S3 client sends, brought to a simulated S3 on this machine without TLS: signed for the name
// that the enclave knows, sent to where the simulator listens.

import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { HttpHandler } from '../../enclave/s3/bucket.ts';

type Request = Parameters<NodeHttpHandler['handle']>[0];

export function handlerTo(port: number): HttpHandler {
  const sender = new NodeHttpHandler({ connectionTimeout: 5000, requestTimeout: 5000 });
  return {
    handle: (request) => {
      const here = { ...request, protocol: 'http:', hostname: '127.0.0.1', port };
      return sender.handle(here as unknown as Request);
    },
  };
}
