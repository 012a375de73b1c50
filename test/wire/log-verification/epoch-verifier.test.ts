import { describe, expect, it } from 'vitest';
import { UNSAFE_UNSIGNED } from '../../../wire/attestation/verify.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { KIND, LABEL, STREAM } from '../../../wire/leaf.ts';
import type { EpochFacts } from '../../../wire/log-verification/epoch-verifier.ts';
import { EpochVerifier } from '../../../wire/log-verification/epoch-verifier.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { STRATEGY_EVENT, encodeHeartbeat } from '../../../wire/payloads.ts';
import type { Result } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { EpochOptions } from '../../helpers/epoch-builder.ts';
import {
  EpochBuilder,
  INPUT_STREAM,
  INSTRUMENT,
  STRATEGY_STREAM,
  complianceKeys,
  measurements,
  sampleEpoch,
  testBatch,
  testTrust,
} from '../../helpers/epoch-builder.ts';

interface VerifyOptions {
  readonly withKeys?: boolean;
  /** Leaves given at once. */
  readonly step?: number;
}

async function verify(
  epoch: EpochBuilder,
  { withKeys = true, step = 256 }: VerifyOptions = {},
): Promise<Result<EpochFacts>> {
  const keys = withKeys ? complianceKeys() : null;
  const verifier = new EpochVerifier(nodeCrypto, await testTrust(), keys);
  for (let first = 0; first < epoch.size; first += step) {
    const parsed = verifier.parse(epoch.leaves.slice(first, first + step));
    if (!parsed.ok) return parsed;
    const added = verifier.add(parsed.value, epoch.blobs);
    if (!added.ok) return added;
  }
  return verifier.finish(epoch.checkpoint);
}

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

/** Builds an epoch, changes it and verifies it, with and without compliance's key. */
async function codeAfter(
  change: (epoch: EpochBuilder) => unknown,
  options: EpochOptions = {},
): Promise<string> {
  const epoch = await EpochBuilder.create(options);
  await change(epoch);
  epoch.commit();
  const code = codeOf(await verify(epoch, { withKeys: false }));
  expect(codeOf(await verify(epoch, { withKeys: true }))).toBe(code);
  return code;
}

/** The same for what only compliance's key can see. */
async function privateCode(change: (epoch: EpochBuilder) => unknown): Promise<string> {
  const epoch = await EpochBuilder.create();
  await change(epoch);
  epoch.commit();
  expect(codeOf(await verify(epoch, { withKeys: false }))).toBe('accepted');
  return codeOf(await verify(epoch));
}

function nothing(): void {
  // The epoch as its options make it.
}

type Change = (epoch: EpochBuilder) => void;

function outputCaused(by: (input: number) => readonly number[]): Change {
  return (epoch) => {
    epoch.startStrategy();
    const input = epoch.addInput();
    epoch.addOutput(input, {}, { causes: by(input) });
  };
}

function output(changes: Parameters<EpochBuilder['addOutput']>[1]): Change {
  return (epoch) => {
    epoch.startStrategy();
    epoch.addOutput(epoch.addInput(), changes);
  };
}

function report(changes: Parameters<EpochBuilder['addReport']>[1]): Change {
  return (epoch) => {
    epoch.startStrategy();
    epoch.addReport(epoch.addOutput(epoch.addInput()), changes);
  };
}

function recoverTwice(epoch: EpochBuilder): void {
  epoch.addRecovery(1, [3]);
  epoch.addRecovery(1, []);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes[at] ?? 0) ^ 1);
}

