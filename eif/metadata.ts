// The metadata section: JSON about the build, which nothing measures. Fields and their order are those of
// AWS's tool; the build time is a constant, because the same input must give the same file.

import * as z from 'zod';
import { parseUtf8, utf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

/** AWS's tools take no more of a user's own metadata. */
export const MAX_CUSTOM_BYTES = 4096;
const MAX_METADATA_BYTES: number = 1024 * 1024;
const NO_TIME = '1970-01-01T00:00:00.000000000+00:00';

export interface EifMetadata {
  readonly ImageName: string;
  readonly ImageVersion: string;
  readonly BuildMetadata: {
    readonly BuildTime: string;
    readonly BuildTool: string;
    readonly BuildToolVersion: string;
    readonly OperatingSystem: string;
    readonly KernelVersion: string;
  };
  readonly DockerInfo?: unknown;
  readonly CustomMetadata?: unknown;
}

const schema: z.ZodType<EifMetadata> = z.looseObject({
  ImageName: z.string(),
  ImageVersion: z.string(),
  BuildMetadata: z.looseObject({
    BuildTime: z.string(),
    BuildTool: z.string(),
    BuildToolVersion: z.string(),
    OperatingSystem: z.string(),
    KernelVersion: z.string(),
  }),
  DockerInfo: z.unknown(),
  CustomMetadata: z.unknown(),
});

export interface MetadataInput {
  readonly imageName: string;
  readonly imageVersion: string;
  readonly kernelVersion: string;
  readonly toolVersion: string;
  /** What the image was built from; at most 4,096 bytes as JSON. */
  readonly custom: Readonly<Record<string, unknown>>;
}

/** Throws a RangeError when the custom part is too large. */
export function encodeMetadata(input: MetadataInput): Uint8Array {
  const { imageName, imageVersion, kernelVersion, toolVersion, custom } = input;
  if (utf8(JSON.stringify(custom)).length > MAX_CUSTOM_BYTES) {
    throw new RangeError(`custom metadata has at most ${String(MAX_CUSTOM_BYTES)} bytes`);
  }
  return utf8(
    JSON.stringify({
      ImageName: imageName,
      ImageVersion: imageVersion,
      BuildMetadata: {
        BuildTime: NO_TIME,
        BuildTool: 'trackseal',
        BuildToolVersion: toolVersion,
        OperatingSystem: 'Linux',
        KernelVersion: kernelVersion,
      },
      DockerInfo: null,
      CustomMetadata: custom,
    }),
  );
}

/** Refuses `eif_metadata`. Unknown fields are kept: the section is for people, and measured by nothing. */
export function parseMetadata(data: Uint8Array): Result<EifMetadata> {
  if (data.length > MAX_METADATA_BYTES) return refuse('eif_metadata', { bytes: data.length });
  const text = parseUtf8(data);
  if (text === null) return refuse('eif_metadata', { why: 'not UTF-8' });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('eif_metadata', { why: 'not JSON' });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return accept(parsed.data);
  return refuse('eif_metadata', { field: parsed.error.issues[0]?.path.join('.') ?? '' });
}
