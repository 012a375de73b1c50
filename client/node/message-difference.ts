// The first field in which a message that is shown differs from the one that it has to be. Both are walked by the table of the
// message, so that no field of it is left out.

import { equalBytes } from '../../wire/bytes.ts';
import type { FieldSchema, MessageSchema } from '../../wire/grpc/protobuf.ts';
import { protoNameOf } from '../../wire/grpc/protobuf.ts';

function isMessage(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isSame(signed: unknown, shown: unknown): boolean {
  const isBytes = signed instanceof Uint8Array && shown instanceof Uint8Array;
  return isBytes ? equalBytes(signed, shown) : signed === shown;
}

/** Behind the name of the field: empty where the value itself differs, null where nothing does. */
function valueDifference(
  type: FieldSchema['type'],
  signed: unknown,
  shown: unknown,
): string | null {
  const isInner = typeof type === 'function' && isMessage(signed) && isMessage(shown);
  if (!isInner) return isSame(signed, shown) ? null : '';
  const inner = differenceOf(type(), signed, shown);
  return inner === null ? null : `.${inner}`;
}

/** Name of the first field that differs, as the proto has it, behind those that it is in; null: none. */
export function differenceOf<Message extends object>(
  { fields }: MessageSchema<Message>,
  signed: Message,
  shown: Message,
): string | null {
  for (const { name, type, label } of fields) {
    const [owns = [], others = []] = [signed, shown].map((message) => {
      const value = Reflect.get(message, name) as unknown;
      return label === 'repeated' ? (value as readonly unknown[]) : [value];
    });
    const what = protoNameOf(name);
    if (owns.length !== others.length) return what;
    for (const [at, own] of owns.entries()) {
      const found = valueDifference(type, own, others[at]);
      if (found !== null) return what + found;
    }
  }
  return null;
}
