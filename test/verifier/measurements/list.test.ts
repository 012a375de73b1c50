import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run as runSign } from '../../../verifier/commands/measurements-sign.ts';
import { run as runVerify } from '../../../verifier/commands/measurements-verify.ts';
import type { ListedImage, MeasurementsList } from '../../../verifier/measurements/list.ts';
import {
  parseUnsignedList,
  signMeasurements,
  verifyMeasurements,
} from '../../../verifier/measurements/list.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { measurements, sampleEpoch } from '../../helpers/epoch-builder.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PEM = pair.privateKey.export({ format: 'pem', type: 'pkcs8' });
const SPKI = new Uint8Array(pair.publicKey.export({ format: 'der', type: 'spki' }));
const RELEASE_KEY = Buffer.from(SPKI).toString('base64');
const other: ListedImage = {
  name: '0.9.0',
  pcr0: '11'.repeat(48),
  pcr1: '12'.repeat(48),
  pcr2: '13'.repeat(48),
  status: 'allowed',
  note: 'the one before',
};
const own: ListedImage = {
  name: '1.0.0',
  pcr0: toHex(measurements.pcr0),
  pcr1: toHex(measurements.pcr1),
  pcr2: toHex(measurements.pcr2),
  status: 'allowed',
  note: '',
};

function listOf(counter: number, ...images: readonly ListedImage[]): MeasurementsList {
  return { format: 'trackseal/measurements/v1', counter, issued: '2026-11-21', images };
}

function signed(list: MeasurementsList, pem: string = PEM): Uint8Array {
  const made = signMeasurements(list, pem);
  if (made === null) throw new Error('not signed');
  return made.file;
}

/** As a policy has it. */
function image({ pcr0, pcr1, pcr2 }: ListedImage): object {
  return { HashAlgorithm: 'Sha384 { ... }', PCR0: pcr0, PCR1: pcr1, PCR2: pcr2 };
}

function codeOf(bytes: Uint8Array): string | null {
  const verified = verifyMeasurements(nodeCrypto, bytes, SPKI);
  return verified.ok ? null : verified.refusal.code;
}

describe('a signed list of measurements', () => {
  it('says what its signer said', () => {
    const list = listOf(3, own, { ...other, status: 'revoked', note: 'leaks its log key' });
    const verified = verifyMeasurements(nodeCrypto, signed(list), SPKI);
    expect(verified).toMatchObject({ ok: true, value: { list } });
  });

  it('is refused with any bit flipped', () => {
    const file = signed(listOf(3, own, other));
    for (let at = 0; at < file.length; at++) {
      const code = codeOf(file.with(at, (file[at] ?? 0) ^ 1));
      expect(code, `byte ${at}`).toMatch(/^measurements_(?:malformed|signature)$/u);
    }
  });

  it('is refused under another key, and with a signature over the bare JSON', () => {
    const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const pem = foreign.export({ format: 'pem', type: 'pkcs8' });
    expect(codeOf(signed(listOf(1, own), pem))).toBe('measurements_signature');
  });

  it('is signed by P-256 keys only', () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    for (const key of [p384, rsa]) {
      const pem = key.export({ format: 'pem', type: 'pkcs8' });
      expect(signMeasurements(listOf(1, own), pem)).toBeNull();
    }
    expect(signMeasurements(listOf(1, own), 'nothing')).toBeNull();
  });

  it('is refused when it is not canonical: readers could see two lists', () => {
    const text = Buffer.from(signed(listOf(1, own))).toString('utf8');
    expect(codeOf(utf8(JSON.stringify(JSON.parse(text))))).toBe('measurements_malformed');
    expect(codeOf(utf8(text.replace('"counter": 1', '"counter": 9,\n    "counter": 1')))).toBe(
      'measurements_malformed',
    );
  });

  it.each<[string, object]>([
    ['no counter', { counter: 0 }],
    ['a counter that is no integer', { counter: 1.5 }],
    ['another format', { format: 'trackseal/measurements/v2' }],
    ['a day that does not exist', { issued: '2026-02-30' }],
    ['no images', { images: [] }],
    ['an image twice, allowed and revoked', { images: [own, { ...own, status: 'revoked' }] }],
    ['zero PCRs', { images: [{ ...own, pcr1: '00'.repeat(48) }] }],
    ['a short PCR', { images: [{ ...own, pcr0: '11'.repeat(47) }] }],
    ['an unknown status', { images: [{ ...own, status: 'maybe' }] }],
    ['a note that moves the cursor', { images: [{ ...own, note: '\u001B[2J' }] }],
    ['an unknown field', { extra: 1 }],
  ])('cannot have %s', (_, change) => {
    const bytes = utf8(JSON.stringify({ ...listOf(1, own), ...change }));
    expect(parseUnsignedList(bytes)).toMatchObject({
      ok: false,
      refusal: { code: 'measurements_malformed' },
    });
  });
});

