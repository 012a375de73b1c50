// The .proto files of gRPC as protobufjs reads them, and what they are called.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { Field, Namespace, ReflectionObject, Service, Type } from 'protobufjs';

const PROTO: string = fileURLToPath(new URL('../../wire/grpc/proto/', import.meta.url));

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

export interface ProtoFile {
  readonly name: string;
  readonly root: Namespace;
  readonly imports: readonly string[];
  readonly package: string;
}

export async function parseAll(): Promise<readonly ProtoFile[]> {
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

export function ownOf({ root, name }: ProtoFile): readonly ReflectionObject[] {
  return root.nestedArray.filter(({ filename }) => filename === name);
}

export function typesIn(objects: readonly ReflectionObject[]): readonly Type[] {
  return objects.flatMap((object) =>
    object instanceof protobuf.Type ? [object, ...typesIn(object.nestedArray)] : [],
  );
}

export function enumsIn(objects: readonly ReflectionObject[]): readonly protobuf.Enum[] {
  return objects.flatMap((object) => {
    if (object instanceof protobuf.Enum) return [object];
    return object instanceof protobuf.Type ? enumsIn(object.nestedArray) : [];
  });
}

export function nameOf(object: ReflectionObject): string {
  return object.fullName.slice(1);
}

export function servicesOf(files: readonly ProtoFile[]): readonly Service[] {
  return files
    .flatMap(ownOf)
    .filter((object): object is Service => object instanceof protobuf.Service);
}

export function camel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/gu, (_, letter: string) => letter.toUpperCase());
}

export function isMap(field: Field): boolean {
  return field.map;
}

/** Of the message that an entry of a map is. */
export function entryName(field: Field): string {
  const name = camel(field.name);
  return `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}Entry`;
}
