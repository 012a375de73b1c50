// trackseal kms policy: a key policy from measurements, for people to read before they put it.

import { writeFile } from 'node:fs/promises';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { PCR_BYTES } from '../../wire/sealed.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, refused } from '../command-line.ts';
import { lintPolicy } from '../kms/lint.ts';
import { parseKeyPolicy } from '../kms/policy-document.ts';
import type { KeyPolicy, PolicyOptions } from '../kms/policy.ts';
import { makeKeyPolicy, MAX_KEY_POLICY_CHARACTERS } from '../kms/policy.ts';
import type { ImageMeasurements } from '../measurements-file.ts';
import { readMeasurements } from '../measurements-file.ts';

const USAGE = `usage: trackseal kms policy --measurements FILE --enclave-role ARN --owner ARN --admin ARN [OPTIONS]

Writes a key policy: the enclave of this image, and nothing else, opens what is wrapped under the key. It names
PCR0, 1 and 2, and 3, 4 or 8 where the measurements have them, and denies everything without them.

  --measurements FILE  measurements.json of an image; once more for each image of an upgrade, oldest first
  --enclave-role ARN   role of the EC2 instance whose credentials the enclave uses; may be repeated
  --owner ARN          who may seal (kms:Encrypt); may be repeated
  --admin ARN          who administers the key and can use it for nothing; may be repeated
  --pin-role           the instance must have the one --enclave-role (PCR3), for all images
  --pcr3 HEX           the same as a value; --pcr8 HEX the certificate that signed the images
  --earlier HEX        PCR0 of an image that is gone and whose data keys must stay readable; may be repeated
  --lockdown           nobody can ever change the policy again: the next image needs another key
  --root-bypass ID     let IAM of this account do everything but use the key: AWS's default, and a hole
  -o, --out FILE       default: stdout
  --json               what is printed is JSON with or without it

Put it with: aws kms put-key-policy --key-id ARN --policy-name default --policy file://FILE
(and --bypass-policy-lockout-safety-check with --lockdown, or where the caller is not an admin)

Exit codes: 0 written, 1 a file is not of the known form, 2 wrong usage.
`;

const ARN = /^arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:(?:user|role|assumed-role)\/[\w+=,.@/-]+$/u;
const PCR = /^[0-9a-f]{96}$/u;

interface PolicyValues {
  readonly measurements?: readonly string[] | undefined;
  readonly 'enclave-role'?: readonly string[] | undefined;
  readonly owner?: readonly string[] | undefined;
  readonly admin?: readonly string[] | undefined;
  readonly earlier?: readonly string[] | undefined;
  readonly 'pin-role'?: boolean | undefined;
  readonly pcr3?: string | undefined;
  readonly pcr8?: string | undefined;
  readonly lockdown?: boolean | undefined;
  readonly 'root-bypass'?: string | undefined;
}

function arns(option: string, values: readonly string[] | undefined): Result<readonly string[]> {
  if (values === undefined) return refuse('usage_invalid', { what: `--${option} is needed` });
  const wrong = values.find((value) => !ARN.test(value));
  if (wrong === undefined) return accept(values);
  return refuse('usage_invalid', {
    what: `--${option} takes the ARN of a user or role`,
    got: wrong,
  });
}

/** As the hypervisor measures it: a zero register, extended with the role's ARN. */
function roleRegister(arn: string): string {
  return toHex(nodeCrypto.sha384(new Uint8Array(PCR_BYTES), utf8(arn)));
}

async function readImages(values: PolicyValues): Promise<Result<readonly ImageMeasurements[]>> {
  const paths = values.measurements ?? [];
  if (paths.length === 0) return refuse('usage_invalid', { what: '--measurements is needed' });
  const images: ImageMeasurements[] = [];
  for (const path of paths) {
    const image = await readMeasurements(path);
    if (!image.ok) return image;
    const others = new Map(image.value.others);
    const [role = ''] = values['enclave-role'] ?? [];
    if (values['pin-role'] === true) others.set(3, roleRegister(role));
    if (values.pcr3 !== undefined) others.set(3, values.pcr3.toLowerCase());
    if (values.pcr8 !== undefined) others.set(8, values.pcr8.toLowerCase());
    images.push({ ...image.value, others });
  }
  return accept(images);
}