describe('an honest epoch', () => {
  it('verifies, with facts about it', async () => {
    const epoch = await sampleEpoch();
    const facts = assertAccepted(await verify(epoch));
    expect(facts.checkpoint).toEqual({
      origin: epoch.origin,
      size: epoch.size,
      root: epoch.tree.root(),
    });
    expect(facts.counts.get(KIND.input)).toBe(3);
    expect(facts.counts.get(KIND.output)).toBe(2);
    expect(facts.rows).toBe(3);
    expect(facts.gaps.map(({ reason, firstMissing }) => [reason, firstMissing])).toEqual([
      [1, 1],
      [5, 2],
    ]);
    expect(facts.closeReason).toBe(2);
    expect(facts.anchors.count).toBe(1);
    expect(facts.privateOpened).toBe(4);
    expect(facts.lastNs - facts.firstNs).toBe(BigInt(epoch.size - 1) * 1_000_000n);
  });

  it('verifies without the key and leaf by leaf', async () => {
    const epoch = await sampleEpoch();
    const facts = assertAccepted(await verify(epoch, { withKeys: false, step: 1 }));
    expect(facts.privateOpened).toBeNull();
  });

  it('may go on after an earlier epoch', async () => {
    const first = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: first.link({ clean: true }) });
    expect(codeOf(await verify(second))).toBe('accepted');
  });

  it('without a close leaf is not closed', async () => {
    const epoch = await EpochBuilder.create();
    const facts = assertAccepted(await verify(epoch));
    expect(facts.closeReason).toBeNull();
    expect(facts.anchors.count).toBe(0);
  });

  it('is refused when any bit of a leaf or of the checkpoint is another', async () => {
    const epoch = await sampleEpoch();
    for (const [index, leaf] of epoch.leaves.entries()) {
      const at = (index * 7919) % leaf.length;
      epoch.leaves[index] = flip(leaf, at);
      expect(codeOf(await verify(epoch))).not.toBe('accepted');
      epoch.leaves[index] = leaf;
    }
    const { note } = epoch.commit();
    for (let at = 0; at < note.length; at += 11) {
      epoch.notes.push({ size: epoch.size, note: flip(note, at) });
      expect(['note_malformed', 'note_signature']).toContain(codeOf(await verify(epoch)));
    }
  });
});

