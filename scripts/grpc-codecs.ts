// Makes the static half of gRPC from wire/grpc/proto: tables and interfaces of the messages, methods of the services, and the
// descriptors that reflection answers. Run it after a change of a .proto; test/wire/grpc/generated.test.ts says when it was not.

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import protobuf from 'protobufjs';
import type { Field, Namespace, ReflectionObject, Service, Type } from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

const PROTO: string = fileURLToPath(new URL('../wire/grpc/proto/', import.meta.url));
const OUT: string = fileURLToPath(new URL('../wire/grpc/', import.meta.url));

/** In the order in which one may import another. */
export const PROTO_FILES: readonly string[] = [
  'enclave.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
  'google/protobuf/any.proto',
  'google/rpc/status.proto',
  'google/rpc/error_details.proto',
];

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
/** google.protobuf.FieldDescriptorProto.Type. */
const DESCRIPTOR_TYPES: Readonly<Record<string, number>> = {
  int64: 3,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  bytes: 12,
  enum: 14,
};
const LABEL = { optional: 1, repeated: 3 };

interface ProtoFile {
  readonly name: string;
  readonly root: Namespace;
  readonly imports: readonly string[];
  readonly package: string;
}

async function parseAll(): Promise<readonly ProtoFile[]> {
  const root = new protobuf.Root();
  const files: ProtoFile[] = [];
  for (const name of PROTO_FILES) {
    const text = await readFile(`${PROTO}${name}`, 'utf8');
    const parsed = protobuf.parse(text, root, { keepCase: true });
    const inPackage = root.lookup(parsed.package ?? '');
    if (!(inPackage instanceof protobuf.Namespace)) throw new Error(`${name}: no package`);
    files.push({
      name,
      // Two files share google.rpc: what a file has is found by its text.
      root: inPackage,
      imports: parsed.imports ?? [],
      package: parsed.package ?? '',
    });
    for (const nested of inPackage.nestedArray) nested.filename ??= name;
  }
  root.resolveAll();
  return files;
}

function ownOf({ root, name }: ProtoFile): readonly ReflectionObject[] {
  return root.nestedArray.filter(({ filename }) => filename === name);
}

function typesIn(objects: readonly ReflectionObject[]): readonly Type[] {
  return objects.flatMap((object) =>
    object instanceof protobuf.Type ? [object, ...typesIn(object.nestedArray)] : [],
  );
}

function enumsIn(objects: readonly ReflectionObject[]): readonly protobuf.Enum[] {
  return objects.flatMap((object) => {
    if (object instanceof protobuf.Enum) return [object];
    return object instanceof protobuf.Type ? enumsIn(object.nestedArray) : [];
  });
}

function nameOf(object: ReflectionObject): string {
  return object.fullName.slice(1);
}

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

function camel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/gu, (_, letter: string) => letter.toUpperCase());
}

