// What a log folder says of signed statements: the result key in leaf 0 of each epoch, and the leaf that holds a statement.
// The folder is believed as it is; `trackseal verify log` and `verify record` judge it, with what attests the key.

import type { WireCrypto } from '../../wire/crypto.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { parseOrigin } from '../../wire/header.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import type { Ed25519Verifier } from '../../wire/node/ed25519.ts';
import { ed25519Verifier } from '../../wire/node/ed25519.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import { encodeTrackLeaf, trackDomainOf, trackSignedBytes } from '../../wire/track/statement.ts';
import { EpochFolder } from '../epoch-folder.ts';
import type { Files } from '../files.ts';
import { FolderReader } from '../folder-reader.ts';
import { claimedSize, MAX_CHECKPOINT_BYTES, readHeader } from '../previous.ts';

interface KnownEpoch {
  readonly epoch: number;
  readonly verify: Ed25519Verifier;
}

interface OpenEpoch {
  readonly epoch: number;
  readonly size: number;
  readonly leaves: FolderReader;
}

export type LeafVerdict = 'there' | 'unpublished' | 'record_unlogged';

export class LogKeys {
  readonly #files: Files;
  readonly #crypto: WireCrypto;
  readonly #folder: string;
  readonly #epochs = new Map<string, KnownEpoch | null>();
  #reader: OpenEpoch | null = null;

  constructor(files: Files, crypto: WireCrypto, folder: string) {
    this.#files = files;
    this.#crypto = crypto;
    this.#folder = folder;
  }

  /** Origins whose key was found. */
  get origins(): readonly string[] {
    return [...this.#epochs].flatMap(([origin, known]) => (known === null ? [] : [origin]));
  }

  /** Null: signed by the key of its epoch. `record_unattested`: the folder has no such epoch with a key. */
  refusalOf(signed: SignedStatement): 'record_unattested' | 'record_signature' | null {
    const { statement, signature, origin, leafIndex, position } = signed;
    const known = this.#epochOf(origin);
    if (known === null) return 'record_unattested';
    const domain = trackDomainOf(statement) ?? '';
    const bytes = trackSignedBytes(domain, leafIndex, position, statement);
    return known.verify(bytes, signature) ? null : 'record_signature';
  }

  /** Whether a leaf consists of these statements of one account; behind the head of a running log it is unpublished. */
  leafOf(origin: string, leafIndex: number, group: readonly SignedStatement[]): LeafVerdict {
    const known = this.#epochOf(origin);
    if (known === null) return 'record_unlogged';
    const salt = group[0]?.leafSalt ?? new Uint8Array();
    // Whoever reads one row opens the leaf with the salt in it.
    if (group.some(({ leafSalt }) => !equalBytes(leafSalt, salt))) return 'record_unlogged';
    let reader = this.#open(known.epoch, false);
    if (reader === null) return 'record_unlogged';
    let bytes = reader.leaves.leaf(leafIndex);
    if (bytes === null || leafIndex >= reader.size) {
      // Tiles of a running log are replaced by fuller ones.
      reader = this.#open(known.epoch, true) ?? reader;
      if (leafIndex >= reader.size) return 'unpublished';
      bytes = reader.leaves.leaf(leafIndex);
    }
    const leaf = bytes === null ? null : parseLeaf(bytes);
    if (leaf?.ok !== true || leaf.value.kind !== KIND.result) return 'record_unlogged';
    if (group.some(({ position }, at) => position !== at)) return 'record_unlogged';
    const plaintext = encodeTrackLeaf(group.map(({ statement }) => statement));
    const digest = this.#crypto.sha256(salt, plaintext);
    return equalBytes(leaf.value.digest, digest) ? 'there' : 'record_unlogged';
  }

  #epochOf(origin: string): KnownEpoch | null {
    const seen = this.#epochs.get(origin);
    if (seen !== undefined) return seen;
    const epoch = parseOrigin(origin)?.epoch;
    const reader = epoch === undefined ? null : this.#open(epoch, false);
    const header = reader === null ? null : readHeader(this.#crypto, reader.leaves.leaf(0));
    const key = header?.ok === true && header.value.origin === origin ? header.value : null;
    const raw = key?.ed25519Key ?? null;
    const known =
      raw === null || epoch === undefined ? null : { epoch, verify: ed25519Verifier(raw) };
    this.#epochs.set(origin, known);
    return known;
  }

  #open(epoch: number, anew: boolean): OpenEpoch | null {
    if (this.#reader?.epoch === epoch && !anew) return this.#reader;
    const folder = new EpochFolder(this.#files, this.#folder, epoch);
    const note = folder.read('checkpoint', MAX_CHECKPOINT_BYTES);
    const size = note === null ? null : claimedSize(note);
    this.#reader =
      size === null ? null : { epoch, size, leaves: new FolderReader(this.#crypto, folder, size) };
    return this.#reader;
  }
}