describe('header and attestation', () => {
  it('must agree', async () => {
    const other = nodeCrypto.sha256(utf8('other'));
    const cases: readonly (readonly [string, EpochOptions])[] = [
      ['public_key_mismatch', { attestedKey: new Uint8Array(91) }],
      ['header_mismatch', { bootUserData: (data) => ({ ...data, tlsKeyHash: other }) }],
      ['header_mismatch', { header: (header) => ({ ...header, configurationDigest: other }) }],
      ['header_mismatch', { header: (header) => ({ ...header, feedMode: 'live' }) }],
      ['header_mismatch', { header: (header) => ({ ...header, moduleId: 'i-0-enc0' }) }],
      ['header_mismatch', { header: (header) => ({ ...header, streams: [] }) }],
      ['header_mismatch', { header: (header) => ({ ...header, strategies: [] }) }],
      [
        'header_mismatch',
        {
          header: (header) => ({
            ...header,
            streams: [...header.streams, { id: 7, label: LABEL.host, name: 'another' }],
          }),
        },
      ],
      [
        'header_mismatch',
        {
          header: (header) => ({
            ...header,
            strategies: [...header.strategies, ...header.strategies],
          }),
        },
      ],
      ['header_mismatch', { epoch: 2 }],
      [
        'header_mismatch',
        {
          header: (header) => ({
            ...header,
            clock: { ...header.clock, nsmTimestampMs: header.clock.nsmTimestampMs + 60_000 },
          }),
        },
      ],
      ['header_mismatch', { bootUserData: (data) => ({ ...data, leafZeroHash: other }) }],
      ['header_mismatch', { bootUserData: (data) => ({ ...data, leafZeroHash: null }) }],
      ['header_mismatch', { bootUserData: (data) => ({ ...data, tlsKeyHash: null }) }],
      ['header_mismatch', { bootUserData: (data) => ({ ...data, head: null }) }],
      [
        'header_mismatch',
        { bootUserData: (data) => ({ ...data, head: { size: 1, root: other } }) },
      ],
      ['header_mismatch', { bootNonce: new Uint8Array(32) }],
      ['purpose_mismatch', { bootUserData: (data) => ({ ...data, purpose: 2 }) }],
      ['purpose_mismatch', { bootUserData: (data) => ({ ...data, purpose: 3 }) }],
      ['origin_mismatch', { bootUserData: (data) => ({ ...data, origin: `${data.origin}1` }) }],
      [
        'origin_mismatch',
        { bootUserData: (data) => ({ ...data, origin: `${data.origin}/e0000000001` }) },
      ],
      ['config_mismatch', { bootUserData: (data) => ({ ...data, configDigest: other }) }],
      ['config_mismatch', { measuredDigest: other }],
      ['debug_mode', { debugMode: true }],
    ];
    for (const [expected, options] of cases) {
      expect(await codeAfter(nothing, options)).toBe(expected);
    }
  });

  it('must have a configuration that fits the header', async () => {
    const options: EpochOptions = {
      configuration: { log_id: 'trackseal.test/another' },
      header: (honest) => ({ ...honest, origin: honest.origin.replace('another', 'log') }),
    };
    expect(await codeAfter(nothing, options)).toBe('header_mismatch');
  });

  it('must be under the pinned root and the image of the policy', async () => {
    const epoch = await sampleEpoch();
    const trust = await testTrust();
    const code = (changed: typeof trust): string => {
      const verifier = new EpochVerifier(nodeCrypto, changed);
      const added = verifier.add(assertAccepted(verifier.parse(epoch.leaves)), epoch.blobs);
      return codeOf(added);
    };
    const zero = new Uint8Array(48);
    expect(code(trust)).toBe('accepted');
    expect(code({ ...trust, rootDer: new Uint8Array([1]) })).toBe('chain_root');
    expect(code({ ...trust, rootDer: UNSAFE_UNSIGNED })).toBe('cose_algorithm');
    expect(code({ ...trust, policy: { pcrs: null } })).toBe('accepted');
    for (const name of ['pcr0', 'pcr1', 'pcr2'] as const) {
      const pcrs = { ...measurements, [name]: zero };
      expect(code({ ...trust, policy: { pcrs } })).toBe('pcr_mismatch');
    }
    const policy = { pcrs: measurements };
    expect(code({ ...trust, policy: { ...policy, origin: 'trackseal.test/log' } })).toBe(
      'accepted',
    );
    expect(code({ ...trust, policy: { ...policy, origin: 'trackseal.test/lo' } })).toBe(
      'origin_mismatch',
    );
    expect(code({ ...trust, policy: { ...policy, configDigest: new Uint8Array(32) } })).toBe(
      'config_mismatch',
    );
  });

  it('come first and once', async () => {
    const epoch = await EpochBuilder.create();
    const [header, attestation] = epoch.leaves;
    if (header === undefined || attestation === undefined) throw new Error('no leaves');
    const only = async (leaves: readonly Uint8Array[]): Promise<string> => {
      const verifier = new EpochVerifier(nodeCrypto, await testTrust());
      const parsed = verifier.parse(leaves);
      return parsed.ok ? codeOf(verifier.add(parsed.value, new Map())) : codeOf(parsed);
    };
    expect(await only([header, attestation])).toBe('accepted');
    expect(await only([attestation, attestation])).toBe('sequence_gap');
    expect(await only([header, header])).toBe('sequence_gap');
    const again = { kind: KIND.header };
    expect(await codeAfter((built) => built.add(again, utf8('x')))).toBe('leaf_misplaced');
    const document = { kind: KIND.attestation };
    expect(await codeAfter((built) => built.add(document, utf8('x')))).toBe('leaf_misplaced');
    const verifier = new EpochVerifier(nodeCrypto, await testTrust());
    assertAccepted(verifier.add(assertAccepted(verifier.parse([header])), new Map()));
    expect(codeOf(verifier.finish(epoch.checkpoint))).toBe('leaf_misplaced');
    expect(codeOf(verifier.checkNote(epoch.checkpoint))).toBe('leaf_misplaced');
  });
});