async function readOptions(values: PolicyValues): Promise<Result<PolicyOptions>> {
  const { pcr3, pcr8, earlier = [], lockdown = false, 'root-bypass': account } = values;
  const registers = [pcr3, pcr8, ...earlier].filter((value) => value !== undefined);
  if (registers.some((value) => !PCR.test(value.toLowerCase()) || /^0+$/u.test(value))) {
    return refuse('usage_invalid', { what: 'a PCR has 96 hex digits that are not all zero' });
  }
  if (account !== undefined && !/^[0-9]{12}$/u.test(account)) {
    return refuse('usage_invalid', { what: '--root-bypass takes an account id' });
  }
  const enclaveRoles = arns('enclave-role', values['enclave-role']);
  const owners = arns('owner', values.owner);
  const admins = arns('admin', values.admin);
  for (const one of [enclaveRoles, owners, admins]) if (!one.ok) return one;
  if (!enclaveRoles.ok || !owners.ok || !admins.ok) return refuse('usage_invalid');
  const pinned = values['pin-role'] === true;
  if (pinned && (pcr3 !== undefined || enclaveRoles.value.length !== 1)) {
    return refuse('usage_invalid', { what: '--pin-role takes one --enclave-role and no --pcr3' });
  }
  const users = new Set([...enclaveRoles.value, ...owners.value]);
  const both = admins.value.find((arn) => users.has(arn));
  if (both !== undefined) {
    return refuse('usage_invalid', { what: 'an admin that also seals or unseals', got: both });
  }
  const images = await readImages(values);
  if (!images.ok) return images;
  return accept({
    images: images.value,
    enclaveRoles: enclaveRoles.value,
    owners: owners.value,
    admins: admins.value,
    earlierImages: earlier.map((value) => value.toLowerCase()),
    lockdown,
    rootBypass: account ?? null,
  });
}

async function write(
  policy: KeyPolicy,
  out: string | undefined,
  io: CommandIo,
): Promise<Result<null>> {
  const text = `${JSON.stringify(policy, null, 2)}\n`;
  if (JSON.stringify(policy).length > MAX_KEY_POLICY_CHARACTERS) {
    return refuse('usage_invalid', { what: 'too many images for one key policy' });
  }
  for (const { severity, code, what } of lintPolicy(parseKeyPolicy(text))) {
    if (severity !== 'note') io.stderr(`${severity}  ${code}: ${what}\n`);
  }
  if (out === undefined) {
    io.stdout(text);
    return accept(null);
  }
  try {
    await writeFile(out, text);
    return accept(null);
  } catch {
    return refuse('file_unreadable', { path: out, what: 'cannot be written' });
  }
}

/** Exit codes: 0 written, 1 a file is not of the known form, 2 wrong usage. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const many = { type: 'string', multiple: true } as const;
  const parsed = parseOptions({
    args: [...args],
    options: {
      measurements: many,
      'enclave-role': many,
      owner: many,
      admin: many,
      earlier: many,
      'pin-role': { type: 'boolean' },
      pcr3: { type: 'string' },
      pcr8: { type: 'string' },
      lockdown: { type: 'boolean' },
      'root-bypass': { type: 'string' },
      out: { type: 'string', short: 'o' },
      json: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const options = await readOptions(parsed.value.values);
  if (!options.ok) return refused(io, options.refusal, json);
  const written = await write(makeKeyPolicy(options.value), parsed.value.values.out, io);
  return written.ok ? 0 : refused(io, written.refusal, json);
}
