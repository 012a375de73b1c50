// grpc.reflection, v1 and v1alpha (the same messages): what services there are, from descriptors that were made at build time.
// It says what wire/grpc/proto says, to whoever has a certificate.

import type { ServerDuplexStream } from '@grpc/grpc-js';
import { parseBase64 } from '../../../wire/bytes.ts';
import type { FileDescriptor } from '../../../wire/grpc/descriptors.ts';
import { FILE_DESCRIPTORS, SERVICE_NAMES } from '../../../wire/grpc/descriptors.ts';
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../../wire/grpc/messages.ts';
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../../wire/grpc/messages.ts';
import { decodeMessage, encodeMessage } from '../../../wire/grpc/protobuf.ts';
import type { Refusal } from '../../../wire/result.ts';
import type { Guard } from '../../fatal.ts';
import { MAX_REFLECTION_QUESTIONS, MAX_REQUEST_BYTES } from './limits.ts';
import { failureOf } from './status.ts';

const NOT_FOUND = { errorCode: 5, errorMessage: 'not found' };
/** proto3 has no extensions. */
const NO_EXTENSIONS = { errorCode: 5, errorMessage: 'there are no extensions' };
const NO_QUESTION = { errorCode: 3, errorMessage: 'no question' };

/** The file and what it imports, before it. */
function withImports(file: FileDescriptor): readonly FileDescriptor[] {
  const imports = FILE_DESCRIPTORS.filter(({ name }) => file.imports.includes(name));
  return [...imports.flatMap(withImports), file];
}

type Said = Omit<ServerReflectionResponse, 'validHost' | 'originalRequest'>;

const SILENCE: Said = {
  fileDescriptorResponse: null,
  allExtensionNumbersResponse: null,
  listServicesResponse: null,
  errorResponse: null,
};

function filesOf(file: FileDescriptor | undefined): Said {
  if (file === undefined) return { ...SILENCE, errorResponse: NOT_FOUND };
  const bytes = withImports(file).map(({ base64 }) => parseBase64(base64) ?? new Uint8Array(0));
  return { ...SILENCE, fileDescriptorResponse: { fileDescriptorProto: [...new Set(bytes)] } };
}

function say(request: ServerReflectionRequest): Said {
  const { fileByFilename, fileContainingSymbol, listServices } = request;
  if (listServices !== null) {
    const service = SERVICE_NAMES.map((name) => ({ name }));
    return { ...SILENCE, listServicesResponse: { service } };
  }
  if (fileByFilename !== null) {
    return filesOf(FILE_DESCRIPTORS.find(({ name }) => name === fileByFilename));
  }
  if (fileContainingSymbol !== null) {
    return filesOf(FILE_DESCRIPTORS.find(({ symbols }) => symbols.includes(fileContainingSymbol)));
  }
  const asksForExtensions =
    request.fileContainingExtension !== null || request.allExtensionNumbersOfType !== null;
  return { ...SILENCE, errorResponse: asksForExtensions ? NO_EXTENSIONS : NO_QUESTION };
}

export function reflect(request: ServerReflectionRequest): ServerReflectionResponse {
  return { validHost: request.host, originalRequest: request, ...say(request) };
}

type Call = ServerDuplexStream<Uint8Array, Uint8Array>;

export function reflection(guard: Guard): (call: Call) => void {
  return (call) => {
    void guard.runAsync(() => answerAll(call));
  };
}

async function answerAll(call: Call): Promise<void> {
  let questions = 0;
  let refusal: Refusal | null = null;
  const gone = new Promise<void>((resolve) => {
    call.once('cancelled', resolve);
    call.once('close', resolve);
  });
  // One after the other: the next question is read when the answer has gone.
  for await (const bytes of readAll(call)) {
    questions++;
    const request = decodeMessage(ServerReflectionRequestSchema, bytes, MAX_REQUEST_BYTES);
    if (!request.ok || questions > MAX_REFLECTION_QUESTIONS) {
      refusal = request.ok ? { code: 'call_limit', detail: {} } : request.refusal;
      break;
    }
    const answer = encodeMessage(ServerReflectionResponseSchema, reflect(request.value));
    if (!call.write(answer)) {
      await Promise.race([new Promise((resolve) => call.once('drain', resolve)), gone]);
    }
  }
  if (refusal === null) call.end();
  else call.emit('error', failureOf(refusal));
}

async function* readAll(call: Call): AsyncGenerator<Uint8Array> {
  try {
    // By default the end of the questions would destroy the way of the answers.
    const questions = call.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    for await (const bytes of questions) yield bytes;
  } catch {
    // The client has gone; there is nobody to tell.
  }
}