describe('leaves', () => {
  it('have a place for their kind', async () => {
    const beat = encodeHeartbeat({ acknowledgedSize: 0 });
    const wrong: readonly ((epoch: EpochBuilder) => unknown)[] = [
      (epoch) => epoch.add({ label: LABEL.host }, beat),
      (epoch) => epoch.add({ stream: 5 }, beat),
      (epoch) => epoch.add({}, beat, true),
      (epoch) => epoch.add({ kind: KIND.input, stream: 7 }, testBatch(0, 1n, 7)),
      (epoch) =>
        epoch.add(
          { kind: KIND.input, stream: INPUT_STREAM, label: LABEL.tls },
          testBatch(0, epoch.nowNs),
        ),
      (epoch) => epoch.add({ kind: KIND.input, stream: INPUT_STREAM }, testBatch(0, 1n, 2)),
      (epoch) => epoch.add({ kind: KIND.input, stream: INPUT_STREAM }, testBatch(0, 1n), true),
      (epoch) => epoch.add({ kind: KIND.seed, stream: STRATEGY_STREAM + 1 }, beat, true),
      (epoch) => epoch.add({ kind: KIND.seed, stream: STRATEGY_STREAM }, beat),
      (epoch) => epoch.add({ kind: KIND.close, stream: STREAM.reports }, beat),
      (epoch) => epoch.addHeartbeat(epoch.size + 1),
      (epoch) => {
        epoch.addHeartbeat(2);
        epoch.addHeartbeat(1);
      },
    ];
    for (const change of wrong) expect(await codeAfter(change)).toBe('leaf_misplaced');
  });

  it('of the desk are private, on streams and with labels of their own, and name any earlier leaves', async () => {
    const text = utf8('the word of the desk');
    const { exchange, results, audit } = STREAM;
    const places = [
      { kind: KIND.exchangeCall, stream: exchange, label: LABEL.tls },
      { kind: KIND.result, stream: results, label: LABEL.enclave },
      { kind: KIND.audit, stream: audit, label: LABEL.enclave },
    ] as const;
    for (const place of places) {
      const code = (change: object, isPrivate = true): Promise<string> =>
        codeAfter((epoch) => epoch.add({ ...place, ...change }, text, isPrivate));
      expect(await code({ causes: [0, 1] })).toBe('accepted');
      expect(await code({}, false)).toBe('leaf_misplaced');
      expect(await code({ label: LABEL.host })).toBe('leaf_misplaced');
      expect(await code({ stream: STREAM.reports })).toBe('leaf_misplaced');
      expect(await code({ causes: [9] })).toBe('cause_invalid');
    }
  });

  it('have a time that never decreases', async () => {
    expect(
      await codeAfter((epoch) => {
        epoch.addHeartbeat(0);
        const last = epoch.nowNs - 1_000_000n;
        epoch.add({ timeNs: last }, encodeHeartbeat({ acknowledgedSize: 0 }));
      }),
    ).toBe('accepted');
    expect(
      await codeAfter((epoch) => {
        epoch.addHeartbeat(0);
        const last = epoch.nowNs - 1_000_000n;
        epoch.add({ timeNs: last - 1n }, encodeHeartbeat({ acknowledgedSize: 0 }));
      }),
    ).toBe('time_backwards');
  });

  it('have sequences without holes or repetitions', async () => {
    const beat = encodeHeartbeat({ acknowledgedSize: 0 });
    for (const [sequence, expected] of [
      [1, 'sequence_gap'],
      [2, 'accepted'],
      [3, 'sequence_gap'],
    ] as const) {
      expect(await codeAfter((epoch) => epoch.add({ sequence }, beat))).toBe(expected);
    }
  });

  it('have causes that are earlier leaves of a fitting kind', async () => {
    expect(await codeAfter(outputCaused((input) => [input]))).toBe('accepted');
    for (const causes of [
      () => [],
      (input: number) => [input + 1],
      (input: number) => [input + 2],
      (input: number) => [input - 1],
      (input: number) => [0, input],
    ]) {
      expect(await codeAfter(outputCaused(causes))).toBe('cause_invalid');
    }
    const wrong: readonly ((epoch: EpochBuilder) => unknown)[] = [
      (epoch) => epoch.addReport(1),
      (epoch) => epoch.addReport(epoch.addInput()),
      (epoch) => epoch.add({ causes: [0] }, encodeHeartbeat({ acknowledgedSize: 0 })),
      (epoch) => epoch.addGap({ reason: 4, instrument: 1 }, [1]),
      (epoch) => {
        epoch.startStrategy();
        epoch.addInput();
        epoch.addInput();
        const [first, second] = [epoch.size - 2, epoch.size - 1];
        const one = epoch.addOutput(first);
        const two = epoch.addOutput(second);
        epoch.addReport(one, {}, { causes: [one, two] });
      },
    ];
    for (const change of wrong) expect(await codeAfter(change)).toBe('cause_invalid');
  });

  it('of late reports have no cause, and an earlier epoch', async () => {
    const second: EpochOptions = {
      epoch: 2,
      previous: (await sampleEpoch()).link(),
    };
    const late = { causes: [] };
    const codes = async (change: (epoch: EpochBuilder) => unknown): Promise<readonly string[]> => {
      const epoch = await EpochBuilder.create(second);
      await change(epoch);
      epoch.commit();
      return [codeOf(await verify(epoch, { withKeys: false })), codeOf(await verify(epoch))];
    };
    const ok = 'accepted';
    const wrong = 'cause_invalid';
    expect(await codes((epoch) => epoch.addReport(7, { epoch: 1 }, late))).toEqual([ok, ok]);
    // Only who can open the leaf sees what it is about.
    expect(await codes((epoch) => epoch.addReport(7, { epoch: 2 }, late))).toEqual([ok, wrong]);
    expect(await codes((epoch) => epoch.addReport(7, {}, late))).toEqual([ok, wrong]);
    expect(await codes(report({ epoch: 1 }))).toEqual([ok, wrong]);
  });

  it('end with the close leaf', async () => {
    expect(
      await codeAfter((epoch) => {
        epoch.addClose();
        epoch.addHeartbeat(0);
      }),
    ).toBe('leaf_after_close');
  });

  it('have payloads that can be read', async () => {
    const stream = INPUT_STREAM;
    const cases: readonly (readonly [string, (epoch: EpochBuilder) => unknown])[] = [
      ['batch_malformed', (epoch) => epoch.add({ kind: KIND.input, stream }, utf8('x'))],
      ['message_malformed', (epoch) => epoch.add({}, Uint8Array.of(0xa0))],
      ['cbor_trailing_bytes', (epoch) => epoch.add({ kind: KIND.close }, Uint8Array.of(0xa0, 0))],
      ['leaf_malformed', (epoch) => epoch.addBytes(Uint8Array.of(0xa0))],
      ['leaf_kind_unknown', (epoch) => epoch.add({ kind: 16 as 3 }, utf8('x'))],
      ['message_malformed', (epoch) => epoch.addGap({ reason: 6 as 5 })],
    ];
    for (const [expected, change] of cases) expect(await codeAfter(change)).toBe(expected);
  });

  it('name instruments of the configuration', async () => {
    const configuration = { instruments: [] };
    const code = await codeAfter((epoch) => epoch.addInput(), { configuration });
    expect(code).toBe('config_invalid');
    const other = [
      {
        id: INSTRUMENT + 1,
        venue: 'binance',
        symbol: 'ETHUSDT',
        market: 'spot' as const,
        price_scale: 2,
        quantity_scale: 5,
        sequence_rule: 'none' as const,
      },
    ];
    const unknown = { configuration: { instruments: other } };
    expect(await codeAfter((epoch) => epoch.addInput(), unknown)).toBe('instrument_unknown');
  });
});

