// Makes the static half of gRPC from wire/grpc/proto: tables and interfaces of the messages, methods of the services, and the
// descriptors that reflection answers. Run it after a change of a .proto; test/wire/grpc/generated.test.ts says when it was not.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import protobuf from 'protobufjs';
import type { Field, ReflectionObject, Service, Type } from 'protobufjs';
import { renderDescriptors } from './grpc/descriptors.ts';
import type { ProtoFile } from './grpc/proto-files.ts';
import {
  camel,
  entryName,
  enumsIn,
  isMap,
  nameOf,
  ownOf,
  parseAll,
  servicesOf,
  typesIn,
} from './grpc/proto-files.ts';

const OUT: string = fileURLToPath(new URL('../wire/grpc/', import.meta.url));

/** Same messages as v1, byte for byte: only its name differs. */
const ALIAS = 'grpc.reflection.v1alpha';

const SCALARS: ReadonlySet<string> = new Set(['string', 'bytes', 'bool', 'int32', 'int64']);
const TYPES: Readonly<Record<string, string>> = {
  string: 'string',
  bytes: 'Uint8Array',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
};
const PREFIXES: readonly (readonly [string, string])[] = [
  ['grpc.health.v1.', 'Standard'],
  ['grpc.reflection.v1.', ''],
  ['google.rpc.', 'Rpc'],
  ['google.protobuf.', ''],
  ['enclave.', ''],
];

/** `enclave.HealthCheckResponse.Status` → HealthCheckResponseStatus. */
function identifierOf(object: ReflectionObject): string {
  const name = nameOf(object);
  const [start, prefix] = PREFIXES.find(([candidate]) => name.startsWith(candidate)) ?? ['', ''];
  return `${prefix}${name.slice(start.length).replaceAll('.', '')}`;
}

/** A member of a oneof, or `optional`: it is there or not. */
function isOptional(field: Field): boolean {
  return field.partOf !== null && field.partOf !== undefined;
}

interface TableField {
  readonly name: string;
  readonly type: string;
  readonly schema: string;
  readonly label: 'one' | 'optional' | 'repeated';
}

function tableField(field: Field): TableField {
  const name = camel(field.name);
  if (isMap(field)) {
    const entry = `${identifierOf(field.parent as ReflectionObject)}Entry`;
    return { name, type: `readonly ${entry}[]`, schema: `() => ${entry}Schema`, label: 'repeated' };
  }
  const { resolvedType, type } = field;
  const isMessage = resolvedType instanceof protobuf.Type;
  const isEnum = resolvedType instanceof protobuf.Enum;
  if (!isMessage && !isEnum && !SCALARS.has(type)) throw new Error(`${field.fullName}: ${type}`);
  const base = isMessage ? identifierOf(resolvedType) : (TYPES[isEnum ? 'int32' : type] ?? '');
  const schema = isMessage ? `() => ${base}Schema` : `'${isEnum ? 'int32' : type}'`;
  if (field.repeated) return { name, type: `readonly ${base}[]`, schema, label: 'repeated' };
  const optional = isMessage || isOptional(field);
  return {
    name,
    type: optional ? `${base} | null` : base,
    schema,
    label: optional ? 'optional' : 'one',
  };
}

function renderMessage(
  identifier: string,
  name: string,
  fields: readonly (TableField & { readonly number: number })[],
): string {
  const members = fields.map((field) => `readonly ${field.name}: ${field.type};`).join('\n');
  const rows = fields.map(
    (field) =>
      `{ name: '${field.name}', number: ${field.number}, type: ${field.schema}, label: '${field.label}' },`,
  );
  const shape =
    fields.length === 0 ? `Readonly<Record<string, never>>` : `interface ${identifier} {\n`;
  const declared =
    fields.length === 0 ? `export type ${identifier} = ${shape};` : `export ${shape}${members}\n}`;
  return `${declared}
export const ${identifier}Schema: MessageSchema<${identifier}> = {
  name: '${name}',
  fields: [${rows.join('\n')}],
};`;
}

