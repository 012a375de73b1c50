import { readFile } from 'node:fs/promises';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { describe, expect, it } from 'vitest';
import { makeCodecs } from '../../../scripts/grpc-codecs.ts';
import { PROTO_FILES } from '../../../scripts/grpc/proto-files.ts';
import { FILE_DESCRIPTORS, SERVICE_NAMES } from '../../../wire/grpc/descriptors.ts';
import * as messages from '../../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../../wire/grpc/protobuf.ts';
import { protoNameOf } from '../../../wire/grpc/protobuf.ts';
import { enclaveService } from '../../../wire/grpc/services.ts';

const FOLDER = new URL('../../../wire/grpc/', import.meta.url);

function isSchema(value: unknown): value is MessageSchema {
  return typeof value === 'object' && value !== null && 'fields' in value;
}

function descriptorSet(): Buffer {
  const type = descriptor.FileDescriptorSet;
  const file = FILE_DESCRIPTORS.map(({ base64 }) =>
    descriptor.FileDescriptorProto.decode(Buffer.from(base64, 'base64')),
  );
  return Buffer.from(type.encode(type.fromObject({ file })).finish());
}

describe('what scripts/grpc-codecs.ts made', () => {
  it('is what it makes now: run it after a change of a .proto', async () => {
    const made = await makeCodecs();
    expect(made.size).toBe(3);
    for (const [name, text] of made) {
      expect(await readFile(new URL(name, FOLDER), 'utf8'), name).toBe(text);
    }
  });

  it('descriptors say what the files say, as another library reads both', async () => {
    const fromText = new protobuf.Root();
    for (const name of PROTO_FILES) {
      const text = await readFile(new URL(`proto/${name}`, FOLDER), 'utf8');
      protobuf.parse(text, fromText, { keepCase: true });
    }
    fromText.resolveAll();
    const loaded = loadFileDescriptorSetFromBuffer(descriptorSet(), { keepCase: true });
    for (const name of SERVICE_NAMES) expect(Object.keys(loaded)).toContain(name);
    const methods = loaded['enclave.EnclaveService'];
    expect(Object.keys(methods ?? {})).toEqual(
      Object.keys(enclaveService.methods).map(
        (name) => `${name[0]?.toUpperCase()}${name.slice(1)}`,
      ),
    );
    const types = FILE_DESCRIPTORS.flatMap(({ symbols }) => symbols).flatMap((symbol) => {
      const found = fromText.lookup(symbol);
      return found instanceof protobuf.Type ? [found] : [];
    });
    expect(types.length).toBeGreaterThan(40);
    for (const type of types) {
      const other = loaded[type.fullName.slice(1)];
      const fields = (other as { type?: { field?: { name: string; number: number }[] } }).type;
      const pairs = fields?.field?.map(({ name, number }) => [name, number]);
      expect(pairs, type.fullName).toEqual(type.fieldsArray.map(({ name, id }) => [name, id]));
    }
  });

  it('fields that are refused have the names that they have in the files', async () => {
    const files = new protobuf.Root();
    for (const name of PROTO_FILES) {
      const text = await readFile(new URL(`proto/${name}`, FOLDER), 'utf8');
      protobuf.parse(text, files, { keepCase: true });
    }
    // An entry of a map is a type of the library's own.
    const schemas = Object.values<unknown>({ ...messages })
      .filter(isSchema)
      .filter(({ name }) => !name.endsWith('Entry'));
    expect(schemas.length).toBeGreaterThan(20);
    for (const { name, fields } of schemas) {
      const known = files.lookupType(name).fieldsArray.map((field) => field.name);
      expect(known, name).toEqual(
        expect.arrayContaining(fields.map((one) => protoNameOf(one.name))),
      );
    }
  });
});

describe('numbers of the service that ours follows', () => {
  // Name and number of each; doubles became texts, nothing moved.
  const FACTS: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
    SyncJobRequest: [
      ['user_uid', 1],
      ['exchange', 2],
      ['type', 3],
      ['start_date', 4],
      ['end_date', 5],
    ],
    SyncJobResponse: [
      ['success', 1],
      ['user_uid', 2],
      ['exchange', 3],
      ['synced', 4],
      ['hourly_returns_generated', 5],
      ['latest_snapshot', 6],
    ],
    Snapshot: [
      ['balance', 1],
      ['equity', 2],
      ['timestamp', 3],
    ],
    HistoricalReturnsRequest: [
      ['user_uid', 1],
      ['start_date', 2],
      ['end_date', 3],
      ['exchange', 4],
    ],
    HistoricalReturnsResponse: [
      ['success', 1],
      ['returns', 2],
    ],
    Return: [
      ['period', 1],
      ['net_return', 2],
      ['percentage_return', 3],
      ['balance', 4],
    ],
    AggregatedMetricsRequest: [
      ['user_uid', 1],
      ['exchange', 2],
    ],
    AggregatedMetricsResponse: [
      ['total_balance', 1],
      ['total_equity', 2],
      ['total_realized_pnl', 3],
      ['total_unrealized_pnl', 4],
      ['total_fees', 5],
      ['total_trades', 6],
      ['last_sync', 7],
    ],
    SnapshotTimeSeriesRequest: [
      ['user_uid', 1],
      ['exchange', 2],
      ['start_date', 3],
      ['end_date', 4],
    ],
    SnapshotTimeSeriesResponse: [['snapshots', 1]],
    DailySnapshot: [
      ['user_uid', 1],
      ['exchange', 2],
      ['timestamp', 3],
      ['total_equity', 4],
      ['realized_balance', 5],
      ['unrealized_pnl', 6],
      ['deposits', 7],
      ['withdrawals', 8],
      ['breakdown', 9],
    ],
    MarketBreakdown: [
      ['global', 1],
      ['spot', 2],
      ['swap', 3],
      ['options', 4],
      ['stocks', 5],
      ['futures', 6],
      ['cfd', 7],
      ['forex', 8],
      ['commodities', 9],
    ],
    MarketMetrics: [
      ['equity', 1],
      ['available_margin', 2],
      ['volume', 3],
      ['trades', 4],
      ['trading_fees', 5],
      ['funding_fees', 6],
    ],
    HealthCheckResponse: [
      ['status', 1],
      ['enclave', 2],
      ['version', 3],
      ['uptime', 4],
    ],
  };

  it.each(Object.entries(FACTS))('%s', async (name, fields) => {
    const root = new protobuf.Root();
    const text = await readFile(new URL('proto/enclave.proto', FOLDER), 'utf8');
    protobuf.parse(text, root, { keepCase: true });
    const type = root.lookupType(`enclave.${name}`);
    for (const [field, number] of fields) expect(type.fields[field]?.id, field).toBe(number);
    // Ours do not sit in between.
    const followed = new Set(fields.map(([field]) => field));
    const ours = type.fieldsArray.filter((field) => !followed.has(field.name));
    expect(ours.filter(({ id }) => id < 10)).toEqual([]);
    expect(type.fieldsArray.filter((field) => /double|float/u.test(field.type))).toEqual([]);
  });
});