describe('input streams', () => {
  it('account for every batch', async () => {
    const cases: readonly (readonly [string, (epoch: EpochBuilder) => unknown])[] = [
      ['sequence_gap', (epoch) => epoch.addInput(1)],
      [
        'accepted',
        (epoch) => {
          epoch.addGap({ reason: 1, firstMissing: 0, count: 1 });
          epoch.addInput(1);
        },
      ],
      [
        'sequence_gap',
        (epoch) => {
          epoch.addGap({ reason: 1, firstMissing: 0, count: 1 });
          epoch.addInput(2);
        },
      ],
      [
        'sequence_gap',
        (epoch) => {
          epoch.addGap({ reason: 2, firstMissing: 1, count: 4 });
          epoch.addInput(5);
        },
      ],
      [
        'accepted',
        (epoch) => {
          epoch.addGap({ reason: 3, firstMissing: 2, count: 1, code: 'batch_malformed' });
          epoch.addGap({ reason: 2, firstMissing: 0, count: 2 });
          epoch.addInput(3);
        },
      ],
      [
        'gap_mismatch',
        (epoch) => {
          epoch.addGap({ reason: 5, firstMissing: 0, count: 3, instrument: INSTRUMENT });
          epoch.addInput(3);
        },
      ],
      [
        'batch_out_of_order',
        (epoch) => {
          epoch.addInput(0);
          epoch.addInput(0);
        },
      ],
      [
        'batch_out_of_order',
        (epoch) => {
          epoch.addInput(0, 2000n);
          epoch.addInput(1, 1999n);
        },
      ],
      [
        'accepted',
        (epoch) => {
          epoch.addInput(0, 2000n);
          epoch.addInput(1, 2000n);
        },
      ],
    ];
    for (const [expected, change] of cases) expect(await codeAfter(change)).toBe(expected);
  });
});

