import { expect, it } from 'vitest';
import { EpochFiles } from '../../../verifier/log/epoch-files.ts';
import { verifyLink } from '../../../verifier/log/epoch-link.ts';
import type { LogSource } from '../../../verifier/log/source.ts';
import { parseOrigin } from '../../../wire/header.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { accept } from '../../../wire/result.ts';
import { TILE_WIDTH, encodeEntryBundle } from '../../../wire/tlog/tile.ts';
import { sampleEpoch, testTrust } from '../../helpers/epoch-builder.ts';

it('reads no predecessor of a size that the named key has not signed', async () => {
  const epoch = await sampleEpoch();
  const stranger = await sampleEpoch();
  const claimed = 1000 * TILE_WIDTH;
  const leaves = Array.from(
    { length: TILE_WIDTH },
    (_, at) => epoch.leaves[at] ?? new Uint8Array(),
  );
  const bundle = encodeEntryBundle(leaves);
  const note = stranger.signNote(claimed, epoch.tree.root());
  let reads = 0;
  const source: LogSource = {
    name: 'endless',
    read: (path) => {
      reads++;
      return Promise.resolve(accept(path.endsWith('checkpoint') ? note : bundle));
    },
    list: () => Promise.resolve(accept(null)),
  };
  const logId = parseOrigin(epoch.origin)?.logId ?? '';
  const linked = await verifyLink(nodeCrypto, {
    files: new EpochFiles(source, 1),
    logId,
    previous: epoch.link(),
    trust: await testTrust(),
    unreleased: [],
  });
  expect(linked.ok ? 'linked' : linked.refusal.code).toBe('epoch_link');
  expect(reads).toBeLessThan(20);
});
