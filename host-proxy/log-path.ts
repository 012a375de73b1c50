// Which paths of the log folder are served: patterns on the path as it was sent, without any decoding, so
// that dots, backslashes, encoded bytes and double slashes match nothing and no path leaves the folder.

export type LogPath =
  | {
      readonly type: 'file';
      readonly path: string;
      readonly contentType: string;
      readonly immutable: boolean;
    }
  | { readonly type: 'epochs' }
  | { readonly type: 'commits'; readonly epoch: string };

const EPOCH = '[0-9]{10}';
/** `x001/x234/067`, optionally `.p/<W>` with W from 1 to 255. */
const NUMBER = '(?:x[0-9]{3}/){0,5}[0-9]{3}(?:\\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?';
const IMMUTABLE: readonly RegExp[] = [
  new RegExp(`^/epochs/${EPOCH}/tile/(?:[0-9]|[1-5][0-9]|6[0-3])/${NUMBER}$`, 'u'),
  new RegExp(`^/epochs/${EPOCH}/tile/entries/${NUMBER}$`, 'u'),
  new RegExp(`^/epochs/${EPOCH}/commits/[0-9]{20}-[0-9]{20}$`, 'u'),
  /^\/blobs\/[0-9a-f]{64}$/u,
];
const CHECKPOINT = new RegExp(`^/epochs/${EPOCH}/checkpoint$`, 'u');
const COMMITS = new RegExp(`^/epochs/(${EPOCH})/commits/?$`, 'u');
const MAX_PATH_CHARACTERS = 128;

/** Null for everything that is not served. */
export function parseLogPath(path: string): LogPath | null {
  if (path.length > MAX_PATH_CHARACTERS) return null;
  if (path === '/epochs' || path === '/epochs/') return { type: 'epochs' };
  if (CHECKPOINT.test(path)) {
    return { type: 'file', path, contentType: 'text/plain; charset=utf-8', immutable: false };
  }
  if (IMMUTABLE.some((pattern) => pattern.test(path))) {
    return { type: 'file', path, contentType: 'application/octet-stream', immutable: true };
  }
  const epoch = COMMITS.exec(path)?.[1];
  return epoch === undefined ? null : { type: 'commits', epoch };
}
