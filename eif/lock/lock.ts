// eif/image.lock: every input of an image by name, version, size and SHA-256. Whoever has this file and the
// inputs gets the image; nothing that is not listed goes into it. Parsed strictly: the lock names paths that
// are read and written, so a path out of its folder, a missing hash or a name that is there twice is refused.
//
//   {version, debian: {snapshot, packages: [...]}, npm: [...], bundles: [...], files: [...]}

import * as z from 'zod';
import { parseUtf8, utf8 } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MAX_LOCK_BYTES: number = 1024 * 1024;
const MAX_INPUT_BYTES: number = 1024 ** 3;

/** Where a Debian package is needed: several may apply. */
export const PACKAGE_USES = ['toolchain', 'kernel', 'image'] as const;
export type PackageUse = (typeof PACKAGE_USES)[number];

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: 'amd64' | 'all';
  /** In the archive, from its base: `pool/main/…`, or `pool/updates/…` in the security archive. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly use: readonly PackageUse[];
}

/** A file of an npm package, or a folder of it: then `sha256` is of the list of its files. */
export interface LockedNpm {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface LockedFile {
  /** Of a bundle: its name in the image. Of a file: from the root of the repository. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ImageLock {
  readonly version: 1;
  readonly debian: {
    /** A time at which snapshot.debian.org has all packages, `YYYYMMDDTHHMMSSZ`. */
    readonly snapshot: string;
    readonly packages: readonly LockedPackage[];
  };
  readonly npm: readonly LockedNpm[];
  readonly bundles: readonly LockedFile[];
  readonly files: readonly LockedFile[];
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/u);
const bytes = z.int().min(0).max(MAX_INPUT_BYTES);
const name = z.string().regex(/^[a-z0-9][a-z0-9.+-]{0,99}$/u);
const version = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+~:-]{0,99}$/u);

/** Relative, without `.`, `..`, empty parts or anything that a shell or a URL would read otherwise. */
const path = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_@+~:.\-/]+$/u)
  .refine((text) => text.split('/').every((part) => part !== '' && part !== '.' && part !== '..'));

const packagePath = path.refine((text) => text.startsWith('pool/') && text.endsWith('.deb'));
const file = z.strictObject({ path, bytes, sha256 });

const lockSchema: z.ZodType<ImageLock> = z.strictObject({
  version: z.literal(1),
  debian: z.strictObject({
    snapshot: z.string().regex(/^\d{8}T\d{6}Z$/u),
    packages: z
      .array(
        z.strictObject({
          name,
          version,
          architecture: z.enum(['amd64', 'all']),
          path: packagePath,
          bytes,
          sha256,
          use: z.array(z.enum(PACKAGE_USES)).min(1).max(PACKAGE_USES.length),
        }),
      )
      .max(1000),
  }),
  npm: z.array(z.strictObject({ name, version, path, bytes, sha256 })).max(16),
  bundles: z.array(file).max(16),
  files: z.array(file).max(1000),
});

function firstDuplicate(names: readonly string[]): string | null {
  return names.find((one, at) => names.indexOf(one) !== at) ?? null;
}

/** Refuses `lock_malformed`, with the field that is wrong. */
export function parseLock(data: Uint8Array): Result<ImageLock> {
  if (data.length > MAX_LOCK_BYTES) return refuse('lock_malformed', { bytes: data.length });
  let value: unknown;
  try {
    value = JSON.parse(parseUtf8(data) ?? '');
  } catch {
    return refuse('lock_malformed', { what: 'not JSON' });
  }
  const parsed = lockSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return refuse('lock_malformed', {
      field: issue?.path.join('.') ?? '',
      what: issue?.message ?? '',
    });
  }
  const { debian, npm, bundles, files } = parsed.data;
  const lists = [
    debian.packages.map((one) => one.name),
    npm.map((one) => `${one.name}/${one.path}`),
    bundles.map((one) => one.path),
    files.map((one) => one.path),
  ];
  for (const list of lists) {
    const twice = firstDuplicate(list);
    if (twice !== null) return refuse('lock_malformed', { field: twice, what: 'twice' });
  }
  return accept(parsed.data);
}

function list(entries: readonly object[], indent: string): string {
  if (entries.length === 0) return '[]';
  const lines = entries.map((entry) => `${indent}  ${JSON.stringify(entry)}`);
  return `[\n${lines.join(',\n')}\n${indent}]`;
}

/** One input per line, so that a difference shows which ones changed. */
export function encodeLock({ debian, npm, bundles, files }: ImageLock): Uint8Array {
  return utf8(
    [
      '{',
      '  "version": 1,',
      '  "debian": {',
      `    "snapshot": ${JSON.stringify(debian.snapshot)},`,
      `    "packages": ${list(debian.packages, '    ')}`,
      '  },',
      `  "npm": ${list(npm, '  ')},`,
      `  "bundles": ${list(bundles, '  ')},`,
      `  "files": ${list(files, '  ')}`,
      '}',
      '',
    ].join('\n'),
  );
}
