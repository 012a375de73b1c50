import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/bundle.ts';
import { openS3Client } from '../../../wire/node/objects/client.ts';

describe('simulator/s3/main.ts', () => {
  it('prints where it is, and ends when it is told to', async () => {
    const child = spawn(process.execPath, [join(ROOT, 'simulator/s3/main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      text += String(chunk);
      if (text.includes('\n')) break;
    }
    const line = JSON.parse(text) as Readonly<Record<string, string>>;
    expect(line['simulator']).toBe('s3');
    const client = openS3Client({
      region: String(line['region']),
      endpoint: String(line['url']),
      credentials: {
        accessKeyId: String(line['access_key_id']),
        secretAccessKey: String(line['secret_access_key']),
      },
      handler: new NodeHttpHandler({}),
    });
    expect((await client.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
    client.destroy();
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
  });
});
