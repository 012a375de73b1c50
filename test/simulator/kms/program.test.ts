// The simulated KMS as a program, and the owner's commands as a user runs them: `trackseal kms policy`, put it,
// `trackseal seal`, `trackseal kms canary`; then the simulator again, which still knows its keys.

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/bundle.ts';
import { measurementsJson } from '../../../simulator/nsm/measure.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import {
  cleanUpAfterEach,
  temporaryFolder,
  TestProcess,
  trackseal,
  waitFor,
} from '../../e2e/processes.ts';
import type { Json } from '../../e2e/processes.ts';
import { hostConfiguration } from '../../helpers/enclave-host.ts';
import {
  ADMIN,
  HOST,
  HOST_ROLE,
  IMAGE,
  KEY_ARN,
  OWNER,
  REGION,
  simulatedRoot,
} from '../../helpers/kms.ts';
import type { Principal } from '../../../simulator/kms/signature.ts';

cleanUpAfterEach();

const PROGRAM = join(ROOT, 'simulator/kms/main.ts');

function principal({ arn, accessKeyId, secretAccessKey, sessionToken }: Principal): object {
  return {
    arn,
    access_key_id: accessKeyId,
    secret_access_key: secretAccessKey,
    ...(sessionToken === undefined ? {} : { session_token: sessionToken }),
  };
}

function environment({ accessKeyId, secretAccessKey, sessionToken }: Principal) {
  return {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: sessionToken }),
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

async function start(folder: string): Promise<{ program: TestProcess; said: Json }> {
  const files = ['--config', join(folder, 'kms.json'), '--folder', join(folder, 'kms')];
  const args = [...files, '--attestation-root', join(folder, 'root.pem')];
  const program = new TestProcess(process.execPath, [PROGRAM, ...args]);
  const line = await waitFor('the simulated KMS', () => {
    if (program.end !== null) throw new Error(program.stderr);
    return /^(\{.*\})\n/u.exec(program.stdout)?.[1];
  });
  return { program, said: JSON.parse(line) as Json };
}

async function stop(program: TestProcess): Promise<void> {
  program.signal('SIGTERM');
  expect(await program.closed).toEqual({ code: 0, signal: null });
}

function address(said: Json): readonly string[] {
  return ['--endpoint', String(said['endpoint']), '--ca', String(said['ca'])];
}

describe('node simulator/kms/main.ts', () => {
  it('serves the owner’s commands, says what it is, and knows its keys after a restart', async () => {
    const folder = temporaryFolder();
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('root.pem'), (await simulatedRoot()).pem);
    writeFileSync(path('measurements.json'), measurementsJson(IMAGE));
    writeFileSync(path('parameters.json'), '{}\n');
    const owner = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(path('owner.pem'), owner.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const configuration = hostConfiguration({
      kms: { region: REGION, host: `kms.${REGION}.amazonaws.com` },
      sealed: [{ purpose: 'parameters', name: 'example', key_arn: KEY_ARN }],
    });
    writeFileSync(path('configuration.json'), canonicalJson(configuration));
    const who = ['--owner', OWNER.arn, '--enclave-role', HOST_ROLE, '--admin', ADMIN.arn];
    const image = ['--measurements', path('measurements.json')];
    const policy = await trackseal(['kms', 'policy', ...image, ...who, '-o', path('policy.json')]);
    expect([policy.code, policy.stderr]).toEqual([0, '']);
    expect((await trackseal(['kms', 'lint', path('policy.json'), '--strict'])).code).toBe(0);
    mkdirSync(path('kms'));
    const config = {
      region: REGION,
      principals: [OWNER, ADMIN, HOST].map(principal),
      keys: [{ arn: KEY_ARN, policy: JSON.parse(readFileSync(path('policy.json'), 'utf8')) }],
    };
    writeFileSync(path('kms.json'), JSON.stringify(config));

    const first = await start(folder);
    expect(first.said).toMatchObject({ simulator: 'kms; not AWS', region: REGION });
    expect(first.program.stderr).toContain('NOT AWS');
    const from = ['--configuration', path('configuration.json'), '--owner-key', path('owner.pem')];
    const item = ['--item', `parameters/example=${path('parameters.json')}`];
    const to = ['-o', path('sealed'), ...address(first.said)];
    const sealed = await trackseal(['seal', ...from, ...image, ...item, ...to], {
      env: environment(OWNER),
    });
    expect(sealed.code, sealed.stderr).toBe(0);
    await stop(first.program);
    expect(first.program.stderr).toContain('"eventName":"Encrypt"');
    expect(first.program.stderr).not.toContain(OWNER.secretAccessKey);

    const second = await start(folder);
    const canary = ['kms', 'canary', '--sealed', path('sealed/parameters-example.sealed')];
    const denied = await trackseal([...canary, ...address(second.said)], {
      env: environment(HOST),
    });
    expect([denied.code, denied.stderr]).toEqual([0, '']);
    // The ciphertext of the first run is known: it is the policy that says no.
    expect(second.program.stderr).toContain('"errorCode":"AccessDeniedException"');
    await stop(second.program);
  });

  it.each([[[]], [['--config', '/nonexistent']], [['--port', 'x']]])(
    'with %j: how it is used, exit code 2',
    async (args) => {
      const program = new TestProcess(process.execPath, [PROGRAM, ...args]);
      expect(await program.closed).toEqual({ code: 2, signal: null });
      expect(program.stdout).toBe('');
      expect(program.stderr).toMatch(/^usage: node simulator\/kms\/main\.ts/u);
    },
  );
});
