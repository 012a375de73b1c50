// How S3 says no: status, code and text as Amazon S3 gives them. Source: Amazon S3 API, "List of error codes";
// texts as seen in answers that others have published.

export class S3Refusal extends Error {
  readonly status: number;
  readonly code: string;
  /** Headers that come with it. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export function denied(message = 'Access Denied'): S3Refusal {
  return new S3Refusal(403, 'AccessDenied', message);
}

export function invalidRequest(message: string): S3Refusal {
  return new S3Refusal(400, 'InvalidRequest', message);
}

export function invalidArgument(message: string): S3Refusal {
  return new S3Refusal(400, 'InvalidArgument', message);
}

export function notImplemented(what: string): S3Refusal {
  return new S3Refusal(501, 'NotImplemented', `The simulator has no ${what}.`);
}

export function malformedXml(): S3Refusal {
  return new S3Refusal(
    400,
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
  );
}