describe('strategies', () => {
  const ended = { event: STRATEGY_EVENT.ended, code: 'strategy_crashed' as const };

  it('are seeded, started, and silent after their end', async () => {
    const wrong: readonly ((epoch: EpochBuilder) => unknown)[] = [
      (epoch) => epoch.addOutput(epoch.addInput()),
      (epoch) => {
        epoch.addStrategyEvent();
        epoch.addOutput(epoch.addInput());
      },
      (epoch) => {
        epoch.startStrategy();
        epoch.addStrategyEvent();
      },
      (epoch) => {
        epoch.startStrategy();
        const seed = { kind: KIND.seed, stream: STRATEGY_STREAM };
        epoch.add(seed, new Uint8Array(), true);
      },
      (epoch) => {
        epoch.startStrategy();
        epoch.addStrategyEvent(ended);
        epoch.addOutput(epoch.addInput());
      },
      (epoch) => {
        epoch.addStrategyEvent(ended);
        epoch.addStrategyEvent(ended);
      },
      (epoch) =>
        epoch.addStrategyEvent({ event: STRATEGY_EVENT.started, code: 'strategy_crashed' }),
    ];
    for (const change of wrong) expect(await codeAfter(change)).toBe('leaf_misplaced');
    expect(
      await codeAfter((epoch) => {
        epoch.startStrategy();
        epoch.addOutput(epoch.addInput());
        epoch.addStrategyEvent(ended);
      }),
    ).toBe('accepted');
  });
});