function renderType(type: Type): string {
  const fields = type.fieldsArray.map((field) => ({ ...tableField(field), number: field.id }));
  const entries = type.fieldsArray.filter(isMap).map((field) => {
    const isText = field instanceof protobuf.MapField && field.keyType === 'string';
    if (!isText || field.type !== 'string') throw new Error(field.fullName);
    const text = { type: 'string', schema: `'string'`, label: 'one' } as const;
    return renderMessage(`${identifierOf(type)}Entry`, `${nameOf(type)}.${entryName(field)}`, [
      { ...text, name: 'key', number: 1 },
      { ...text, name: 'value', number: 2 },
    ]);
  });
  return [...entries, renderMessage(identifierOf(type), nameOf(type), fields)].join('\n\n');
}

function renderEnum(object: protobuf.Enum): string {
  const values = Object.entries(object.values).map(([name, value]) => `${name}: ${value},`);
  return `export const ${identifierOf(object)} = {\n${values.join('\n')}\n} as const;`;
}

const BANNER = `// Made by scripts/grpc-codecs.ts from wire/grpc/proto; do not edit.`;

function renderMessages(files: readonly ProtoFile[]): string {
  const objects = files.filter((file) => file.package !== ALIAS).flatMap(ownOf);
  return [
    `${BANNER} Amounts are decimal texts; null: absent.`,
    `import type { MessageSchema } from './protobuf.ts';`,
    ...enumsIn(objects).map(renderEnum),
    ...typesIn(objects).map(renderType),
  ].join('\n\n');
}

function messageOf(type: ReflectionObject | null): string {
  if (!(type instanceof protobuf.Type)) throw new Error('a type that is not there');
  const name = nameOf(type);
  if (!name.startsWith(`${ALIAS}.`)) return identifierOf(type);
  return identifierOf(type.root.lookupType(name.replace(ALIAS, 'grpc.reflection.v1')));
}

const KEYS: Readonly<Record<string, string>> = {
  'enclave.EnclaveService': 'enclave',
  'grpc.health.v1.Health': 'health',
  'grpc.reflection.v1.ServerReflection': 'reflection',
  'grpc.reflection.v1alpha.ServerReflection': 'reflectionAlpha',
};

function renderService(service: Service): string {
  const name = nameOf(service);
  const methods = service.methodsArray.map((method) => {
    const request = messageOf(method.resolvedRequestType);
    const response = messageOf(method.resolvedResponseType);
    const key = `${method.name[0]?.toLowerCase() ?? ''}${method.name.slice(1)}`;
    return {
      type: `readonly ${key}: GrpcMethod<${request}, ${response}>;`,
      value: `${key}: {
    path: '/${name}/${method.name}',
    request: ${request}Schema,
    response: ${response}Schema,
    requestStream: ${String(method.requestStream === true)},
    responseStream: ${String(method.responseStream === true)},
  },`,
    };
  });
  return `export const ${KEYS[name] ?? ''}Service: {
  readonly name: string;
  readonly methods: {
  ${methods.map(({ type }) => type).join('\n')}
  };
} = {
  name: '${name}',
  methods: {
  ${methods.map(({ value }) => value).join('\n')}
  },
};`;
}

function renderServices(files: readonly ProtoFile[]): string {
  const body = servicesOf(files).map(renderService).join('\n\n');
  const schemas = [...new Set(body.match(/\b[A-Za-z]+Schema\b/gu))].toSorted();
  const types = schemas.map((schema) => schema.slice(0, -'Schema'.length));
  return `${BANNER}

import type { ${types.join(', ')} } from './messages.ts';
import { ${schemas.join(', ')} } from './messages.ts';
import type { MessageSchema } from './protobuf.ts';

export interface GrpcMethod<Request, Response> {
  readonly path: string;
  readonly request: MessageSchema<Request>;
  readonly response: MessageSchema<Response>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

${body}`;
}

/** Name of each file in wire/grpc/, and its text. */
export async function makeCodecs(): Promise<ReadonlyMap<string, string>> {
  const files = await parseAll();
  const made = new Map<string, string>([
    ['messages.ts', renderMessages(files)],
    ['services.ts', renderServices(files)],
    ['descriptors.ts', renderDescriptors(files, BANNER)],
  ]);
  const formatted = await Promise.all(
    [...made].map(async ([name, text]): Promise<[string, string]> => [
      name,
      await format(text, { parser: 'typescript', singleQuote: true, printWidth: 100 }),
    ]),
  );
  return new Map(formatted);
}

if (import.meta.main) {
  for (const [name, text] of await makeCodecs()) await writeFile(`${OUT}${name}`, text);
}
