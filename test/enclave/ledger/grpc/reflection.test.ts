import { spawnSync } from 'node:child_process';
import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_REFLECTION_QUESTIONS } from '../../../../enclave/ledger/grpc/limits.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { call, failureOf, openGrpcScene } from '../../../helpers/grpc-scene.ts';

let scene: GrpcScene;

beforeAll(async () => {
  scene = await openGrpcScene();
});

afterAll(() => scene.close());

interface Answer {
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Buffer[] };
  readonly error_response?: { readonly error_code: number };
  readonly original_request?: object;
}

type Stream = ClientDuplexStream<object, Answer>;

function openStream(version: 'v1' | 'v1alpha'): Stream {
  const file = `grpc/reflection/${version}/reflection.proto`;
  const client = scene.client(file, `grpc.reflection.${version}.ServerReflection`);
  const info = Reflect.get(client, 'ServerReflectionInfo') as () => Stream;
  const stream = info.call(client);
  stream.on('error', () => undefined);
  return stream;
}

async function askAll(stream: Stream, questions: readonly object[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const question of questions) stream.write(question);
  stream.end();
  for await (const answer of stream as AsyncIterable<Answer>) answers.push(answer);
  return answers;
}

function filesOf(answer: Answer | undefined): readonly Buffer[] {
  return answer?.file_descriptor_response?.file_descriptor_proto ?? [];
}

describe.each(['v1', 'v1alpha'] as const)('grpc.reflection.%s', (version) => {
  it('lists the services', async () => {
    const [answer] = await askAll(openStream(version), [{ list_services: '*' }]);
    expect(answer?.list_services_response?.service.map(({ name }) => name)).toEqual([
      'enclave.EnclaveService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
  });

  it('a client that knows nothing but the address calls a method', async () => {
    const stream = openStream(version);
    const [answer] = await askAll(stream, [{ file_containing_symbol: 'enclave.EnclaveService' }]);
    const set = descriptor.FileDescriptorSet;
    const file = filesOf(answer).map((bytes) => descriptor.FileDescriptorProto.decode(bytes));
    const bytes = Buffer.from(set.encode(set.fromObject({ file })).finish());
    const loaded = loadPackageDefinition(
      loadFileDescriptorSetFromBuffer(bytes, { keepCase: true }),
    );
    const { EnclaveService } = loaded['enclave'] as unknown as Readonly<
      Record<string, new (address: string, secure: unknown) => Client>
    >;
    if (EnclaveService === undefined) throw new Error('no service');
    const client = new EnclaveService(scene.address, credentials.createInsecure());
    const metrics = await call(client, 'GetAggregatedMetrics', { user_uid: 'u' });
    expect(metrics).toMatchObject({ total_equity: '26012.5' });
    client.close();
  });

  it('finds files by name, by message, by method, with what they import; and says what there is not', async () => {
    const answers = await askAll(openStream(version), [
      { file_by_filename: 'google/rpc/status.proto' },
      { file_containing_symbol: 'enclave.EnclaveService.HealthCheck' },
      { file_containing_symbol: 'enclave.HealthCheckResponse.Status' },
      { file_by_filename: '../../etc/passwd' },
      { file_containing_symbol: '__proto__' },
      { all_extension_numbers_of_type: 'enclave.Return' },
      { file_containing_extension: { containing_type: 'enclave.Return', extension_number: 1 } },
      {},
    ]);
    expect(answers.map((answer) => filesOf(answer).length)).toEqual([2, 1, 1, 0, 0, 0, 0, 0]);
    expect(answers.map(({ error_response }) => error_response?.error_code)).toEqual([
      undefined,
      undefined,
      undefined,
      5,
      5,
      5,
      5,
      3,
    ]);
  });
});

function questions(count: number): readonly object[] {
  return Array.from({ length: count }, () => ({ list_services: '' }));
}

it(`${MAX_REFLECTION_QUESTIONS} questions of one stream are answered, and not one more`, async () => {
  const answers = await askAll(openStream('v1'), questions(MAX_REFLECTION_QUESTIONS));
  expect(answers).toHaveLength(MAX_REFLECTION_QUESTIONS);
  const failure = await failureOf(
    askAll(openStream('v1'), questions(MAX_REFLECTION_QUESTIONS + 1)),
  );
  expect(failure).toMatchObject({ status: 8, code: 'call_limit' });
});

function run(source: string): string {
  const flags = ['--disallow-code-generation-from-strings', '--input-type=module', '-e'];
  const cwd = new URL('../../../../', import.meta.url);
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, source], { cwd });
  return `${stdout.toString()}${stderr.toString()}`;
}

// docs/decisions/0022-grpc-without-code-generation.md: the enclave's programs run with this flag.
describe('without code generation', () => {
  it('our codecs and grpc-js work: a call is answered', () => {
    const said = run(`
      const { askOnce } = await import('./test/helpers/grpc-bare.ts');
      console.log('SERVING', await askOnce());
    `);
    expect(said).toContain('SERVING 1');
  });

  it('protobufjs by reflection does not, nor does what is built on it: proto-loader cannot even be loaded', () => {
    const reflection = run(`
      import protobuf from 'protobufjs';
      const { root } = protobuf.parse('syntax = "proto3"; message A { string a = 1; }');
      root.lookupType('A').encode({ a: 'x' });
    `);
    expect(reflection).toContain('EvalError');
    expect(run(`await import('@grpc/proto-loader');`)).toContain('EvalError');
  });
});
