import { expect, it } from 'vitest';
import { EpochFiles } from '../../../verifier/log/epoch-files.ts';
import type { LogSource } from '../../../verifier/log/source.ts';
import { EpochLeaves } from '../../../verifier/replay/epoch-leaves.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { accept, assertAccepted } from '../../../wire/result.ts';
import { encodeEntryBundle } from '../../../wire/tlog/tile.ts';
import { sampleEpoch } from '../../helpers/epoch-builder.ts';
import { filesOf } from '../../helpers/epoch-files.ts';

/** Answers the first read of a path with `first`, later ones with `then`. */
function twoFaced(
  first: ReadonlyMap<string, Uint8Array>,
  then: ReadonlyMap<string, Uint8Array>,
): LogSource {
  const asked = new Set<string>();
  return {
    name: 'two-faced',
    read: (path) => {
      const bytes = asked.has(path) ? then.get(path) : (first.get(path) ?? then.get(path));
      asked.add(path);
      return Promise.resolve(accept(bytes ?? null));
    },
    list: () => Promise.resolve(accept(null)),
  };
}

async function read(source: LogSource): Promise<string> {
  const leaves = assertAccepted(await EpochLeaves.open(nodeCrypto, new EpochFiles(source, 1)));
  const done = await leaves.read(() => Promise.resolve(accept(null)));
  return done.ok ? 'read' : done.refusal.code;
}

it('replays under the header that is in the tree, not one that a server shows before', async () => {
  const epoch = await sampleEpoch();
  const twin = await sampleEpoch();
  const files = filesOf(epoch);
  const bundle = [...files.keys()].find((path) => path.includes('tile/entries/')) ?? '';
  const forged = new Map([
    [bundle, encodeEntryBundle([twin.leaves[0] ?? new Uint8Array(), ...epoch.leaves.slice(1)])],
    ['epochs/0000000001/checkpoint', twin.signNote(epoch.size, epoch.tree.root())],
  ]);
  expect(await read(twoFaced(new Map(), files))).toBe('read');
  expect(await read(twoFaced(forged, files))).toBe('header_mismatch');
});
