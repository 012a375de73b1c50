// The SDK's client as S3Store needs it: one request per call, because the store retries itself; the bucket in
// the path; no redirects; answers bounded. Where its requests go, with which credentials and roots, is the
// caller's.

import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { capAnswers } from './answer-cap.ts';

export interface S3ClientOptions {
  readonly region: string;
  /** `https://host` or, for servers on this machine, `http://127.0.0.1:port`. */
  readonly endpoint: string;
  readonly credentials: NonNullable<S3ClientConfig['credentials']>;
  /** Changed: its answers get a bound. */
  readonly handler: NodeHttpHandler;
}

/** The largest object of ours is a bundle of 256 leaves, about 16 MiB. */
export const MAX_ANSWER_BYTES: number = 64 * 1024 * 1024;

export function openS3Client(options: S3ClientOptions): S3Client {
  const { credentials, endpoint, handler, region } = options;
  return new S3Client({
    region,
    endpoint,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    followRegionRedirects: false,
    requestHandler: capAnswers(handler, MAX_ANSWER_BYTES),
    // Ours is SHA-256, given with each write.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}
