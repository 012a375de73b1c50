// google.protobuf.FileDescriptorProto of each file, as reflection answers it.

import protobuf from 'protobufjs';
import type { Field, ReflectionObject, Type } from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import type { ProtoFile } from './proto-files.ts';
import {
  camel,
  entryName,
  enumsIn,
  isMap,
  nameOf,
  ownOf,
  servicesOf,
  typesIn,
} from './proto-files.ts';

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

export function renderDescriptors(files: readonly ProtoFile[], banner: string): string {
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
  return `${banner} google.protobuf.FileDescriptorProto of each file.

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
