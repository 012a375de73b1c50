// A Nitro Security Module in software: CBOR in, CBOR out, with the hardware's registers, locks, limits
// and error codes, and documents under the simulator's own root. It proves nothing about anything; it is
// here so that all code above the ioctl runs without AWS. test/simulator/nsm.test.ts holds it, and the
// real device where there is one, to the same contract.

import { createHash, randomBytes } from 'node:crypto';
import type { NsmDevice } from '../../enclave/nsm/nsm.ts';
import type { CborMap } from '../../wire/cbor.ts';
import { parseCbor } from '../../wire/cbor.ts';
import type { NsmError } from '../../wire/nsm.ts';
import { MAX_NSM_REQUEST_BYTES, MAX_NSM_RESPONSE_BYTES } from '../../wire/nsm.ts';
import { SimulatedChain } from './chain.ts';
import { encodePayload, signPayload } from './document.ts';
import type { NsmValue } from './encode.ts';
import { encodeNsm } from './encode.ts';
import type { Measurements } from './measure.ts';
import type { SimulatedRoot } from './root.ts';

const PCR_COUNT = 32;
const LOCKED_AT_BOOT = 16;
const RANDOM_BYTES = 256;
// The bound of AWS's CDDL and of its nsm-check. Hardware has been seen to take more; we do not.
const MAX_FIELD_BYTES = 1024;

export interface SimulatedNsmOptions {
  readonly root: SimulatedRoot;
  readonly measurements: Measurements;
  /** `i-` and 17 hex digits; random when left out. */
  readonly instanceId?: string;
  readonly region?: string;
  /** ARN of the parent's role for PCR3; the register is zero without. */
  readonly roleArn?: string;
  /** Like `nitro-cli run-enclave --debug-mode`: PCR0 to 2 are zero. */
  readonly debugMode?: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number;
}

class NsmFailure extends Error {
  readonly code: NsmError;
  constructor(code: NsmError) {
    super(code);
    this.code = code;
  }
}

function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

const ZERO_PCR: Uint8Array = new Uint8Array(48);

function initialPcrs(options: SimulatedNsmOptions, instanceId: string): Uint8Array[] {
  const pcrs = Array.from({ length: PCR_COUNT }, () => ZERO_PCR);
  if (options.debugMode !== true) {
    const { pcr0, pcr1, pcr2 } = options.measurements;
    pcrs.splice(0, 3, pcr0, pcr1, pcr2);
  }
  if (options.roleArn !== undefined) pcrs[3] = sha384(ZERO_PCR, Buffer.from(options.roleArn));
  pcrs[4] = sha384(ZERO_PCR, Buffer.from(instanceId));
  return pcrs;
}

