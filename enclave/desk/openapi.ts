// The OpenAPI document of the API, made from the schemas that judge requests. What the server answers is compared with it in
// a test. Operations inside of envelopes are described beside them: what a proxy sees is an envelope.

import * as z from 'zod';
import * as schemas from './api-schemas.ts';

type Json = Readonly<Record<string, unknown>>;

const COMPONENTS: Readonly<Record<string, z.ZodType>> = {
  Envelope: schemas.envelope,
  SealedAnswer: schemas.sealedAnswer,
  RegisterMetadata: schemas.registerMetadata,
  RegisterPlaintext: schemas.registerPlaintext,
  Registered: schemas.registered,
  OperationMetadata: schemas.operationMetadata,
  OperationPlaintext: schemas.operationPlaintext,
  SummaryAnswer: schemas.summaryAnswer,
  MetricsAnswer: schemas.metricsAnswer,
  TrackAnswer: schemas.trackAnswer,
  RenewBody: schemas.renewBody,
  Renewed: schemas.renewed,
  Revoked: schemas.revoked,
  Error: schemas.failure,
  Health: schemas.health,
  Ready: schemas.ready,
  Quote: schemas.quote,
};

function componentOf(schema: z.ZodType): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' }) as Json;
  void $schema;
  return rest;
}

function json(name: string): Json {
  return { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } };
}

function answers(success: Json, statuses: readonly number[]): Json {
  const failures = statuses.map((status) => [
    String(status),
    { description: 'refused', content: json('Error') },
  ]);
  return { 200: success, ...Object.fromEntries(failures) };
}

function jsonAnswer(name: string, description: string): Json {
  return { description, content: json(name) };
}

function operation(summary: string, responses: Json, extra: Json = {}): Json {
  return { summary, responses, ...extra };
}

const NONCE = {
  name: 'nonce',
  in: 'query',
  required: true,
  description: '16 to 64 bytes in lower-case hex',
  schema: { type: 'string', pattern: '^(?:[0-9a-f]{2}){16,64}$' },
};
const ID = {
  name: 'id',
  in: 'path',
  required: true,
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$' },
};
const PIN = {
  name: 'trackseal-tls-pin',
  in: 'header',
  required: true,
  description: 'SHA-256 of the SPKI of the TLS key that the client has pinned, lower-case hex',
  schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
};

/** A sealed answer also comes with the status of a refusal that was made inside. */
function sealedAnswers(description: string): Json {
  const inside = [401, 403, 409, 410, 502].map((status) => [
    String(status),
    { description: 'refused, inside of the envelope', content: json('SealedAnswer') },
  ]);
  // Refused before or after it was opened.
  const either = [400, 429, 503].map((status) => [
    String(status),
    {
      description: 'refused; sealed when the envelope could be opened',
      content: {
        'application/json': {
          schema: {
            oneOf: ['SealedAnswer', 'Error'].map((name) => ({
              $ref: `#/components/schemas/${name}`,
            })),
          },
        },
      },
    },
  ]);
  return {
    ...answers(jsonAnswer('SealedAnswer', description), [413]),
    ...Object.fromEntries([...inside, ...either]),
  };
}

function enveloped(summary: string, description: string): Json {
  const requestBody = { required: true, content: json('Envelope') };
  return operation(summary, sealedAnswers(description), { requestBody });
}

const document = 'application/cbor';
const bytes = { schema: { type: 'string', format: 'binary' } };

const PINNED_STATUSES = [400, 401, 421, 429, 503];
const REGISTER = enveloped(
  'Register an account: RegisterMetadata, RegisterPlaintext',
  'Registered, or Error, sealed',
);

const PATHS: Readonly<Record<string, Json>> = {
  '/health': { get: operation('State of the enclave', answers(jsonAnswer('Health', 'state'), [])) },
  '/ready': { get: operation('Ready to serve', answers(jsonAnswer('Ready', 'ready'), [503])) },
  '/attestation': {
    get: operation(
      'A fresh attestation document',
      answers({ description: 'the document', content: { [document]: bytes } }, [400, 429, 503]),
      { parameters: [NONCE] },
    ),
  },
  '/attestation/boot': {
    get: operation(
      "The epoch's boot attestation, which results are checked against",
      answers({ description: 'the document', content: { [document]: bytes } }, [503]),
    ),
  },
  '/attestation/quote': {
    get: operation(
      'The same as /attestation, as JSON, for older clients',
      answers(jsonAnswer('Quote', 'document and keys'), [400, 429, 503]),
      { parameters: [NONCE] },
    ),
  },
  '/tls/csr': {
    get: operation(
      'A certificate request for the TLS key of this epoch',
      answers(
        {
          description: 'PKCS #10',
          content: { 'application/pkcs10': { schema: { type: 'string' } } },
        },
        [503],
      ),
    ),
  },
  '/openapi.json': {
    get: operation('This document', { 200: { description: 'OpenAPI 3.1' } }),
  },
  '/enclave/sessions': { post: REGISTER },
  '/enclave/submit_key': { post: { ...REGISTER, deprecated: true } },
  '/enclave/envelopes': {
    post: enveloped(
      'Summary, metrics, track record, renewal or revocation: OperationMetadata, OperationPlaintext',
      'SummaryAnswer, MetricsAnswer, TrackAnswer, Renewed, Revoked or Error, sealed',
    ),
  },
  '/enclave/summary/{id}': {
    get: operation(
      'Signed summary, in clear inside of a pinned TLS connection',
      answers(jsonAnswer('SummaryAnswer', 'signed result'), PINNED_STATUSES),
      { parameters: [ID, PIN], deprecated: true },
    ),
  },
  '/enclave/metrics/{id}': {
    get: operation(
      'Signed result with hours, in clear inside of a pinned TLS connection',
      answers(jsonAnswer('MetricsAnswer', 'signed result'), PINNED_STATUSES),
      { parameters: [ID, PIN], deprecated: true },
    ),
  },
  '/enclave/sessions/{id}/renew': {
    post: operation(
      'Renew a session, pinned',
      answers(jsonAnswer('Renewed', 'renewed'), [...PINNED_STATUSES, 413]),
      {
        parameters: [ID, PIN],
        requestBody: { required: false, content: json('RenewBody') },
        deprecated: true,
      },
    ),
  },
  '/enclave/sessions/{id}': {
    delete: operation(
      'Revoke a session, pinned',
      answers(jsonAnswer('Revoked', 'revoked'), PINNED_STATUSES),
      { parameters: [ID, PIN], deprecated: true },
    ),
  },
};

export function openApiDocument(): Json {
  const components = Object.entries(COMPONENTS).map(
    ([name, schema]) => [name, componentOf(schema)] as const,
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Trackseal enclave',
      version: '1',
      description: 'HTTPS that ends in the enclave; docs/API.md and docs/PROTOCOL.md 12e.',
    },
    paths: PATHS,
    components: { schemas: Object.fromEntries(components) },
  };
}
