// Options of every command that reads a log: where an `s3://` address is. Without the SDK behind them.

export const STORE_OPTIONS: Readonly<
  Record<'region' | 'endpoint' | 'ca' | 'bucket-owner', { readonly type: 'string' }>
> = {
  region: { type: 'string' },
  endpoint: { type: 'string' },
  ca: { type: 'string' },
  'bucket-owner': { type: 'string' },
};

export const STORE_USAGE = `for s3://BUCKET/PREFIX, with AWS credentials that may read versions and retention:
  --region NAME          default: $AWS_REGION
  --endpoint URL         another S3 than AWS's
  --ca FILE              PEM of its certificate authority; default: those of Node
  --bucket-owner ID      twelve digits; refused when the bucket has another owner
`;

export interface StoreOptionValues {
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
  readonly 'bucket-owner'?: string | undefined;
}
