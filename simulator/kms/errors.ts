// KMS's errors, with AWS's own type names and messages. Where AWS does not publish a text, it says so itself.

/** Answered as {"__type": type, "message": …}; 400 unless it is the service's own fault. */
export class KmsError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}

export function validation(message: string): KmsError {
  return new KmsError('ValidationException', message);
}

export function notFound(what: string): KmsError {
  return new KmsError('NotFoundException', what);
}

/** No message on AWS either: which of key, context or bytes is wrong is nobody's business. */
export function invalidCiphertext(): KmsError {
  return new KmsError('InvalidCiphertextException', '');
}

export function incorrectKey(): KmsError {
  return new KmsError(
    'IncorrectKeyException',
    'The key ID in the request does not identify a CMK that can perform this operation.',
  );
}

export function invalidState(arn: string, state: string): KmsError {
  if (state === 'Disabled') return new KmsError('DisabledException', `${arn} is disabled.`);
  return new KmsError('KMSInvalidStateException', `${arn} is pending deletion.`);
}

export function malformedPolicy(what: string): KmsError {
  return new KmsError('MalformedPolicyDocumentException', what);
}

/** AWS never says which condition did not hold, nor which PCR. */
export function accessDenied(
  principal: string,
  action: string,
  resource: string,
  because: string,
): KmsError {
  return new KmsError(
    'AccessDeniedException',
    `User: ${principal} is not authorized to perform: ${action} on resource: ${resource} ${because}`,
  );
}

export function throttled(): KmsError {
  return new KmsError(
    'ThrottlingException',
    'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
  );
}

export function internal(): KmsError {
  return new KmsError('KMSInternalException', 'Internal error', 500);
}
