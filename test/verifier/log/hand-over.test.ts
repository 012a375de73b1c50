// An epoch that announces the next image, and the one that follows. What is announced is the word of the old
// host, signed by the old enclave: it links, and makes nothing trusted.

import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measure, measurementsJson } from '../../../simulator/nsm/measure.ts';
import { run as runLogList } from '../../../verifier/commands/log-list.ts';
import { run as runVerifyLog } from '../../../verifier/commands/verify-log.ts';
import type { LogVerdict } from '../../../verifier/log/verdict.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { encodeHandOver } from '../../../wire/kms-messages.ts';
import { KIND } from '../../../wire/leaf.ts';
import { CLOSE_REASON } from '../../../wire/payloads.ts';
import { EpochBuilder, measurements } from '../../helpers/epoch-builder.ts';
import { LogFolder, runCommand } from './log-folder.ts';

const next = measure({ boot: utf8('boot parts of the next'), application: utf8('the next') });
const third = measure({ boot: utf8('boot parts of a third'), application: utf8('a third') });
let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
  const [old, both] = [measurementsJson(measurements), measurementsJson(next)].map(
    (text) => (JSON.parse(text) as { Measurements: object }).Measurements,
  );
  await writeFile(
    folder.path('window.json'),
    JSON.stringify({ Measurements: old, images: [both] }),
  );
  await writeFile(folder.path('next.json'), measurementsJson(next));
});

afterAll(() => folder.remove());

async function handingOver(to: typeof measurements | null, note = ''): Promise<EpochBuilder> {
  const epoch = await EpochBuilder.create();
  epoch.addInput();
  if (to !== null) {
    epoch.addHandOver(to, note);
    await epoch.addAnchor();
  }
  epoch.addClose(to === null ? CLOSE_REASON.host : CLOSE_REASON.handOver);
  epoch.commit();
  return epoch;
}

async function following(before: EpochBuilder, image: typeof measurements): Promise<EpochBuilder> {
  const epoch = await EpochBuilder.create({
    epoch: 2,
    previous: before.link({ clean: true }),
    image,
    startMs: Number(before.nowNs / 1_000_000n),
  });
  epoch.addInput();
  epoch.commit();
  return epoch;
}

async function verify(policy: string, ...args: readonly string[]): Promise<LogVerdict> {
  const trust = ['--policy', folder.path(policy), '--unsafe-root', folder.path('root.pem')];
  const outcome = await runCommand(
    runVerifyLog,
    folder.log,
    ...trust,
    '--no-heads',
    '--json',
    ...args,
  );
  return JSON.parse(outcome.out) as LogVerdict;
}