describe('the commands', () => {
  let folder: LogFolder;

  beforeAll(async () => {
    folder = await LogFolder.create();
    await folder.write([await sampleEpoch()]);
  });
  afterAll(() => folder.remove());

  let state = '';
  beforeEach(async () => {
    if (state !== '') await rm(state, { recursive: true });
    state = await mkdtemp(join(tmpdir(), 'trackseal-lists-'));
    return () => undefined;
  });
  afterAll(() => rm(state, { recursive: true, force: true }));

  async function publish(list: MeasurementsList): Promise<string> {
    const [unsigned, key, output] = ['list.json', 'release.pem', 'list.signed'].map((name) =>
      folder.path(name),
    ) as [string, string, string];
    await writeFile(unsigned, JSON.stringify(list));
    await writeFile(key, PEM);
    const made = await runCommand(runSign, unsigned, '--key', key, '-o', output);
    expect(made.err).toBe('');
    expect(made.out).toContain(RELEASE_KEY);
    return output;
  }

  async function policyFile(policy: object): Promise<string> {
    await writeFile(folder.path('listed.json'), JSON.stringify(policy));
    return folder.path('listed.json');
  }

  async function verify(policy: object, list: string | null): Promise<unknown> {
    const { verdict, exit } = await folder.verifyLogWith(
      { TRACKSEAL_LISTS: join(state, 'lists.json') },
      folder.log,
      '--no-heads',
      '--unsafe-root',
      folder.path('root.pem'),
      '--policy',
      await policyFile(policy),
      ...(list === null ? [] : ['--measurements-list', list]),
    );
    return { exit, verdict: verdict.verdict, code: verdict.code, detail: verdict.detail };
  }

  it('accept an image that only the list allows, under the policy that names its key', async () => {
    const list = await publish(listOf(1, own));
    expect(await verify({ release_key: RELEASE_KEY }, list)).toMatchObject({
      exit: 0,
      verdict: 'verified',
    });
    const beside = { Measurements: image(other), release_key: RELEASE_KEY };
    expect(await verify(beside, list)).toMatchObject({ verdict: 'verified' });
    expect(await verify(beside, null)).toMatchObject({ exit: 1, code: 'pcr_mismatch' });
  });

  it('refuse an image that was taken back, whatever the policy says, with the note', async () => {
    const revoked = { ...own, status: 'revoked', note: 'a hole in its parser' } as const;
    const list = await publish(listOf(1, revoked, other));
    const policy = { Measurements: image(own), release_key: RELEASE_KEY };
    expect(await verify(policy, null)).toMatchObject({ verdict: 'verified' });
    expect(await verify(policy, list)).toMatchObject({
      exit: 1,
      code: 'image_revoked',
      detail: { note: 'a hole in its parser' },
    });
  });

  it('refuse an older list than one seen before, and a second one of its counter', async () => {
    const policy = { Measurements: image(own), release_key: RELEASE_KEY };
    const newer = await publish(listOf(8, { ...own, status: 'revoked' }, other));
    expect(await verify(policy, newer)).toMatchObject({ code: 'image_revoked' });
    const older = await publish(listOf(7, own, other));
    expect(await verify(policy, older)).toMatchObject({ exit: 2, code: 'measurements_older' });
    const twin = await publish(listOf(8, own, other));
    expect(await verify(policy, twin)).toMatchObject({ exit: 2, code: 'measurements_conflict' });
    const again = await publish(listOf(8, { ...own, status: 'revoked' }, other));
    expect(await verify(policy, again)).toMatchObject({ code: 'image_revoked' });
  });

  it('take no list without the key that the verifier has chosen', async () => {
    const list = await publish(listOf(1, own));
    expect(await verify({ Measurements: image(own) }, list)).toMatchObject({
      exit: 2,
      code: 'policy_malformed',
    });
    expect(await verify({ release_key: RELEASE_KEY }, null)).toMatchObject({
      exit: 2,
      code: 'policy_malformed',
    });
    const all = await publish(listOf(2, { ...own, status: 'revoked' }));
    expect(await verify({ release_key: RELEASE_KEY }, all)).toMatchObject({
      exit: 2,
      code: 'policy_malformed',
    });
  });

  it('accept each image of an upgrade window as a whole, and no mixture', async () => {
    const window = { Measurements: image(other), images: [image(own)] };
    expect(await verify(window, null)).toMatchObject({ verdict: 'verified' });
    const mixed = { ...own, pcr0: other.pcr0 };
    const mixture = { Measurements: image(mixed), images: [image({ ...other, pcr0: own.pcr0 })] };
    expect(await verify(mixture, null)).toMatchObject({ code: 'pcr_mismatch' });
    expect(await verify({ images: [] }, null)).toMatchObject({ code: 'policy_malformed' });
    expect(await verify({}, null)).toMatchObject({ code: 'policy_malformed' });
  });

  it('show a list to people', async () => {
    const revoked = { ...own, status: 'revoked', note: 'a hole' } as const;
    const list = await publish(listOf(4, revoked, other));
    const env = { TRACKSEAL_LISTS: join(state, 'lists.json') };
    const show = (...args: readonly string[]): ReturnType<typeof runCommand> =>
      runCommand((given, io) => runVerify(given, { ...io, env }), ...args);
    const shown = await show(list, '--release-key', RELEASE_KEY);
    expect(shown.exit).toBe(0);
    expect(shown.out).toMatch(/REVOKED +1\.0\.0: a hole/u);
    const older = await publish(listOf(3, own));
    const refused = await show(older, '--release-key', RELEASE_KEY, '--json');
    expect([refused.exit, refused.out]).toEqual([1, expect.stringContaining('measurements_older')]);
    const none = await show(list);
    expect([none.exit, none.err]).toEqual([2, expect.stringContaining('usage_invalid')]);
  });
});
