// In the image in place of @aws-sdk/credential-provider-node, which looks for credentials in the environment,
// in files, in programs that it starts and at the instance's metadata service: the host brings them, or there
// are none. eif/build/bundles.ts puts it there.

/** What the SDK would call for a client that was made without credentials. */
export function defaultProvider(): never {
  throw new Error('credentials are passed');
}
