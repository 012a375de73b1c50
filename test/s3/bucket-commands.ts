// `trackseal bucket create`, `check` and `hold` against a server that is there, as an owner would call them.

import { expect, it, vi } from 'vitest';
import { run as check } from '../../owner/commands/bucket-check.ts';
import { run as create } from '../../owner/commands/bucket-create.ts';
import { run as hold } from '../../owner/commands/bucket-hold.ts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { openS3Client } from '../../wire/node/objects/client.ts';
import { S3Store } from '../../wire/node/objects/s3.ts';
import { claimKey } from '../../wire/object-keys.ts';
import { bytesOf, soon } from '../wire/node/objects/contract.ts';
import type { ServerAddress } from './server-tests.ts';

interface Answer {
  readonly code: number;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Without the policy, which asks for what the server does not know. */
export function bucketCommandTests(open: () => ServerAddress): void {
  it('bucket create, check and hold do their work', async () => {
    const { accessKeyId, endpoint, region, secretAccessKey } = open();
    vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey);
    const call = async (command: typeof check, ...args: readonly string[]): Promise<Answer> => {
      let stdout = '';
      const io = {
        stdout: (text: string) => {
          stdout += text;
        },
        stderr: () => undefined,
        env: {},
      };
      const there = ['s3://commands/logs', '--region', region, '--endpoint', endpoint, '--json'];
      const code = await command([...there, ...args], io);
      return { code, json: JSON.parse(stdout) as Answer['json'] };
    };
    const writer = ['--writer', 'arn:aws:iam::123456789012:user/writer'];
    const made = await call(create, '--retention-days', '1', ...writer, '--no-policy');
    expect(made.json['steps']).toMatchObject([{ done: true }, { done: true }, { done: true }]);
    expect(made.json['findings']).toMatchObject([{ code: 'policy_none' }]);
    const handler = new NodeHttpHandler({});
    const credentials = { accessKeyId, secretAccessKey };
    const client = openS3Client({ region, endpoint, credentials, handler });
    const store = new S3Store({ client, bucket: 'commands', prefix: 'logs' });
    await store.putOnce(claimKey(7), bytesOf('x'), { retainUntil: soon() });
    const on = await call(hold, '--on', '--epoch', '7');
    expect(on).toMatchObject({ code: 0, json: { versions: 1, changed: 1 } });
    const checked = await call(check);
    expect(checked.json['parts']).toMatchObject([
      { part: 'epochs/0000000007/', objects: 1, holds: 1, unlocked: 0, laterVersions: 0 },
    ]);
    const off = await call(hold, '--off', '--all');
    expect(off).toMatchObject({ code: 0, json: { versions: 1, changed: 1 } });
    expect((await store.head(claimKey(7)))?.lock.legalHold).toBe(false);
    client.destroy();
    vi.unstubAllEnvs();
  });
}
