// Lies about the log, told to whoever reads its folder.

import { mkdir } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { BOOK_SIDE, GROUP_FLAG, ROW } from '../../wire/batch.ts';
import { parseUtf8, utf8 } from '../../wire/bytes.ts';
import { KIND, encodePublicLeaf, parseLeaf, sealLeaf } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { encodeSignal, parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import { entriesPath, tilePath } from '../../wire/tlog/tile.ts';
import { INSTRUMENT, STREAM_A } from '../helpers/enclave-host.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import type { BuiltEpoch } from '../helpers/epoch-files.ts';
import { commitsName, encodeNotes, epochFolder, filesOf } from '../helpers/epoch-files.ts';
import type { FileMap, LogFolder } from '../verifier/log/log-folder.ts';
import { changeFile, flipByte, forgeSignature, removeFiles } from '../verifier/log/log-folder.ts';
import {
  TIME_NS,
  batch,
  boot,
  bootAfter,
  close,
  unnamedIn,
  refusalOf,
  logOf,
  newVerifier,
  send,
  verify,
} from './stage.ts';

const BATCHES = 300;
const SALT = new Uint8Array(16).fill(4);

let folder: LogFolder;
/** A finished epoch of more than 256 leaves, so that it has a full tile and a level above. */
let host: TestHost;
let size = 0;
/** A commit somewhere in the middle. */
let middle = 0;

beforeAll(async () => {
  folder = await newVerifier();
  host = await boot();
  for (let sequence = 0; sequence < BATCHES; sequence += 20) {
    const some = Array.from({ length: 20 }, (_, at) => batch(sequence + at));
    await send(host, ...some);
  }
  await close(host);
  size = host.tree.size;
  middle = host.commits.findIndex(({ firstIndex }) => firstIndex > size / 2);
});
afterAll(() => folder.forget());

const bundle = (): string => entriesPath(0, 256);

/** The log with other leaves, and tiles that fit them; the host has no key to sign its root. */
function remade(change: (leaves: Uint8Array[]) => void, commits?: number): BuiltEpoch {
  const log = logOf(host, commits);
  const leaves = [...log.leaves];
  change(leaves);
  const tree = new MemoryTree(nodeCrypto);
  for (const leaf of leaves) tree.append(leafHash(nodeCrypto, leaf));
  return { ...log, leaves, tree };
}

function inputAt(position: number): number {
  return host.leavesOf(KIND.input)[position] ?? -1;
}

it('a host that changes a logged batch: `tile_mismatch`', async () => {
  const judged = await verify(folder, [host], (files) => {
    changeFile(files, 1, bundle(), flipByte(20_000));
  });
  expect(refusalOf(judged)).toBe('tile_mismatch');
});

it('a host that changes the price in a logged batch, its digest and all tiles: `anchor_invalid`, above the last anchor `root_mismatch`', async () => {
  const forge = (leaves: Uint8Array[]): void => {
    const index = inputAt(5);
    const cheaper = batch(5, { trades: [{ id: 6, price: 1 }] });
    leaves[index] = encodePublicLeaf(nodeCrypto, host.leaf(index), SALT, cheaper).bytes;
  };
  await folder.write([remade(forge)]);
  expect(refusalOf(await folder.verify())).toBe('anchor_invalid');
  await folder.write([remade(forge, host.commits.length - 1)]);
  expect(refusalOf(await folder.verify())).toBe('root_mismatch');
});

it('a host that changes a signal, its digest and all tiles: `leaf_key_wrong` with the key, `anchor_invalid` or `root_mismatch` without', async () => {
  const forge = (leaves: Uint8Array[]): void => {
    const [output = -1] = host.leavesOf(KIND.output);
    const signal = assertAccepted(parseSignal(host.open(output)));
    const larger = encodeSignal({ ...signal, quantity: signal.quantity * 2 });
    const key = new Uint8Array(32).fill(1);
    leaves[output] = sealLeaf(nodeCrypto, host.leaf(output), SALT, larger, key).bytes;
  };
  await folder.write([remade(forge)]);
  expect(refusalOf(await folder.verify('--key', folder.path('key.pem')))).toBe('leaf_key_wrong');
  expect(refusalOf(await folder.verify())).toBe('anchor_invalid');
  await folder.write([remade(forge, host.commits.length - 1)]);
  expect(refusalOf(await folder.verify())).toBe('root_mismatch');
});

it('a host that drops a leaf from the log: `sequence_gap`', async () => {
  const reports = remade((leaves) => leaves.splice(inputAt(9), 1));
  await folder.write([reports]);
  expect(refusalOf(await folder.verify())).toBe('sequence_gap');
});

it('a host that swaps two leaves: `sequence_gap`', async () => {
  const swapped = remade((leaves) => {
    const [one, other] = [inputAt(40), inputAt(200)];
    [leaves[one], leaves[other]] = [
      leaves[other] ?? new Uint8Array(),
      leaves[one] ?? new Uint8Array(),
    ];
  });
  await folder.write([swapped]);
  const { exit, verdict } = await folder.verify();
  expect([exit, verdict.code]).toEqual([1, 'sequence_gap']);
});

it('a host that withholds a part of the entries: `tile_missing`', async () => {
  const judged = await verify(folder, [host], (files) => {
    removeFiles(files, 1, entriesPath(Math.floor(size / 256), size % 256));
  });
  expect(refusalOf(judged)).toBe('tile_missing');
});

it('a host that changes a tile: `tile_mismatch`', async () => {
  for (const path of [tilePath(0, 0, 256), tilePath(1, 0, Math.floor(size / 256))]) {
    const judged = await verify(folder, [host], (files) => {
      changeFile(files, 1, path, flipByte(7));
    });
    expect(refusalOf(judged)).toBe('tile_mismatch');
  }
});

it('a host that withholds a tile: `tile_missing`', async () => {
  for (const path of [tilePath(0, 0, 256), tilePath(1, 0, Math.floor(size / 256))]) {
    const judged = await verify(folder, [host], (files) => {
      removeFiles(files, 1, path);
    });
    expect(refusalOf(judged)).toBe('tile_missing');
  }
});

it('a host that rolls the tiles back and leaves the checkpoint: `tile_missing`', async () => {
  const older = logOf(host, middle);
  await folder.write([older], (files) => {
    changeFile(files, 1, 'checkpoint', () => logOf(host).checkpoint);
  });
  expect(refusalOf(await folder.verify())).toBe('tile_missing');
});

it('a host that changes the checkpoint: `note_signature`', async () => {
  for (const change of [forgeSignature, claimLess]) {
    const judged = await verify(folder, [host], (files) => {
      changeFile(files, 1, 'checkpoint', change);
    });
    expect(refusalOf(judged)).toBe('note_signature');
  }
});

it('a host that withholds the checkpoint: undecided, `file_unreadable`, exit 2', async () => {
  const judged = await verify(folder, [host], (files) => {
    removeFiles(files, 1, 'checkpoint');
  });
  expect(refusalOf(judged)).toBe('file_unreadable, exit 2');
});

it('a host that rolls the checkpoint back: `withheld_tail` in the verdict, by the notes in commits/', async () => {
  const older = logOf(host, middle);
  const judged = await verify(folder, [host], (files) => {
    changeFile(files, 1, 'checkpoint', () => older.checkpoint);
    // Tiles of that time are still there: files are written once.
    for (const [path, bytes] of filesOf(older)) if (path.includes('/tile/')) files.set(path, bytes);
  });
  expect(unnamedIn(judged, 'withheld_tail', 'tail_cut')).toEqual([]);
  expect(judged.verdict).toMatchObject({
    size: sizeOf(older),
    end: 'open',
    commits: { beyond_checkpoint: { size } },
  });
});

it('a host that cuts off the tail under `spool`: `rollback` for a verifier that remembers, `tail_cut` in the verdict for others', async () => {
  const [regular, stranger] = [await newVerifier(), await newVerifier()];
  await regular.write([logOf(host)]);
  expect((await regular.verifyAgain()).exit).toBe(0);
  for (const verifier of [regular, stranger]) await verifier.write([logOf(host, middle)]);
  expect(refusalOf(await regular.verifyAgain())).toBe('rollback');
  const judged = await stranger.verifyAgain();
  expect(unnamedIn(judged, 'tail_cut')).toEqual([]);
  expect(judged.verdict).toMatchObject({ end: 'open', commit_policy: 'spool' });
});

it('a host that cuts off the close leaf: end `open`, `tail_cut` in the verdict, `epoch_link` once the next epoch is there', async () => {
  const commits = host.commits.length - 1;
  expect(host.commits[commits]?.leaves.map(kindOf)).toEqual([KIND.anchor, KIND.close]);
  const cut = logOf(host, commits);
  await folder.write([cut]);
  const judged = await folder.verify();
  expect(unnamedIn(judged, 'tail_cut')).toEqual([]);
  expect(judged.verdict.end).toBe('open');
  // The next epoch tells how this one ended.
  const next = await bootAfter(host);
  await close(next);
  await folder.write([cut, logOf(next)]);
  expect(refusalOf(await folder.verify())).toBe('epoch_link');
});

it('a host that changes a note in commits/: `commit_mismatch`', async () => {
  const notes = notesOf(host);
  const forged = notes.with(middle, forgeSignature(notes[middle] ?? new Uint8Array()));
  expect(refusalOf(await verify(folder, [host], withNotes(forged)))).toBe('commit_mismatch');
});

it('a host that shows notes out of order, twice, or of another epoch: `commit_mismatch`', async () => {
  const notes = notesOf(host);
  const other = await boot();
  const foreign = notesOf(other).at(-1) ?? new Uint8Array();
  for (const some of [notes.toReversed(), [...notes, ...notes], notes.with(middle, foreign)]) {
    expect(refusalOf(await verify(folder, [host], withNotes(some)))).toBe('commit_mismatch');
  }
});

it('a host that withholds notes in the middle: `commit_mismatch`', async () => {
  const notes = notesOf(host);
  const first = logOf(host, middle).notes.at(-1)?.size ?? 0;
  const after = logOf(host, middle + 1).notes.at(-1)?.size ?? 0;
  const judged = await verify(folder, [host], (files) => {
    removeFiles(files, 1, 'commits/');
    const path = `${epochFolder(1)}/commits/`;
    files.set(path + commitsName(0, first - 1), encodeNotes(notes.slice(0, middle)));
    files.set(path + commitsName(after, size - 1), encodeNotes(notes.slice(middle + 1)));
  });
  expect(refusalOf(judged)).toBe('commit_mismatch');
});

it('a host that withholds the last notes: `unchecked_notes` in the verdict, from that leaf on', async () => {
  const covered = logOf(host, middle).notes.at(-1)?.size ?? 0;
  const judged = await verify(
    folder,
    [host],
    withNotes(notesOf(host).slice(0, middle), covered - 1),
  );
  expect(unnamedIn(judged, 'unchecked_notes')).toEqual([]);
  expect(judged.verdict.commits).toMatchObject({ notes: middle, covered_size: covered });
});

it('a host that withholds all notes, or leaves commits/ empty: not checked, `unchecked_notes` in the verdict', async () => {
  const absent = await verify(folder, [host], withoutNotes);
  await mkdir(`${folder.log}/${epochFolder(1)}/commits`);
  for (const judged of [absent, await folder.verify()]) {
    expect(unnamedIn(judged, 'unchecked_notes')).toEqual([]);
    expect(judged.verdict.commits?.checked).toBe(false);
    expect(judged.verdict.skipped).toContain('commits');
  }
});

it('a host that shows an epoch under another number: `checkpoint_origin`', async () => {
  const judged = await verify(folder, [host], (files) => {
    for (const [name, bytes] of Array.from(files)) {
      files.delete(name);
      files.set(name.replace(epochFolder(1), epochFolder(7)), bytes);
    }
  });
  expect(refusalOf(judged)).toBe('checkpoint_origin');
});

it('a host that changes or withholds a blob: `blob_mismatch`, `blob_missing`', async () => {
  const large = await boot();
  await send(large, largeBatch(0));
  await close(large);
  const [hash] = logOf(large).blobs.keys();
  const path = `blobs/${hash ?? ''}`;
  expect((await verify(folder, [large])).verdict).toMatchObject({ verdict: 'verified', blobs: 1 });
  const changed = await verify(folder, [large], (files) =>
    files.set(path, flipByte(9)(files.get(path) ?? new Uint8Array())),
  );
  expect(refusalOf(changed)).toBe('blob_mismatch');
  const withheld = await verify(folder, [large], (files) => files.delete(path));
  expect(refusalOf(withheld)).toBe('blob_missing');
});

function kindOf(leaf: Uint8Array): number {
  return assertAccepted(parseLeaf(leaf)).kind;
}

function claimLess(note: Uint8Array): Uint8Array {
  return utf8((parseUtf8(note) ?? '').replace(`\n${size}\n`, `\n${size - 1}\n`));
}

function withoutNotes(files: FileMap): void {
  removeFiles(files, 1, 'commits/');
}

function sizeOf({ notes }: BuiltEpoch): number {
  return notes.at(-1)?.size ?? 0;
}

function notesOf(of: TestHost): Uint8Array[] {
  return of.commits.map(({ note }) => note);
}

/** All of commits/ is one file with these notes. */
function withNotes(
  notes: readonly Uint8Array[],
  last: number = size - 1,
): (files: FileMap) => void {
  return (files) => {
    removeFiles(files, 1, 'commits/');
    files.set(`${epochFolder(1)}/commits/${commitsName(0, last)}`, encodeNotes(notes));
  };
}

/** Events without rows and trades in great number: more than fits into a leaf. */
function largeBatch(sequence: number): Uint8Array {
  const builder = new BatchBuilder(STREAM_A);
  for (let group = 0; group < 1024; group++) {
    builder.addRow({
      instrument: INSTRUMENT,
      kind: ROW.trade,
      side: BOOK_SIDE.bid,
      exchangeTimeNs: null,
      receiveTimeNs: TIME_NS,
      price: 100,
      quantity: 1,
      id: 0,
    });
    builder.addGroup({
      instrument: INSTRUMENT,
      firstRow: 0,
      rows: 0,
      flags: GROUP_FLAG.first | GROUP_FLAG.last,
      firstId: group + 1,
      lastId: group + 1,
      previousId: -1,
    });
  }
  return new Uint8Array(builder.encode(sequence, TIME_NS));
}
