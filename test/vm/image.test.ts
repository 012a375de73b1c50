// The image of `make eif`, booted once for all of this file: what /dev/nsm says, what a verifier says of it, and that
// the job of the appliance is done inside.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import type { AttestationDocument } from '../../wire/attestation/document.ts';
import { parseUnsignedDocument } from '../../wire/attestation/unsigned.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseUserData } from '../../wire/attestation/parse-user-data.ts';
import { concatBytes, parseHex, toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostSummary } from '../e2e/appliance.ts';
import { attest, TestHost, verifyLog } from '../e2e/appliance.ts';
import { indexesOf, listLeaves, readJournal, signedHeads } from '../e2e/evidence.ts';
import type { CommandResult, ProcessEnd } from '../e2e/processes.ts';
import { cleanUp, lastingFolder, trackseal } from '../e2e/processes.ts';
import { consoleOf, MEASUREMENTS, newVmAppliance, newVmPlace, SKIPPED, vmHost } from './place.ts';
import type { VmPlace } from './place.ts';

const ALL_PCRS = 32;
const EVENTS = 8000;
const TIMEOUT = ['--timeout-ms', '120000'] as const;

interface Seen {
  readonly appliance: Appliance;
  readonly place: VmPlace;
  readonly strict: CommandResult;
  readonly attested: CommandResult;
  readonly document: AttestationDocument;
  readonly end: ProcessEnd;
  readonly summary: HostSummary;
}

describe.skipIf(SKIPPED)('the image in an emulated enclave', () => {
  let folder = '';
  let seen: Seen;

  beforeAll(async () => {
    folder = lastingFolder();
    const appliance = await newVmAppliance(join(folder, 'a'));
    const place = newVmPlace(folder);
    const options = { speed: 40, limitEvents: EVENTS, ...vmHost(place, 'hvsock') };
    const host = TestHost.start(appliance, place, options);
    const url = await host.url();
    await host.waitForEvent('enclave_ready');
    const strict = await trackseal([
      'attest',
      url,
      '--policy',
      appliance.policy,
      ...TIMEOUT,
      '--json',
    ]);
    const file = join(folder, 'attestation.cbor');
    const heads = join(folder, 'heads.json');
    const attested = await attest(appliance, url, heads, ['-o', file, ...TIMEOUT]);
    const { end, summary } = await host.finish();
    const document = assertAccepted(parseUnsignedDocument(new Uint8Array(readFileSync(file))));
    seen = { appliance, place, strict, attested, document, end, summary };
  });
  afterAll(async () => {
    await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has the measured PCRs, and no parent’s in their place', () => {
    const { Measurements } = JSON.parse(readFileSync(MEASUREMENTS, 'utf8')) as {
      Measurements: Record<string, string>;
    };
    for (const index of [0, 1, 2]) {
      const pcr = seen.document.pcrs.get(index) ?? new Uint8Array();
      expect(toHex(pcr), `PCR${index}`).toBe(Measurements[`PCR${index}`]);
    }
  });

  it('has the digest of its configuration in PCR16, and all PCRs locked', () => {
    const { pcrs } = seen.document;
    // Documents list the locked ones only.
    expect([...pcrs.keys()].toSorted((a, b) => a - b)).toEqual([...Array(ALL_PCRS).keys()]);
    const digest = nodeCrypto.sha256(new Uint8Array(readFileSync(seen.appliance.configuration)));
    const expected = nodeCrypto.sha384(concatBytes(new Uint8Array(48), digest));
    expect(toHex(pcrs.get(16) ?? new Uint8Array())).toBe(toHex(expected));
  });

  it('is refused by a verifier without flags, as unsigned', () => {
    const { code, json } = seen.strict;
    expect([code, json['verdict'], json['code']]).toEqual([1, 'refused', 'cose_algorithm']);
  });

  it('attests the LP’s nonce, the log’s key and its head, on the TLS connection', async () => {
    const { attested, document, appliance } = seen;
    expect(attested.code, `${attested.stderr}\n${attested.stdout}`).toBe(0);
    const { json } = attested;
    expect(json).toMatchObject({ verdict: 'verified', unsafe: ['--unsafe-unsigned'] });
    // `verified` with `nonce_checked`: the document's is the one that was drawn, and so is the TLS key.
    expect(json['nonce_checked']).toBe(true);
    expect(json['skipped']).not.toContain('tls_key');
    expect(document.nonce).toEqual(parseHex(String(json['nonce'])));
    const userData = assertAccepted(parseUserData(document.userData ?? new Uint8Array()));
    expect(userData?.purpose).toBe(PURPOSE.challenge);
    const verdict = await verifyLog(appliance);
    expect(toHex(document.publicKey ?? new Uint8Array())).toBe(verdict.json['log_key']);
    const { size = 0, root = new Uint8Array() } = userData?.head ?? {};
    expect(signedHeads(appliance.logDirectory, 1).get(size)).toBe(toHex(root));
  });

  it('does the job: signals flow, orders are filled, it ends cleanly', async () => {
    const { end, summary, appliance, place } = seen;
    expect(end, consoleOf(place)).toEqual({ code: 0, signal: null });
    expect(summary).toMatchObject({
      clean: true,
      epochs: [{ epoch: 1, closed: true, code: null }],
    });
    const outputs = indexesOf(await listLeaves(appliance, 1), 'output');
    expect(outputs.length).toBeGreaterThan(0);
    const fills = readJournal(appliance).filter(({ type }) => type === 'fill');
    expect(fills.length).toBeGreaterThan(0);
  });

  it('leaves a log that verifies, with its key and the head that the LP has seen', async () => {
    const heads = join(folder, 'heads.json');
    const { code, json, stderr } = await verifyLog(seen.appliance, { heads });
    expect(code, `${stderr}\n${JSON.stringify(json)}`).toBe(0);
    expect(json).toMatchObject({
      verdict: 'verified',
      end: 'clean',
      unsafe: ['--unsafe-unsigned'],
    });
    expect(json['consistency']).toEqual({ result: 'ok', remembered_heads: 1 });
  });

  it('tells the host why it ended', () => {
    expect(consoleOf(seen.place)).toMatch(/^trackseal: exit code 0/mu);
  });
});
