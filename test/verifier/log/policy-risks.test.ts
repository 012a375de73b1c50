import { expect, it } from 'vitest';
import { risksOfPolicy } from '../../../verifier/log/log-risks.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import type { EpochHeader } from '../../../wire/header.ts';
import { honestHeader, LOG_ID, testConfiguration } from '../../helpers/epoch-header.ts';

const S3 = {
  region: 'eu-central-1',
  host: 's3.eu-central-1.amazonaws.com',
  bucket: 'log-bucket',
  prefix: 'logs/one',
  retention_days: 30,
};

function headerOf(commitPolicy: 'spool' | 's3', s3: typeof S3 | null): EpochHeader {
  const configuration = canonicalJson(
    testConfiguration({ commit_policy: commitPolicy, ...(s3 === null ? {} : { s3 }) }),
  );
  const header = honestHeader('module', {
    epoch: 1,
    logKey: new Uint8Array(91),
    configuration,
    disclosureKey: new Uint8Array(32),
    previous: null,
    nowMs: 1,
    logId: LOG_ID,
    feedMode: 'live',
  });
  return { ...header, commitPolicy };
}

function sentenceOf(header: EpochHeader, name: string): string {
  return risksOfPolicy(header).find(({ risk }) => risk === name)?.sentence ?? '';
}

it('without a lease the verdict says so, also where a bucket is configured for nothing but copies', () => {
  for (const s3 of [null, S3]) {
    const sentence = sentenceOf(headerOf('spool', s3), 'second_enclave');
    expect(sentence).toContain('policy "spool" has no lease');
    expect(sentence).not.toContain('s3://');
    expect(sentenceOf(headerOf('spool', s3), 'hidden_epoch')).toContain('nobody outside has seen');
  }
});

it('with one it says where it is, and how far it reaches', () => {
  const header = headerOf('s3', S3);
  const sentence = sentenceOf(header, 'second_enclave');
  expect(sentence).not.toContain('no lease');
  for (const part of ['s3://log-bucket/logs/one', 'config_digest', 'delete markers']) {
    expect(sentence).toContain(part);
  }
  expect(sentenceOf(header, 'hidden_epoch')).toContain('s3://log-bucket/logs/one');
});