describe('anchors', () => {
  it('attest an earlier root', async () => {
    expect(await codeAfter((epoch) => epoch.addAnchor())).toBe('accepted');
    expect(await codeAfter((epoch) => epoch.addAnchor({ size: 1 }))).toBe('accepted');
    const root = new Uint8Array(32).fill(5);
    const wrong: readonly ((epoch: EpochBuilder) => unknown)[] = [
      (epoch) => epoch.addAnchor({ size: epoch.size + 1 }),
      (epoch) => epoch.addAnchor({ nonce: root }),
      (epoch) => epoch.addAnchor({ userData: (data) => ({ ...data, head: null }) }),
      (epoch) => epoch.addAnchor({ userData: (data) => ({ ...data, head: { size: 2, root } }) }),
      (epoch) => epoch.addAnchor({ userData: (data) => ({ ...data, purpose: 2 }) }),
      (epoch) => epoch.addAnchor({ userData: (data) => ({ ...data, leafZeroHash: root }) }),
      (epoch) => epoch.addAnchor({ userData: (data) => ({ ...data, origin: 'another' }) }),
      (epoch) => epoch.addAnchor({ document: new Uint8Array(100) }),
      (epoch) => epoch.add({ kind: KIND.anchor }, new Uint8Array(3)),
    ];
    for (const change of wrong) expect(await codeAfter(change)).toBe('anchor_invalid');
  });

  it('of another enclave are refused', async () => {
    const other = await EpochBuilder.create();
    await other.addAnchor({ size: 1 });
    const stolen = other.leaves.at(-1) ?? new Uint8Array();
    expect(await codeAfter((epoch) => epoch.addBytes(stolen))).toBe('anchor_invalid');
  });

  it('of another image are refused, whatever the policy', async () => {
    for (const name of ['pcr0', 'pcr1', 'pcr2'] as const) {
      const epoch = await EpochBuilder.create();
      const other = { ...measurements, [name]: new Uint8Array(48).fill(3) };
      await epoch.addAnchor({ measurements: other });
      epoch.commit();
      const trust = { ...(await testTrust()), policy: { pcrs: null } };
      const verifier = new EpochVerifier(nodeCrypto, trust);
      const added = verifier.add(assertAccepted(verifier.parse(epoch.leaves)), new Map());
      expect(codeOf(added)).toBe('anchor_invalid');
    }
    expect(await codeAfter((epoch) => epoch.addAnchor({ measurements }))).toBe('accepted');
  });

  it('never go back in time', async () => {
    expect(
      await codeAfter(async (built) => {
        await built.addAnchor();
        await built.addAnchor({ earlierMs: 2 });
      }),
    ).toBe('anchor_invalid');
    const epoch = await EpochBuilder.create();
    await epoch.addAnchor();
    await epoch.addAnchor();
    epoch.commit();
    const facts = assertAccepted(await verify(epoch));
    expect(facts.anchors.count).toBe(2);
    expect(facts.anchors.longestIntervalMs).toBe(1);
    expect(facts.anchors.largestDivergenceMs).toBe(0);
  });
});

describe('recovery', () => {
  it('names outputs of the epoch before', async () => {
    const first = await sampleEpoch();
    const options = { epoch: 2, previous: first.link() };
    const code = (epoch: number, unreleased: readonly number[]): Promise<string> =>
      codeAfter((built) => built.addRecovery(epoch, unreleased), options);
    expect(await code(1, [first.size - 1])).toBe('accepted');
    expect(await code(1, [first.size])).toBe('epoch_link');
    expect(await code(2, [])).toBe('epoch_link');
    expect(await codeAfter((built) => built.addRecovery(1))).toBe('epoch_link');
    expect(await codeAfter(recoverTwice, options)).toBe('leaf_misplaced');
  });
});

describe('private leaves', () => {
  it('say what the log around them says', async () => {
    expect(await privateCode(report({}))).toBe('accepted');
    expect(await privateCode(output({ id: 1 }))).toBe('sequence_gap');
    expect(await privateCode(output({ causes: [0] }))).toBe('cause_invalid');
    expect(await privateCode(output({ decisionNs: 1n }))).toBe('cause_invalid');
    expect(await privateCode(output({ instrument: 9 }))).toBe('instrument_unknown');
    expect(await privateCode(report({ output: 3 }))).toBe('cause_invalid');
    expect(await privateCode(report({ clientOrderId: 'ts0011223344556677' }))).toBe(
      'cause_invalid',
    );
  });

  it('open with the key of the configuration only', async () => {
    const epoch = await sampleEpoch();
    const { privateKey, publicKey } = complianceKeys();
    const wrong = { privateKey: flip(privateKey, 5), publicKey };
    const other = { privateKey, publicKey: flip(publicKey, 5) };
    for (const keys of [wrong, other]) {
      const verifier = new EpochVerifier(nodeCrypto, await testTrust(), keys);
      const added = verifier.add(assertAccepted(verifier.parse(epoch.leaves)), epoch.blobs);
      expect(codeOf(added)).toBe('disclosure_key_wrong');
    }
  });

  it('are refused when the ciphertext is not under the epoch’s key', async () => {
    const epoch = await EpochBuilder.create();
    const other = await EpochBuilder.create({ configuration: { log_id: 'trackseal.test/two' } });
    const [header, attestation] = epoch.leaves;
    other.startStrategy();
    epoch.leaves.splice(0, 2);
    epoch.leaves.push(
      ...[header, attestation, ...other.leaves.slice(2)].flatMap((leaf) => leaf ?? []),
    );
    expect(codeOf(await verify(epoch))).toBe('leaf_key_wrong');
  });
});