export class SimulatedNsm implements NsmDevice {
  readonly moduleId: string;
  readonly #chain: SimulatedChain;
  readonly #pcrs: Uint8Array[];
  readonly #locked: boolean[];
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SimulatedNsmOptions) {
    const instanceId = options.instanceId ?? `i-0${randomBytes(8).toString('hex')}`;
    this.moduleId = `${instanceId}-enc${randomBytes(8).toString('hex')}`;
    const region = options.region ?? 'local-1';
    this.#chain = new SimulatedChain(options.root, region, instanceId, this.moduleId);
    this.#pcrs = initialPcrs(options, instanceId);
    this.#locked = Array.from({ length: PCR_COUNT }, (_, index) => index < LOCKED_AT_BOOT);
    this.#now = options.now ?? Date.now;
  }

  /** One after another, as the driver's mutex does. */
  request(bytes: Uint8Array): Promise<Uint8Array> {
    const answer = this.#last.then(() => this.#answer(bytes));
    this.#last = answer.catch(() => null);
    return answer;
  }

  async #answer(bytes: Uint8Array): Promise<Uint8Array> {
    try {
      const response = await this.#perform(bytes);
      if (response.length > MAX_NSM_RESPONSE_BYTES) throw new NsmFailure('BufferTooSmall');
      return response;
    } catch (error) {
      if (error instanceof NsmFailure) return encodeNsm(new Map([['Error', error.code]]));
      throw error;
    }
  }

  async #perform(bytes: Uint8Array): Promise<Uint8Array> {
    // The driver answers EMSGSIZE, which nsm-api turns into this error.
    if (bytes.length > MAX_NSM_REQUEST_BYTES) throw new NsmFailure('InputTooLarge');
    const { name, fields } = parseRequest(bytes);
    switch (name) {
      case 'DescribeNSM':
        return this.#describe();
      case 'GetRandom':
        return response(name, ['random', new Uint8Array(randomBytes(RANDOM_BYTES))]);
      case 'DescribePCR': {
        const index = readIndex(fields);
        const lock = this.#locked[index] ?? false;
        return response(name, ['lock', lock], ['data', this.#pcrs[index] ?? ZERO_PCR]);
      }
      case 'ExtendPCR':
        return response(name, ['data', this.#extend(readIndex(fields), readData(fields))]);
      case 'LockPCR':
        this.#lock(readIndex(fields));
        return encodeNsm(name);
      case 'LockPCRs': {
        const range = readU16(fields, 'range');
        if (range > PCR_COUNT) throw new NsmFailure('InvalidIndex');
        this.#locked.fill(true, 0, range);
        return encodeNsm(name);
      }
      case 'Attestation':
        return response(name, ['document', await this.#attest(fields)]);
      default:
        throw new NsmFailure('InvalidOperation');
    }
  }

  #describe(): Uint8Array {
    return response(
      'DescribeNSM',
      ['version_major', 1],
      ['version_minor', 0],
      ['version_patch', 0],
      ['module_id', this.moduleId],
      ['max_pcrs', PCR_COUNT],
      ['locked_pcrs', this.#locked.flatMap((locked, index) => (locked ? [index] : []))],
      ['digest', 'SHA384'],
    );
  }

  #extend(index: number, data: Uint8Array): Uint8Array {
    if (this.#locked[index] === true) throw new NsmFailure('ReadOnlyIndex');
    const value = sha384(this.#pcrs[index] ?? ZERO_PCR, data);
    this.#pcrs[index] = value;
    return value;
  }

  #lock(index: number): void {
    if (this.#locked[index] === true) throw new NsmFailure('ReadOnlyIndex');
    this.#locked[index] = true;
  }

  async #attest(fields: CborMap): Promise<Uint8Array> {
    const timestampMs = this.#now();
    const { cabundle, certificate, keys } = await this.#chain.at(timestampMs);
    const locked = this.#pcrs.flatMap((value, index) =>
      this.#locked[index] === true ? [[index, value] as const] : [],
    );
    const payload = encodePayload({
      moduleId: this.moduleId,
      timestampMs,
      pcrs: new Map(locked),
      certificate,
      cabundle,
      publicKey: readField(fields, 'public_key'),
      userData: readField(fields, 'user_data'),
      nonce: readField(fields, 'nonce'),
    });
    return signPayload(payload, keys.privateKey);
  }
}

function response(name: string, ...fields: readonly (readonly [string, NsmValue])[]): Uint8Array {
  return encodeNsm(new Map([[name, new Map(fields)]]));
}

function parseRequest(bytes: Uint8Array): { readonly name: string; readonly fields: CborMap } {
  const decoded = parseCbor(bytes, { maxBytes: MAX_NSM_REQUEST_BYTES, deterministic: false });
  if (!decoded.ok) throw new NsmFailure('InvalidOperation');
  const request = decoded.value;
  const bare = request === 'DescribeNSM' || request === 'GetRandom';
  if (bare) return { name: request, fields: new Map() };
  if (!(request instanceof Map) || request.size !== 1) throw new NsmFailure('InvalidOperation');
  for (const [name, fields] of request as CborMap) {
    if (typeof name !== 'string' || name === 'DescribeNSM' || name === 'GetRandom') break;
    if (fields instanceof Map) return { name, fields: fields as CborMap };
  }
  throw new NsmFailure('InvalidOperation');
}

function readU16(fields: CborMap, key: string): number {
  const value = fields.get(key);
  if (typeof value !== 'number' || value < 0 || value > 0xffff) {
    throw new NsmFailure('InvalidOperation');
  }
  return value;
}

function readIndex(fields: CborMap): number {
  const index = readU16(fields, 'index');
  if (index >= PCR_COUNT) throw new NsmFailure('InvalidIndex');
  return index;
}

function readData(fields: CborMap): Uint8Array {
  const data = fields.get('data');
  if (!(data instanceof Uint8Array)) throw new NsmFailure('InvalidOperation');
  return data;
}

function readField(fields: CborMap, key: string): Uint8Array | null {
  const value = fields.get(key) ?? null;
  if (value === null) return null;
  if (!(value instanceof Uint8Array)) throw new NsmFailure('InvalidOperation');
  if (value.length > MAX_FIELD_BYTES) throw new NsmFailure('InputTooLarge');
  return value;
}
