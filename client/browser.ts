// SecureClient for browsers: no Node anywhere. A page cannot see which key TLS ended at, so the envelope alone keeps others
// out: what is inside is for the attested key, whoever carries it. The page itself has to come from somebody who is trusted.

import { webCrypto } from './crypto.ts';
import type { SavedSession } from './registration.ts';
import type { Environment, ResumeOptions, SecureClientOptions } from './secure-client.ts';
import { SecureClient as Base } from './secure-client.ts';
import { webHttp } from './web-http.ts';

export { SecureClientError } from './error.ts';
export type * from './public-types.ts';

function environment(): Environment {
  return {
    crypto: webCrypto,
    platform: {
      getRandomValues: (bytes) => crypto.getRandomValues(bytes),
      // Missing where a page did not come over https.
      subtle: crypto.subtle,
    },
    http: webHttp,
    pinsTlsKey: false,
    nowMs: () => Date.now(),
  };
}

export class SecureClient extends Base {
  /** Throws a SecureClientError without a policy, or for an option that is wrong. */
  constructor(options: SecureClientOptions) {
    super(environment(), options.enclaveUrl, options, { account: options });
  }

  /** Goes on with a session of before. */
  static resume(session: SavedSession, options: ResumeOptions): Base {
    return new Base(environment(), session.enclaveUrl, options, { session });
  }
}