function isMap(field: Field): boolean {
  return field.map;
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

function servicesOf(files: readonly ProtoFile[]): readonly Service[] {
  return files
    .flatMap(ownOf)
    .filter((object): object is Service => object instanceof protobuf.Service);
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

function entryName(field: Field): string {
  const name = camel(field.name);
  return `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}Entry`;
}

function fieldDescriptor(field: Field, oneofs: readonly protobuf.OneOf[]): object {
  const { resolvedType } = field;
  const kind =
    isMap(field) || resolvedType instanceof protobuf.Type
      ? 'message'
      : resolvedType instanceof protobuf.Enum
        ? 'enum'
        : field.type;
  const typeName = isMap(field)
    ? `${(field.parent as ReflectionObject).fullName}.${entryName(field)}`
    : resolvedType?.fullName;
  const index = oneofs.findIndex((oneof) => oneof === field.partOf);
  const presence = field.partOf?.isProto3Optional === true;
  return {
    name: field.name,
    number: field.id,
    label: isMap(field) || field.repeated ? LABEL.repeated : LABEL.optional,
    type: DESCRIPTOR_TYPES[kind],
    ...(typeName === undefined ? {} : { typeName }),
    ...(index === -1 ? {} : { oneofIndex: index }),
    jsonName: camel(field.name),
    ...(presence ? { proto3Optional: true } : {}),
  };
}

function entryDescriptor(field: Field): object {
  const text = { label: LABEL.optional, type: DESCRIPTOR_TYPES['string'] };
  return {
    name: entryName(field),
    field: [
      { ...text, name: 'key', number: 1, jsonName: 'key' },
      { ...text, name: 'value', number: 2, jsonName: 'value' },
    ],
    options: { mapEntry: true },
  };
}

function enumDescriptor({ name, values }: protobuf.Enum): object {
  return {
    name,
    value: Object.entries(values).map(([value, number]) => ({ name: value, number })),
  };
}

function messageDescriptor(type: Type): object {
  // Those of `optional` come last, as protoc has them.
  const oneofs = type.oneofsArray.toSorted(
    (a, b) => Number(a.isProto3Optional) - Number(b.isProto3Optional),
  );
  const reserved = type.reserved ?? [];
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => fieldDescriptor(field, oneofs)),
    nestedType: [
      ...type.fieldsArray.filter(isMap).map(entryDescriptor),
      ...type.nestedArray.flatMap((nested) =>
        nested instanceof protobuf.Type ? [messageDescriptor(nested)] : [],
      ),
    ],
    enumType: type.nestedArray.flatMap((nested) =>
      nested instanceof protobuf.Enum ? [enumDescriptor(nested)] : [],
    ),
    oneofDecl: oneofs.map(({ name }) => ({ name })),
    reservedRange: reserved.flatMap((range) =>
      typeof range === 'string' ? [] : [{ start: range[0], end: (range[1] ?? 0) + 1 }],
    ),
    reservedName: reserved.filter((range) => typeof range === 'string'),
  };
}

/** What protoc would make, without source positions. */
function fileDescriptor(file: ProtoFile): Uint8Array {
  const own = ownOf(file);
  const type = descriptor.FileDescriptorProto;
  const message = type.fromObject({
    name: file.name,
    package: file.package,
    dependency: file.imports,
    messageType: own.flatMap((object) =>
      object instanceof protobuf.Type ? [messageDescriptor(object)] : [],
    ),
    enumType: own.flatMap((object) =>
      object instanceof protobuf.Enum ? [enumDescriptor(object)] : [],
    ),
    service: own.flatMap((object) =>
      object instanceof protobuf.Service
        ? [
            {
              name: object.name,
              method: object.methodsArray.map((method) => ({
                name: method.name,
                inputType: method.resolvedRequestType?.fullName,
                outputType: method.resolvedResponseType?.fullName,
                ...(method.requestStream === true ? { clientStreaming: true } : {}),
                ...(method.responseStream === true ? { serverStreaming: true } : {}),
              })),
            },
          ]
        : [],
    ),
    syntax: 'proto3',
  });
  return type.encode(message).finish();
}

function renderDescriptors(files: readonly ProtoFile[]): string {
  const rows = files.map((file) => {
    const own = ownOf(file);
    const methods = own.flatMap((object) =>
      object instanceof protobuf.Service ? object.methodsArray.map(nameOf) : [],
    );
    const symbols = [...own, ...typesIn(own), ...enumsIn(own)].map(nameOf);
    const bytes = Buffer.from(fileDescriptor(file)).toString('base64');
    return `{
      name: '${file.name}',
      imports: ${JSON.stringify(file.imports)},
      symbols: ${JSON.stringify([...new Set([...symbols, ...methods])])},
      base64: '${bytes}',
    },`;
  });
  return `${BANNER} google.protobuf.FileDescriptorProto of each file.

export interface FileDescriptor {
  readonly name: string;
  /** Names of files that it needs. */
  readonly imports: readonly string[];
  readonly symbols: readonly string[];
  readonly base64: string;
}

export const FILE_DESCRIPTORS: readonly FileDescriptor[] = [${rows.join('\n')}];

export const SERVICE_NAMES: readonly string[] = ${JSON.stringify(servicesOf(files).map(nameOf))};`;
}

/** Name of each file in wire/grpc/, and its text. */
export async function makeCodecs(): Promise<ReadonlyMap<string, string>> {
  const files = await parseAll();
  const made = new Map<string, string>([
    ['messages.ts', renderMessages(files)],
    ['services.ts', renderServices(files)],
    ['descriptors.ts', renderDescriptors(files)],
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
