import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { NsmDevice } from '../../enclave/nsm/nsm.ts';
import type { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import {
  encodeDataKeys,
  encodeHandOver,
  MAX_CREDENTIALS_BYTES,
  MAX_HAND_OVER_BYTES,
} from '../../wire/kms-messages.ts';
import { MAX_BOOT_BYTES, MAX_CONFIGURATION_BYTES } from '../../wire/limits.ts';
import type { Item } from '../../wire/messages.ts';
import { encodeItem, FRAME, PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { parseNsm } from '../../wire/nsm.ts';
import { CLOSE_REASON } from '../../wire/payloads.ts';
import { assertAccepted, refuse } from '../../wire/result.ts';
import { MAX_SEALED_ITEMS } from '../../wire/sealed.ts';
import type { HostOptions } from '../helpers/enclave-host.ts';
import {
  commitmentOf,
  hostConfiguration,
  manifestOf,
  newNsm,
  startHost,
  testItems,
} from '../helpers/enclave-host.ts';
import type { FakeStrategies } from '../helpers/fake-strategy.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

vi.setConfig({ testTimeout: 10_000 });

const NONE = new Uint8Array(0);
const CONFIGURATION = canonicalJson(hostConfiguration());

/** A device that answers `name` with something else. */
function faultyNsm(
  nsm: SimulatedNsm,
  name: string,
  answer: (real: () => Promise<Uint8Array>, call: number) => Promise<Uint8Array> | Uint8Array,
): NsmDevice {
  let calls = 0;
  return {
    request: async (bytes) => {
      const decoded = assertAccepted(parseCbor(bytes, { maxBytes: 4096, deterministic: false }));
      const called = decoded instanceof Map ? [...decoded.keys()][0] : decoded;
      return called === name ? answer(() => nsm.request(bytes), calls++) : nsm.request(bytes);
    },
  };
}

const BROKEN_FRAMES: ReadonlySet<string | null> = new Set(['frame_unknown', 'frame_too_large']);

async function refusal(options: HostOptions): Promise<string | null> {
  const host = await startHost(options);
  const { code } = await host.end;
  expect(host.diagnostics.at(-1)?.code).toBe(code);
  // A stream whose frames are broken is dead: there the diagnostics say it alone.
  const failed = BROKEN_FRAMES.has(code) ? code : await host.failed();
  expect(failed).toBe(code);
  // Nothing half-started: no port is listened to.
  expect(host.listens(PORT.feed) || host.listens(PORT.https)).toBe(false);
  return code;
}

const PCR = new Uint8Array(48).fill(1);
type Send = (type: number, payload: Uint8Array) => void;

function sendAll(send: Send, items: readonly Item[] = testItems()): void {
  send(FRAME.config, CONFIGURATION);
  for (const item of items) send(FRAME.item, encodeItem(item));
  send(FRAME.previous, NONE);
  send(FRAME.go, NONE);
}

describe('boot messages', () => {
  const wrong: [name: string, code: string, bootMessages: (send: Send) => void][] = [
    ['GO before CONFIG', 'boot_order', (send) => send(FRAME.go, NONE)],
    [
      'GO before PREVIOUS',
      'boot_order',
      (send) => {
        send(FRAME.config, CONFIGURATION);
        send(FRAME.go, NONE);
      },
    ],
    [
      'a second CONFIG',
      'boot_order',
      (send) => {
        send(FRAME.config, CONFIGURATION);
        send(FRAME.config, CONFIGURATION);
      },
    ],
    [
      'a second PREVIOUS',
      'boot_order',
      (send) => {
        send(FRAME.previous, NONE);
        send(FRAME.previous, NONE);
      },
    ],
    [
      'an ITEM after GO',
      'boot_order',
      (send) => {
        sendAll(send);
        send(FRAME.item, encodeItem(testItems()[0]));
      },
    ],
    [
      'a second DATA_KEYS',
      'boot_order',
      (send) => {
        send(FRAME.dataKeys, encodeDataKeys({ records: [], rotate: [] }));
        send(FRAME.dataKeys, encodeDataKeys({ records: [], rotate: [] }));
      },
    ],
    [
      'a SEALED after GO',
      'boot_order',
      (send) => {
        sendAll(send);
        send(FRAME.sealed, NONE);
      },
    ],
    [
      'a HAND_OVER before READY',
      'boot_order',
      (send) => {
        send(FRAME.handOver, encodeHandOver({ pcrs: [PCR, PCR, PCR], note: '' }));
      },
    ],
    [
      'one SEALED more than there can be',
      'seal_unexpected',
      (send) => {
        for (let count = 0; count <= MAX_SEALED_ITEMS; count++) send(FRAME.sealed, NONE);
      },
    ],
    [
      'as many SEALED as there can be, which nobody asked for',
      'seal_malformed',
      (send) => {
        for (let count = 0; count < MAX_SEALED_ITEMS; count++) send(FRAME.sealed, NONE);
        sendAll(send);
      },
    ],
    [
      'more bytes of SEALED than there can be',
      'seal_unexpected',
      (send) => {
        const most = new Uint8Array(MAX_BOOT_BYTES);
        for (let count = 0; count < 9; count++) send(FRAME.sealed, most);
      },
    ],
    ['CREDENTIALS that are none', 'cbor_truncated', (send) => send(FRAME.credentials, NONE)],
    [
      'CREDENTIALS beyond their size',
      'frame_too_large',
      (send) => send(FRAME.credentials, new Uint8Array(MAX_CREDENTIALS_BYTES + 1)),
    ],
    [
      'a HAND_OVER beyond its size',
      'frame_too_large',
      (send) => send(FRAME.handOver, new Uint8Array(MAX_HAND_OVER_BYTES + 1)),
    ],
    ['a frame of another stream', 'frame_unknown', (send) => send(FRAME.batch, NONE)],
    ['a GO with a payload', 'frame_too_large', (send) => send(FRAME.go, new Uint8Array(1))],
    [
      'a CONFIG beyond its size',
      'frame_too_large',
      (send) => send(FRAME.config, new Uint8Array(MAX_CONFIGURATION_BYTES + 1)),
    ],
    ['an ITEM that is none', 'cbor_malformed', (send) => send(FRAME.item, utf8('\u00ff'))],
    ['a PREVIOUS that is none', 'cbor_truncated', (send) => send(FRAME.previous, utf8('a'))],
    [
      'a configuration that is not JSON',
      'json_malformed',
      (send) => {
        send(FRAME.config, utf8('{'));
        send(FRAME.previous, NONE);
        send(FRAME.go, NONE);
      },
    ],
    [
      'a configuration that is not canonical',
      'config_not_canonical',
      (send) => {
        send(FRAME.config, utf8(JSON.stringify(hostConfiguration())));
        send(FRAME.previous, NONE);
        send(FRAME.go, NONE);
      },
    ],
    [
      'seventeen items',
      'item_unexpected',
      (send) => {
        for (let count = 0; count < 17; count++) send(FRAME.item, encodeItem(testItems()[0]));
      },
    ],
  ];
  it.each(wrong)('%s is refused as %s', async (_, code, bootMessages) => {
    expect(await refusal({ bootMessages })).toBe(code);
  });

  it('come in any order before GO', async () => {
    const host = await startHost({
      bootMessages: (send) => {
        send(FRAME.previous, NONE);
        for (const item of testItems().toReversed()) send(FRAME.item, encodeItem(item));
        send(FRAME.config, CONFIGURATION);
        send(FRAME.go, NONE);
      },
    });
    expect((await host.ready()).origin).toMatch(/e0000000001$/u);
  });

  it('that do not come are refused after the time limit', async () => {
    const options = { bootMessages: () => null, timeouts: { bootMs: 30 } };
    expect(await refusal(options)).toBe('boot_timeout');
  });

  it('end with the stream', async () => {
    const host = await startHost({ bootMessages: () => null });
    await host.until(() => host.bootFrames.length === 1);
    host.wires.get(PORT.boot)?.host.end();
    expect(await host.end).toEqual({ code: 'stream_closed' });
  });

  it('are not missed by a close: nothing is logged yet', async () => {
    const host = await startHost({ bootMessages: (send) => send(FRAME.close, NONE) });
    expect(await host.end).toEqual({ code: null });
    expect(host.commits).toEqual([]);
  });

  it('a host that does not accept is an end, not a hang', async () => {
    const host = await startHost({ deafPorts: [PORT.boot] });
    expect(await host.end).toEqual({ code: 'stream_closed' });
    const deafLog = await startHost({ deafPorts: [PORT.log] });
    expect(await deafLog.end).toEqual({ code: 'log_unavailable' });
  });

  it('diagnostics are not needed', async () => {
    const host = await startHost({ deafPorts: [PORT.diagnostics] });
    expect((await host.ready()).logKey).toHaveLength(91);
  });
});

describe('items', () => {
  const [strategy, parameters] = testItems();
  const wrong: [name: string, code: string, items: readonly Item[]][] = [
    ['no bundle', 'item_missing', [parameters]],
    ['no parameters', 'item_missing', [strategy]],
    ['another version', 'item_missing', [{ ...strategy, version: '1.0.1' }, parameters]],
    ['another bundle', 'commitment_mismatch', [{ ...strategy, bytes: utf8('x') }, parameters]],
    [
      'another salt',
      'commitment_mismatch',
      [{ ...strategy, salt: new Uint8Array(32) }, parameters],
    ],
    ['a bundle twice', 'item_unexpected', [strategy, parameters, strategy]],
    ['one of no strategy', 'item_unexpected', [strategy, parameters, ...testItems('other')]],
  ];
  it.each(wrong)('%s is refused as %s', async (_, code, items) => {
    expect(await refusal({ items })).toBe(code);
  });

  it('of a strategy that the image has not measured are refused', async () => {
    const measured = manifestOf({ ...hostConfiguration(), strategies: [] });
    expect(await refusal({ measured })).toBe('commitment_not_measured');
  });

  it('need a readable manifest', async () => {
    expect(await refusal({ measured: utf8('{"version":1}') })).toBe('json_malformed');
    expect(await refusal({ measured: utf8('x') })).toBe('json_malformed');
    expect(await refusal({ measured: new Uint8Array(64 * 1024 + 1) })).toBe('json_malformed');
  });

  it('a strategy that refuses its parameters stops the boot', async () => {
    const strategies = fakeStrategies({ refuse: refuse('strategy_parameters') });
    expect(await refusal({ strategies })).toBe('strategy_parameters');
  });

  it('and seeds are wiped once the strategy has started', async () => {
    const strategies = fakeStrategies({});
    const host = await startHost({ strategies });
    await host.ready();
    const given = strategies.started[0]?.given;
    expect(strategies.started[0]?.seed).not.toEqual(new Uint8Array(32));
    expect(given?.seed).toEqual(new Uint8Array(32));
    expect(given?.bundle.every((byte) => byte === 0)).toBe(true);
    expect(given?.parameters.every((byte) => byte === 0)).toBe(true);
  });
});

function randomAnswer(bytes: number, value: number): Uint8Array {
  const random = new Uint8Array(bytes).fill(value);
  return encodeCbor(new Map([['GetRandom', new Map([['random', random]])]]));
}

describe('NSM', () => {
  let nsm: SimulatedNsm;
  beforeAll(async () => {
    nsm = await newNsm();
  });

  it('that answers constants or too little randomness is refused', async () => {
    const devices = [
      faultyNsm(nsm, 'GetRandom', () => randomAnswer(256, 5)),
      faultyNsm(nsm, 'GetRandom', (_, call) => randomAnswer(256, call)),
      faultyNsm(nsm, 'GetRandom', (_, call) => randomAnswer(31, call + 1)),
    ];
    for (const nsmDevice of devices) {
      expect(await refusal({ nsmDevice })).toBe('nsm_malformed');
    }
  });

  it('that is not there is refused', async () => {
    const nsmDevice = { request: () => Promise.reject(new Error('ENOENT')) };
    expect(await refusal({ nsmDevice })).toBe('nsm_unavailable');
  });

  it('with another value in PCR16 than its digest gives is refused', async () => {
    const fresh = await newNsm();
    const nsmDevice = faultyNsm(fresh, 'ExtendPCR', async (real) => {
      const answer = await real();
      await real();
      return answer;
    });
    expect(await refusal({ nsmDevice })).toBe('nsm_malformed');
  });

  it('that does not lock is refused', async () => {
    const fresh = await newNsm();
    const nsmDevice = faultyNsm(fresh, 'LockPCRs', () => encodeCbor('LockPCRs'));
    expect(await refusal({ nsmDevice })).toBe('nsm_malformed');
  });

  it('that says PCR16 is not locked is refused, whatever else it says', async () => {
    const fresh = await newNsm();
    const nsmDevice = faultyNsm(fresh, 'DescribePCR', async (real, call) => {
      const { value } = assertAccepted(parseNsm.describePcr(await real()));
      const fields = new Map<string, CborValue>([
        ['lock', false],
        ['data', value],
      ]);
      return call === 0 ? real() : encodeCbor(new Map([['DescribePCR', fields]]));
    });
    expect(await refusal({ nsmDevice })).toBe('nsm_malformed');
  });

  it('that locks PCR16 alone is refused: others could still be extended', async () => {
    const fresh = await newNsm();
    const nsmDevice = faultyNsm(fresh, 'LockPCRs', async () => {
      await fresh.request(encodeCbor(new Map([['LockPCR', new Map([['index', 16]])]])));
      return encodeCbor('LockPCRs');
    });
    expect(await refusal({ nsmDevice })).toBe('nsm_malformed');
  });

  it('whose clock is too far from ours is refused, and what the header says of it is true', async () => {
    const limitMs = 1000;
    expect(await refusal({ nsmDevice: await newNsm(() => Date.now() + limitMs + 500) })).toBe(
      'clock_divergence',
    );
    expect(await refusal({ nsmDevice: await newNsm(() => Date.now() - limitMs - 500) })).toBe(
      'clock_divergence',
    );
    const host = await startHost({ nsmDevice: await newNsm(() => Date.now() + limitMs - 500) });
    await host.ready();
    const { clock } = assertAccepted(parseHeader(host.open(0)));
    expect(clock.errorBoundNs).toBeGreaterThan(490e6);
    expect(clock.errorBoundNs).toBeLessThan(2000e6);
  });
});

describe("compliance's key", () => {
  it('of low order is refused: anybody could unwrap the disclosure key', async () => {
    const configuration = { compliance_public_key: '00'.repeat(32) };
    expect(await refusal({ configuration })).toBe('config_invalid');
  });
});

describe('the first leaves', () => {
  it('bind configuration, keys, streams and strategies', async () => {
    const host = await startHost();
    const ready = await host.ready();
    const header = assertAccepted(parseHeader(host.open(0)));
    expect(header.origin).toBe(ready.origin);
    expect(toHex(header.logKey)).toBe(toHex(ready.logKey));
    expect(host.tree.node(0, 0)).toEqual(new Uint8Array(ready.leaf0Hash));
    expect(toHex(header.configuration)).toBe(toHex(CONFIGURATION));
    expect(toHex(header.configurationDigest)).toBe(toHex(nodeCrypto.sha256(CONFIGURATION)));
    expect(header.previous).toBeNull();
    expect(header.streams.map(({ id }) => id)).toEqual([0, 1, 2, 1000, 2000]);
    const [strategy, parameters] = testItems();
    const { bundleCommitment, parametersCommitment, ...named } = header.strategies[0] ?? {};
    expect(named).toEqual({ stream: 1000, name: 'example', version: '1.0.0' });
    expect(toHex(bundleCommitment ?? NONE)).toBe(commitmentOf(strategy));
    expect(toHex(parametersCommitment ?? NONE)).toBe(commitmentOf(parameters));
    // One commit for both, so that no head without the attestation is ever signed.
    expect(host.commits[0]?.leaves).toHaveLength(2);
    expect(host.leaf(1).kind).toBe(KIND.attestation);
  });

  it('must be acknowledged before anything is listened to', async () => {
    const host = await startHost({ acknowledge: false });
    await host.until(() => host.commits.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.listens(PORT.feed) || host.listens(PORT.https)).toBe(false);
    expect(host.commits).toHaveLength(1);
    expect(host.strategies.started).toHaveLength(0);
    host.acknowledge = true;
    host.ackAll();
    await host.ready();
  });

  it('end the boot when nobody acknowledges them in time', async () => {
    expect(await refusal({ acknowledge: false, timeouts: { bootMs: 50 } })).toBe('boot_timeout');
  });

  it('a boot that ends while ports are opened leaves none open', async () => {
    const host = await startHost({
      onListen: (starting, port) => {
        if (port === PORT.https) starting.enclave.fail('internal');
      },
    });
    expect(await host.end).toEqual({ code: 'internal' });
    await vi.waitUntil(() => !host.listens(PORT.https) && !host.listens(PORT.feed));
    expect(host.bootFrames.some(({ type }) => type === FRAME.ready)).toBe(false);
  });

  it('a strategy that starts after the end is stopped', async () => {
    const fakes = fakeStrategies({});
    const asked = Promise.withResolvers<null>();
    const starting = Promise.withResolvers<null>();
    const strategies: FakeStrategies = {
      started: fakes.started,
      start: async (...rest) => {
        asked.resolve(null);
        await starting.promise;
        return fakes.start(...rest);
      },
    };
    const host = await startHost({ strategies });
    await asked.promise;
    host.enclave.fail('internal');
    expect(await host.end).toEqual({ code: 'internal' });
    starting.resolve(null);
    await vi.waitUntil(() => fakes.started[0]?.stopped === true);
    expect(host.listens(PORT.feed)).toBe(false);
  });

  it('a close that is asked for meanwhile comes after READY', async () => {
    const host = await startHost({ acknowledge: false });
    await host.until(() => host.commits.length === 1);
    host.sendBoot(FRAME.close);
    host.enclave.close(CLOSE_REASON.signal);
    host.acknowledge = true;
    host.ackAll();
    await host.ready();
    expect(await host.end).toEqual({ code: null });
    expect(host.parsedLeaves().at(-1)?.kind).toBe(KIND.close);
  });
});
