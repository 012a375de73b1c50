// Stands in for the instance metadata service (IMDSv2): a session token by PUT, the name of the role, its
// credentials. As AWS's does with version 1 switched off, it answers 401 without a token. Trusted by nobody;
// its credentials are good for the simulated KMS and S3 only.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ImdsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresMs: number;
}

/** What is answered instead of credentials. */
export type ImdsFault =
  | { readonly status: number; readonly body: string }
  /** Nothing at all, until the client gives up. */
  | 'silence';

export interface ImdsOptions {
  readonly role: string;
  /** Asked for each request of credentials. */
  readonly credentials: () => ImdsCredentials | ImdsFault;
}

export interface Imds {
  /** For AWS_EC2_METADATA_SERVICE_ENDPOINT. */
  readonly endpoint: string;
  readonly port: number;
  /** Requests without a token of this service, which were refused. */
  readonly refused: number;
  close(): Promise<void>;
}

const ROLES = '/latest/meta-data/iam/security-credentials/';
const MAX_TTL_SECONDS = 21_600;

class SimulatedImds implements Imds {
  readonly #options: ImdsOptions;
  readonly #server: Server;
  readonly #tokens = new Set<string>();
  #refused = 0;

  constructor(options: ImdsOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      request.resume();
      this.#answer(request, response);
    });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get refused(): number {
    return this.#refused;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }

  #answer({ method, url, headers }: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Server', 'simulated IMDS, not AWS');
    if (method === 'PUT' && url === '/latest/api/token') {
      const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!Number.isInteger(ttl) || ttl < 1 || ttl > MAX_TTL_SECONDS) {
        send(response, 400, '');
        return;
      }
      const token = randomBytes(32).toString('base64url');
      this.#tokens.add(token);
      response.setHeader('X-Aws-Ec2-Metadata-Token-Ttl-Seconds', String(ttl));
      send(response, 200, token);
      return;
    }
    const token = headers['x-aws-ec2-metadata-token'];
    if (typeof token !== 'string' || !this.#tokens.has(token)) {
      this.#refused++;
      send(response, 401, '');
      return;
    }
    if (method !== 'GET') send(response, 405, '');
    else if (url === ROLES) send(response, 200, this.#options.role);
    else if (url === `${ROLES}${this.#options.role}`) this.#sendCredentials(response);
    else send(response, 404, '');
  }

  #sendCredentials(response: ServerResponse): void {
    const found = this.#options.credentials();
    if (found === 'silence') return;
    if ('status' in found) {
      send(response, found.status, found.body);
      return;
    }
    const body = {
      Code: 'Success',
      LastUpdated: timeOf(Date.now()),
      Type: 'AWS-HMAC',
      AccessKeyId: found.accessKeyId,
      SecretAccessKey: found.secretAccessKey,
      Token: found.sessionToken,
      Expiration: timeOf(found.expiresMs),
    };
    send(response, 200, JSON.stringify(body, null, 2));
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/u, 'Z');
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain' });
  response.end(body);
}

export async function startImds(options: ImdsOptions): Promise<Imds> {
  const imds = new SimulatedImds(options);
  await imds.listen();
  return imds;
}
