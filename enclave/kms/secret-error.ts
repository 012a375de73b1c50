// Why the boot ends at a secret, and which one: an operator has to know what to bring anew.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Failed } from '../../wire/enclave-messages.ts';
import { Fatal } from '../fatal.ts';
import type { Result } from '../../wire/result.ts';

/** The secret, as far as it is known: a name is our configuration's, never the item's. */
export type SecretName = Omit<Failed, 'code'>;

export class SecretError extends Fatal {
  readonly secret: SecretName;

  constructor(code: RefusalCode, secret: SecretName) {
    super(code);
    this.secret = secret;
  }
}

export function orSecretError<T>(result: Result<T>, secret: SecretName): T {
  if (result.ok) return result.value;
  throw new SecretError(result.refusal.code, secret);
}