describe('blobs', () => {
  const stream = INPUT_STREAM;

  it('are there, and are what the leaf says', async () => {
    const epoch = await EpochBuilder.create();
    epoch.add({ kind: KIND.input, stream }, new Uint8Array(62_000));
    epoch.commit();
    const [hash, blob] = [...epoch.blobs][0] ?? [];
    if (hash === undefined || blob === undefined) throw new Error('no blob');
    expect(codeOf(await verify(epoch))).toBe('batch_malformed');
    epoch.blobs.set(hash, blob.slice(1));
    expect(codeOf(await verify(epoch))).toBe('blob_mismatch');
    epoch.blobs.set(hash, flip(blob, 9));
    expect(codeOf(await verify(epoch))).toBe('blob_mismatch');
    epoch.blobs.delete(hash);
    expect(codeOf(await verify(epoch))).toBe('blob_missing');
  });

  it('of private leaves are checked without the key too', async () => {
    const epoch = await EpochBuilder.create();
    epoch.startStrategy();
    const cause = epoch.addOutput(epoch.addInput());
    const header = { kind: KIND.report, stream: STREAM.reports, causes: [cause] };
    epoch.add(header, new Uint8Array(60_000), true);
    epoch.commit();
    const [hash, blob] = [...epoch.blobs][0] ?? [];
    if (hash === undefined || blob === undefined) throw new Error('no blob');
    expect(codeOf(await verify(epoch, { withKeys: false }))).toBe('accepted');
    epoch.blobs.set(hash, flip(blob, 9));
    expect(codeOf(await verify(epoch, { withKeys: false }))).toBe('blob_mismatch');
    epoch.blobs.delete(hash);
    expect(codeOf(await verify(epoch, { withKeys: false }))).toBe('blob_missing');
  });
});

describe('signed heads', () => {
  it('are the root at their size, or convict the signer', async () => {
    const epoch = await sampleEpoch();
    const verifier = new EpochVerifier(nodeCrypto, await testTrust());
    assertAccepted(verifier.add(assertAccepted(verifier.parse(epoch.leaves)), epoch.blobs));
    for (const { size, note } of epoch.notes) {
      expect(assertAccepted(verifier.checkNote(note)).size).toBe(size);
    }
    const other = new Uint8Array(32).fill(9);
    expect(codeOf(verifier.checkNote(epoch.signNote(3, other)))).toBe('fork');
    expect(codeOf(verifier.checkNote(epoch.signNote(0, other)))).toBe('fork');
    const origin = `${epoch.origin}x`;
    const elsewhere = epoch.signNote(3, epoch.tree.root(3), origin);
    expect(codeOf(verifier.checkNote(elsewhere))).toBe('note_signature');
    // Beyond the tree nothing can be said, but that it was signed.
    expect(assertAccepted(verifier.checkNote(epoch.signNote(epoch.size + 5, other))).size).toBe(
      epoch.size + 5,
    );
  });

  it('cover the whole tree as checkpoint', async () => {
    const epoch = await sampleEpoch();
    const verifier = new EpochVerifier(nodeCrypto, await testTrust());
    assertAccepted(verifier.add(assertAccepted(verifier.parse(epoch.leaves)), epoch.blobs));
    const finish = (note: Uint8Array): string => codeOf(verifier.finish(note));
    expect(finish(epoch.checkpoint)).toBe('accepted');
    expect(finish(epoch.notes[1]?.note ?? new Uint8Array())).toBe('root_mismatch');
    expect(finish(epoch.signNote(epoch.size, new Uint8Array(32)))).toBe('root_mismatch');
    expect(finish(epoch.signNote(epoch.size + 1, epoch.tree.root()))).toBe('root_mismatch');
    expect(finish(utf8('nothing'))).toBe('note_malformed');
  });
});
