import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import type { SimulatedNsmOptions } from '../../simulator/nsm/device.ts';
import { measure, measurementsJson } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { parsePolicyFile } from '../../verifier/policy-file.ts';
import { parseRoot } from '../../verifier/roots.ts';
import { parseCoseSign1 } from '../../wire/attestation/cose.ts';
import type { VerifiedAttestation } from '../../wire/attestation/verify.ts';
import { checkTime, verifyAttestation } from '../../wire/attestation/verify.ts';
import { toHex } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { encodeNsm, MAX_NSM_REQUEST_BYTES } from '../../wire/nsm.ts';
import { assertAccepted } from '../../wire/result.ts';
import { ROOT_DER } from '../wire/attestation/fixtures.ts';
import { describeNsmContract } from './nsm-contract.ts';

const measurements = measure({ boot: Buffer.from('boot'), application: Buffer.from('app') });

describeNsmContract('simulated NSM', async () => {
  const root = await SimulatedRoot.create();
  return { device: new SimulatedNsm({ root, measurements }), rootDer: root.certificateDer };
});

// The device's addon comes with the image; its test calls describeNsmContract too.
if (!existsSync('/dev/nsm')) {
  console.log('nsm contract: no /dev/nsm here, so only the simulator is held to it');
}

let root: SimulatedRoot;
let folder = '';
beforeAll(async () => {
  root = await SimulatedRoot.create();
  folder = await mkdtemp(join(tmpdir(), 'trackseal-nsm-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const NONE = { userData: null, nonce: null, publicKey: null };

async function attest(device: SimulatedNsm, rootDer: Uint8Array): Promise<VerifiedAttestation> {
  const document = assertAccepted(await new Nsm(device).attest(NONE));
  return assertAccepted(verifyAttestation(nodeCrypto, document, { rootDer }));
}

function boot(options: Partial<SimulatedNsmOptions> = {}): SimulatedNsm {
  return new SimulatedNsm({ root, measurements, ...options });
}

function code(name: string): string {
  return toHex(encodeCbor(new Map([['Error', name]])));
}

function extend(length: number): Uint8Array {
  return encodeNsm.extendPcr(16, new Uint8Array(length));
}

describe('the simulator', () => {
  it('answers with the error codes of the hardware', async () => {
    const device = boot();
    const error = async (request: Uint8Array): Promise<string> =>
      toHex(await device.request(request));
    expect(await error(encodeNsm.lockPcr(0))).toBe(code('ReadOnlyIndex'));
    expect(await error(encodeNsm.extendPcr(15, new Uint8Array(1)))).toBe(code('ReadOnlyIndex'));
    expect(await error(encodeNsm.describePcr(32))).toBe(code('InvalidIndex'));
    expect(await error(encodeNsm.lockPcrs(33))).toBe(code('InvalidIndex'));
    expect(await error(encodeCbor('Nothing'))).toBe(code('InvalidOperation'));
    const nonce = new Uint8Array(1025);
    expect(await error(encodeNsm.attestation({ ...NONE, nonce }))).toBe(code('InputTooLarge'));
  });

  it('takes requests of exactly 0x1000 bytes', async () => {
    const largest = extend(MAX_NSM_REQUEST_BYTES - 27);
    expect(largest).toHaveLength(MAX_NSM_REQUEST_BYTES);
    expect(toHex(await boot().request(largest))).not.toContain(toHex(encodeCbor('Error')));
    const larger = await boot().request(extend(MAX_NSM_REQUEST_BYTES - 26));
    expect(toHex(larger)).toContain(toHex(encodeCbor('InputTooLarge')));
  });

  it('writes the payload as an indefinite map', async () => {
    const document = assertAccepted(await new Nsm(boot()).attest(NONE));
    const { payload } = assertAccepted(parseCoseSign1(document));
    expect([payload[0], payload.at(-1)]).toEqual([0xbf, 0xff]);
  });

  it('puts measurements, role and instance where the hardware does', async () => {
    const instanceId = 'i-0123456789abcdef0';
    const device = boot({ instanceId, roleArn: 'arn:aws:iam::1:role/x' });
    const { document } = await attest(device, root.certificateDer);
    expect(document.moduleId.startsWith(`${instanceId}-enc`)).toBe(true);
    expect([0, 1, 2].map((index) => document.pcrs.get(index))).toEqual([
      measurements.pcr0,
      measurements.pcr1,
      measurements.pcr2,
    ]);
    const zero = new Uint8Array(48);
    expect(document.pcrs.get(3)).toEqual(
      nodeCrypto.sha384(zero, Buffer.from('arn:aws:iam::1:role/x')),
    );
  });

  it('in debug mode has zero for the image, and the instance as ever', async () => {
    const { document } = await attest(boot({ debugMode: true }), root.certificateDer);
    const zero = new Uint8Array(48);
    expect([0, 1, 2].map((index) => document.pcrs.get(index))).toEqual([zero, zero, zero]);
    expect(document.pcrs.get(4)).not.toEqual(zero);
  });

  it('never says that it is AWS', async () => {
    const { certificates } = await attest(boot(), root.certificateDer);
    for (const { der } of certificates) {
      const { subject, issuer } = new X509Certificate(der);
      for (const name of [subject, issuer]) {
        expect(name).toContain('OU=Not AWS');
        expect(name).not.toContain('aws.nitro-enclaves');
        expect(name).toMatch(/CN=.*nitro-simulator/u);
      }
    }
    const document = assertAccepted(await new Nsm(boot()).attest(NONE));
    expect(verifyAttestation(nodeCrypto, document, { rootDer: ROOT_DER })).toMatchObject({
      refusal: { code: 'chain_root' },
    });
  });
});

describe('its certificates', () => {
  const HOUR = 3_600_000;

  it('have the lifetimes and constraints of the hardware', async () => {
    const { certificates } = await attest(boot(), root.certificateDer);
    const shapes = certificates.map(({ notBeforeMs, notAfterMs, isCa, pathLength, keyUsage }) => [
      (notAfterMs - notBeforeMs) / HOUR,
      isCa,
      pathLength,
      keyUsage?.digitalSignature,
      keyUsage?.keyCertSign,
    ]);
    expect(shapes.slice(1)).toEqual([
      [20 * 24 + 1, true, 2, true, true],
      [6 * 24 + 1, true, 1, true, true],
      [24, true, 0, false, true],
      [3 + 3 / 3600, false, null, true, false],
    ]);
  });

  it('are reused until they expire, then renewed, and always valid', async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    const device = boot({ now: () => nowMs });
    let last: readonly string[] = [];
    const changes: (readonly number[])[] = [];
    for (const hours of [0, 2, 1, 1, 20, 24 * 5, 24 * 20]) {
      nowMs += hours * HOUR;
      const verified = await attest(device, root.certificateDer);
      expect(checkTime(verified, nowMs).ok).toBe(true);
      const ders = verified.certificates.map(({ der }) => toHex(der));
      changes.push(ders.flatMap((der, position) => (der === last[position] ? [] : [position])));
      last = ders;
    }
    // At 3 h exactly the leaf is still valid; at 4 h it is renewed; then higher ones follow.
    expect(changes).toEqual([[0, 1, 2, 3, 4], [], [], [4], [3, 4], [2, 3, 4], [1, 2, 3, 4]]);
  });

  it('are renewed when the clock goes back before them', async () => {
    let nowMs = Date.UTC(2026, 0, 2);
    const device = boot({ now: () => nowMs });
    await attest(device, root.certificateDer);
    nowMs -= 24 * HOUR;
    const verified = await attest(device, root.certificateDer);
    expect(checkTime(verified, nowMs).ok).toBe(true);
  });
});

describe('its root', () => {
  it('stays the same in its folder, the key readable by its owner only', async () => {
    const home = join(folder, 'root');
    const first = await SimulatedRoot.open(home);
    const second = await SimulatedRoot.open(home);
    expect(second.certificateDer).toEqual(first.certificateDer);
    expect((await stat(join(home, 'root-key.pem'))).mode & 0o777).toBe(0o600);
    const pem = await readFile(join(home, 'root.pem'), 'utf8');
    expect(assertAccepted(parseRoot(pem)).der).toEqual(first.certificateDer);
    const { document } = await attest(
      new SimulatedNsm({ root: second, measurements }),
      first.certificateDer,
    );
    expect(document.pcrs.size).toBe(16);
  });

  it('is not opened when certificate and key do not fit', async () => {
    const home = join(folder, 'mixed');
    await SimulatedRoot.open(home);
    await writeFile(join(home, 'root.pem'), root.pem);
    await expect(SimulatedRoot.open(home)).rejects.toThrow('do not fit');
  });
});

describe('measure', () => {
  it('has the value of an image without application', () => {
    // PCR2 of every image with one ramdisk, as real documents have it.
    const { pcr0, pcr1, pcr2 } = measure({ boot: Buffer.from('x'), application: new Uint8Array() });
    expect(toHex(pcr2)).toBe(
      '21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a',
    );
    expect(pcr0).toEqual(pcr1);
  });

  it("writes nitro-cli's JSON, which is a policy", () => {
    const { images } = assertAccepted(parsePolicyFile(measurementsJson(measurements)));
    expect(images).toEqual([{ ...measurements, others: new Map() }]);
  });
});
