import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { GetObjectCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANSWER_TOO_LARGE, capAnswers } from '../../../../wire/node/objects/answer-cap.ts';

const MAXIMUM = 4096;
let server: Server;
let bytes = 0;
let status = 200;
let client: S3Client;

beforeAll(async () => {
  // Without a length, so that only what is read can be counted.
  server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.write(Buffer.alloc(Math.min(bytes, 1000), 0x20));
    response.end(Buffer.alloc(Math.max(0, bytes - 1000), 0x20));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  client = new S3Client({
    region: 'r',
    endpoint: `http://127.0.0.1:${String(port)}`,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: capAnswers(new NodeHttpHandler({}), MAXIMUM),
  });
});

afterAll(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

async function readObject(): Promise<string> {
  try {
    const answer = await client.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' }));
    return String((await answer.Body?.transformToByteArray())?.length);
  } catch (error) {
    return error instanceof Error ? error.name : 'unknown';
  }
}

describe('the bound on answers', () => {
  it.each([
    [MAXIMUM - 1, String(MAXIMUM - 1)],
    [MAXIMUM, String(MAXIMUM)],
    [MAXIMUM + 1, ANSWER_TOO_LARGE],
    [1000 * MAXIMUM, ANSWER_TOO_LARGE],
  ])('of %i bytes: %s', async (length, expected) => {
    [bytes, status] = [length, 200];
    expect(await readObject()).toBe(expected);
  });

  it.each([200, 403, 500])('holds for what the SDK collects itself, status %i', async (code) => {
    [bytes, status] = [1000 * MAXIMUM, code];
    const asked = client.send(new ListObjectVersionsCommand({ Bucket: 'b' }));
    await expect(asked).rejects.toHaveProperty('name', ANSWER_TOO_LARGE);
  });
});