describe('a hand-over', () => {
  it('is shown with its note, in the verdict and in the list of leaves', async () => {
    await folder.write([await handingOver(next, 'release 1.5.0')]);
    const verdict = await verify('policy.json');
    expect(verdict).toMatchObject({
      verdict: 'verified',
      end: 'clean',
      close_reason: 'hand_over',
      hand_over: { pcr0: toHex(next.pcr0), pcr2: toHex(next.pcr2), note: 'release 1.5.0' },
    });
    const list = await runCommand(runLogList, folder.log, '--kind', 'hand_over', '--json');
    expect(JSON.parse(list.out)).toMatchObject({
      payload: { pcr0: toHex(next.pcr0), note: 'release 1.5.0' },
    });
  });

  it('links the next epoch, whose image a policy has to list all the same', async () => {
    const before = await handingOver(next, 'release 1.5.0');
    await folder.write([before, await following(before, next)]);
    expect(await verify('window.json')).toMatchObject({
      verdict: 'verified',
      previous: { link: 'verified', changed: ['image'], succession: 'announced' },
    });
    expect(await verify('next.json')).toMatchObject({ verdict: 'verified' });
    // The announcement of the old enclave is no reason to trust the new one.
    expect(await verify('policy.json')).toMatchObject({ verdict: 'refused', code: 'pcr_mismatch' });
    const text = await runCommand(
      runVerifyLog,
      folder.log,
      '--policy',
      folder.path('window.json'),
      '--unsafe-root',
      folder.path('root.pem'),
      '--no-heads',
    );
    expect(text.out).toContain('the one that the epoch before had announced: "release 1.5.0"');
  });

  it.each<[string, typeof measurements | null, typeof measurements, string]>([
    ['another image than the announced one', third, next, 'other_than_announced'],
    ['the old image after another was announced', next, measurements, 'other_than_announced'],
    ['another image without a word', null, next, 'unannounced'],
    ['the same image', null, measurements, 'same_image'],
  ])('that is followed by %s is reported', async (_, announced, image, succession) => {
    const before = await handingOver(announced);
    await folder.write([before, await following(before, image)]);
    const { verdict, previous } = await verify('window.json');
    expect([verdict, previous?.succession]).toEqual(['verified', succession]);
  });

  it('that names part of an image is another image', async () => {
    const mixed = { ...next, pcr2: third.pcr2 };
    const before = await handingOver(mixed);
    await folder.write([before, await following(before, next)]);
    expect((await verify('window.json')).previous?.succession).toBe('other_than_announced');
  });

  it.each<[string, (epoch: EpochBuilder) => void]>([
    [
      'comes twice',
      (epoch) => {
        epoch.addHandOver(next);
        epoch.addHandOver(third);
      },
    ],
    [
      'is followed by a close for another reason',
      (epoch) => {
        epoch.addHandOver(next);
        epoch.addClose();
      },
    ],
    ['is missing where the epoch was closed for one', (epoch) => epoch.addClose(3)],
  ])('that %s is refused', async (_, change) => {
    const epoch = await EpochBuilder.create();
    change(epoch);
    epoch.commit();
    await folder.write([epoch]);
    expect(await verify('policy.json')).toMatchObject({ code: 'leaf_misplaced' });
  });

  it('that is malformed is refused, here and as the end of the epoch before', async () => {
    const pcrs = [next.pcr0, next.pcr1];
    const epoch = await EpochBuilder.create();
    epoch.add({ kind: KIND.handOver }, encodeHandOver({ pcrs, note: '' }));
    epoch.commit();
    await folder.write([epoch]);
    expect(await verify('policy.json')).toMatchObject({ code: 'message_malformed' });
    const after = await EpochBuilder.create({ epoch: 2, previous: epoch.link() });
    await folder.write([epoch, after]);
    expect(await verify('policy.json')).toMatchObject({
      code: 'epoch_link',
      detail: { cause: 'message_malformed' },
    });
  });
});

function arnOf(account: string): string {
  return `arn:aws:kms:eu-central-1:${account}:key/12345678-1234-1234-1234-123456789012`;
}

describe('keys of KMS', () => {
  it('are named with their accounts, sealed items and data keys alike', async () => {
    const [owner, second] = ['210987654321', '123456789012'].map(arnOf) as [string, string];
    const epoch = await EpochBuilder.create({
      configuration: {
        kms: { region: 'eu-central-1', host: 'kms.eu-central-1.amazonaws.com' },
        sealed: [{ purpose: 'client_ca', name: 'traders', key_arn: owner }],
        data_keys: [{ name: 'state', key_arn: second }],
      },
      header: (header) => ({
        ...header,
        sealed: [
          {
            purpose: 'client_ca',
            name: 'traders',
            version: 4,
            commitment: new Uint8Array(32).fill(7),
            keyArn: owner,
          },
        ],
        dataKeys: [{ name: 'state', version: 2, mark: new Uint8Array(32) }],
      }),
    });
    await folder.write([epoch]);
    const verdict = await verify('policy.json');
    expect(verdict).toMatchObject({
      verdict: 'verified',
      sealed: [{ purpose: 'client_ca', name: 'traders', version: 4, account: '210987654321' }],
      data_keys: [{ name: 'state', version: 2, account: '123456789012' }],
      key_accounts: ['123456789012', '210987654321'],
    });
    expect(verdict.rests_on?.join()).toContain('accounts 123456789012, 210987654321');
    const { out } = await runCommand(runVerifyLog, folder.log, ...folder.trust(), '--no-heads');
    expect(out).toMatch(/sealed +client_ca\/traders version 4, under .* account 210987654321/u);
    expect(out).toMatch(/data key +state version 2, under a key of AWS account 123456789012/u);
  });

  it('are not spoken of where nothing is sealed', async () => {
    await folder.write([await EpochBuilder.create()]);
    const verdict = await verify('policy.json');
    expect(verdict).toMatchObject({ sealed: [], data_keys: [], key_accounts: [] });
    expect(verdict.residual_risks).not.toContain('aws_kms');
  });
});
