// Pages of ListObjectVersions, newest first per key and with delete markers in a list of their own, as one
// sequence, oldest first per key. The versions of one key are in memory at the same time, up to a bound.

import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import { StoreError } from './store.ts';
import type { ObjectVersion } from './store.ts';

/** Somebody who may write could add versions without end: then the list is refused, as no list of ours. */
const MAX_VERSIONS_OF_KEY = 100_000;

interface Group {
  /** Newest first. */
  readonly versions: ObjectVersion[];
  readonly markers: ObjectVersion[];
}

function addPage(groups: Map<string, Group>, page: ListObjectVersionsCommandOutput): void {
  const add = (
    list: 'versions' | 'markers',
    {
      Key: key,
      VersionId: versionId,
      Size: bytes,
      LastModified: time,
    }: {
      readonly Key?: string | undefined;
      readonly VersionId?: string | undefined;
      readonly Size?: number | undefined;
      readonly LastModified?: Date | undefined;
    },
  ): void => {
    if (key === undefined || versionId === undefined) {
      throw new StoreError('answer_invalid', { reason: 'list without key or version' });
    }
    const group = groups.get(key) ?? { versions: [], markers: [] };
    groups.set(key, group);
    if (group[list].length >= MAX_VERSIONS_OF_KEY) {
      throw new StoreError('answer_invalid', { reason: 'too many versions of one key' });
    }
    const isDeleteMarker = list === 'markers';
    const ordinal = 0;
    const modified = time ?? null;
    group[list].push({ key, versionId, isDeleteMarker, ordinal, bytes: bytes ?? 0, modified });
  };
  for (const version of page.Versions ?? []) add('versions', version);
  for (const marker of page.DeleteMarkers ?? []) add('markers', marker);
}

function time({ modified }: ObjectVersion): number {
  return modified?.getTime() ?? 0;
}

function ordered({ versions, markers }: Group): readonly ObjectVersion[] {
  const all = markers.toReversed();
  // A marker of the same time came later: it hides something.
  for (const [at, version] of versions.toReversed().entries()) {
    all.push({ ...version, ordinal: at + 1 });
  }
  return all.toSorted(
    (a, b) => time(a) - time(b) || Number(a.isDeleteMarker) - Number(b.isDeleteMarker),
  );
}

/** Throws StoreError for an answer without what it must have. */
export async function* groupVersions(
  pages: AsyncIterable<ListObjectVersionsCommandOutput>,
): AsyncGenerator<ObjectVersion> {
  const groups = new Map<string, Group>();
  for await (const page of pages) {
    addPage(groups, page);
    const last = page.IsTruncated === true ? page.NextKeyMarker : undefined;
    // Of the last key there may be more on the next page.
    const whole = [...groups.keys()].filter((key) => key !== last);
    for (const key of whole.toSorted((a, b) => (a < b ? -1 : 1))) {
      const group = groups.get(key);
      groups.delete(key);
      if (group !== undefined) yield* ordered(group);
    }
  }
}
