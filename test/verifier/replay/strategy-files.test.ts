// Which files belong to which strategy of an epoch: the commitments decide, and nothing is left out silently.

import { describe, expect, it } from 'vitest';
import { matchStrategies } from '../../../verifier/replay/strategy-files.ts';
import type { SaltedFile, Wanted } from '../../../verifier/replay/strategy-files.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { StrategyEntry } from '../../../wire/header.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';

function file(text: string, salt = 1): SaltedFile {
  return { bytes: utf8(text), salt: new Uint8Array(32).fill(salt) };
}

function commit({ salt, bytes }: SaltedFile): Uint8Array {
  return nodeCrypto.sha256(salt, bytes);
}

function entryOf(at: number, bundle: SaltedFile, parameters: SaltedFile): StrategyEntry {
  return {
    stream: 1000 + at,
    name: `s${at}`,
    version: '1',
    bundleCommitment: commit(bundle),
    parametersCommitment: commit(parameters),
  };
}

const [FIRST, SECOND] = [file('first'), file('second')];
const [SMALL, LARGE, OTHER] = [file('{"size":1}'), file('{"size":9}'), file('{"size":5}')];
/** The first bundle twice, with other parameters, and the second one. */
const ENTRIES = [
  entryOf(0, FIRST, SMALL),
  entryOf(1, SECOND, OTHER),
  entryOf(2, FIRST, LARGE),
] as const;

/** Streams that are matched, or the refusal. */
function match(
  bundles: readonly SaltedFile[],
  parameters: readonly SaltedFile[],
  wanted: Wanted = { which: 'opened' },
): unknown {
  const matched = matchStrategies(nodeCrypto, { bundles, parameters }, ENTRIES, wanted);
  return matched.ok ? matched.value.map(({ entry }) => entry.stream) : matched.refusal;
}

function mismatch(what: string, stream?: number): unknown {
  const detail = stream === undefined ? { what } : { what, stream };
  return { code: 'commitment_mismatch', detail };
}

describe('the strategies that files open', () => {
  it('are found in any order of the files, one bundle for two of them', () => {
    const parameters = [OTHER, LARGE, SMALL];
    expect(match([SECOND, FIRST], parameters)).toEqual([1000, 1001, 1002]);
    expect(match([FIRST, SECOND], parameters, { which: 'all' })).toEqual([1000, 1001, 1002]);
    expect(match([FIRST], [LARGE])).toEqual([1002]);
    expect(match([FIRST], [LARGE, SMALL])).toEqual([1000, 1002]);
  });

  it('can be chosen by name or by stream', () => {
    const all = [[FIRST, SECOND] as const, [SMALL, LARGE, OTHER] as const] as const;
    expect(match(...all, { which: 'one', name: 's2' })).toEqual([1002]);
    expect(match(...all, { which: 'one', name: '1001' })).toEqual([1001]);
    expect(match(...all, { which: 'one', name: 's3' })).toMatchObject({ code: 'usage_invalid' });
    expect(match([FIRST], [SMALL], { which: 'one', name: 's1' })).toEqual(mismatch('bundle', 1001));
    expect(match([FIRST], [SMALL], { which: 'one', name: 's2' })).toEqual(
      mismatch('parameters', 1002),
    );
  });

  it('are all there when all are asked for', () => {
    const all = { which: 'all' } as const;
    expect(match([FIRST], [SMALL, LARGE], all)).toEqual(mismatch('bundle', 1001));
    expect(match([FIRST, SECOND], [SMALL, OTHER], all)).toEqual(mismatch('parameters', 1002));
  });

  it('are not fewer than the files that were given', () => {
    expect(match([FIRST, file('third')], [SMALL])).toEqual(mismatch('one of the bundles'));
    expect(match([FIRST], [SMALL, file('{}')])).toEqual(mismatch('one of the parameters'));
  });

  it('are none when a byte or a salt is another', () => {
    expect(match([file('first', 2)], [SMALL])).toEqual(mismatch('bundle'));
    expect(match([file('firsT')], [SMALL])).toEqual(mismatch('bundle'));
    expect(match([FIRST], [file('{"size":1}', 2)])).toEqual(mismatch('parameters', 1002));
    expect(match([FIRST], [OTHER])).toEqual(mismatch('parameters', 1002));
  });
});
