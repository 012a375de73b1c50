// One run of a whole appliance, and then everybody who wants evidence of it: an LP, compliance, and the owner of
// the strategy. The demo runs it with a simulated enclave, `make vm` with an image in an emulated one. What the
// verifiers run are the commands that anybody runs.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as attest } from '../verifier/commands/attest.ts';
import { run as logList } from '../verifier/commands/log-list.ts';
import { run as logProve } from '../verifier/commands/log-prove.ts';
import { run as replay } from '../verifier/commands/replay.ts';
import { run as verifyLog } from '../verifier/commands/verify-log.ts';
import { run as verifyProof } from '../verifier/commands/verify-proof.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { Appliance } from './appliance.ts';
import { renderSummary } from './demo-summary.ts';
import type { BucketSummary, DemoSummary, HostJson, Json, KmsSummary } from './demo-summary.ts';
import { tryChangedImage } from './demo-changed-image.ts';
import type { DemoBucket } from './demo-bucket.ts';
import { runTrackseal } from './run-trackseal.ts';
import type { DemoCloud, DemoSettings, DemoStage } from './demo-host.ts';
import { hostConfig, startHost, waitForEvent } from './demo-host.ts';
import type { TraderSummary } from './demo-trader.ts';
import { parseKeyArn } from '../wire/sealed.ts';

/** For the whole capture, at any speed that somebody would wait for. */
const FEED_MS = 24 * 3_600_000;

/** A command's exit code and what it printed as JSON. */
interface Outcome {
  readonly exitCode: number;
  readonly json: Json;
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

async function runJson(run: Run, args: readonly string[], io: CommandIo): Promise<Outcome> {
  let text = '';
  const captured: CommandIo = {
    ...io,
    stdout: (part) => {
      text += part;
    },
  };
  const exitCode = await run([...args, '--json'], captured);
  return { exitCode, json: text === '' ? {} : (JSON.parse(text) as Json) };
}

/** Leaf of an output that was filled, and the report that says so; null when nothing was traded. */
async function findTrade(
  appliance: Appliance,
  io: CommandIo,
): Promise<{ readonly output: number; readonly report: Json } | null> {
  let text = '';
  const listing: CommandIo = {
    ...io,
    stdout: (part) => {
      text += part;
    },
  };
  const args = [appliance.logDirectory, '--kind', 'report', '--key', appliance.complianceKey];
  if ((await logList([...args, '--json'], listing)) !== 0) return null;
  for (const line of text.trimEnd().split('\n')) {
    if (line === '') continue;
    const { causes, payload } = JSON.parse(line) as { causes: number[]; payload: Json };
    const [output] = causes;
    if (payload['status'] === 'filled' && output !== undefined) return { output, report: payload };
  }
  return null;
}

/** The log once more, out of the bucket, and what the bucket lets anybody do to it. */
async function proveBucket(
  { kind, address, options, environment }: DemoBucket,
  trust: readonly string[],
  say: (line: string) => void,
): Promise<BucketSummary> {
  const isFolder = kind === 'folder';
  say(
    isFolder
      ? '8. The write-once folder that stands in for a bucket: the same log out of it'
      : '8. The bucket: the same log out of it, every object locked',
  );
  const common = [...options, '--json'];
  const check = isFolder
    ? null
    : await runTrackseal(['bucket', 'check', address, ...common], environment);
  const verify = ['verify', 'log', address, ...trust, '--no-heads', ...common];
  const log = await runTrackseal(verify, environment);
  const said = ({ stdout, stderr }: typeof log): Json =>
    stdout === '' ? { stderr } : (JSON.parse(stdout) as Json);
  return {
    address,
    check: check === null ? null : said(check),
    log: said(log),
    asExpected: (check === null || check.code === 0) && log.code === 0,
  };
}

/** While the appliance runs; null where there is no trader. */
async function proveTrader(
  { appliance, trader = null }: DemoStage,
  at: { readonly url: string; readonly attestation: string },
  say: (line: string) => void,
): Promise<TraderSummary | null> {
  if (trader === null) return null;
  say('3. Trader: an exchange key into the enclave, and a signed summary out of it');
  const folder = join(appliance.directory, 'trader');
  await mkdir(folder, { recursive: true });
  return trader.prove({ ...at, trust: appliance.trust, folder });
}

/** What KMS did for this image, and what it does for one with a bit changed. */
async function proveSealing(
  { appliance, transport }: DemoStage,
  { aws, sealed, commandOf: command }: DemoCloud,
  config: object,
  say: (line: string) => void,
): Promise<KmsSummary> {
  const opened = aws.kms.events.filter(({ eventName, errorCode }) => {
    return eventName === 'Decrypt' && errorCode === null;
  });
  say('7. One bit of the image changed: the same secrets, asked for by another image');
  const hostConfig = { ...config, transport };
  const stage = { appliance, aws, sealed, transport, command, hostConfig };
  const changed = await tryChangedImage(stage);
  const images = opened.map(({ additionalEventData: data }) => {
    return data?.recipient['attestationDocumentEnclaveImageDigest'] ?? null;
  });
  const measured = JSON.parse(await readFile(appliance.measurements, 'utf8')) as {
    readonly Measurements: { readonly PCR0: string };
  };
  const { PCR0: image } = measured.Measurements;
  const [asItWas, signedForIt] = changed;
  const refusedByItself = asItWas?.code === 'seal_wrong_image' && asItWas.kms === null;
  const refusedByKms = signedForIt?.code === 'kms_denied' && signedForIt.kms !== null;
  const refused = changed.every((one) => one.exit_code === 1 && !one.ready);
  const onlyThisImage = images.length === sealed.length && images.every((one) => one === image);
  const { keyArn } = aws.appliance;
  return {
    key_arn: keyArn,
    account: parseKeyArn(keyArn)?.account ?? '',
    image,
    items: sealed.length,
    released: images.length,
    changed,
    asExpected: onlyThisImage && refused && refusedByItself && refusedByKms,
  };
}

/** Exit codes: 0 everything was proved, 1 something was refused, 2 could not run. */
export async function runDemo(
  stage: DemoStage,
  settings: DemoSettings,
  io: CommandIo,
): Promise<number> {
  const { appliance } = stage;
  const { directory, trust, policy } = appliance;
  const say = (line: string): void => {
    if (!settings.json) io.stderr(`${line}\n`);
  };
  const quiet: CommandIo = settings.json ? { ...io, stderr: () => {}, isTerminal: false } : io;
  const configFile = join(directory, 'host', 'host.json');
  const config = hostConfig(stage, settings);
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);

  if ((stage.database ?? null) !== null) {
    const migrated = await runTrackseal(
      ['database', 'migrate', '--config', configFile],
      process.env,
    );
    if (migrated.code !== 0) {
      io.stderr(`the database of the track record: ${migrated.stderr}\n`);
      return 2;
    }
  }
  say('2. Host proxy and enclave: Binance data in, signals out, every step in the signed log');
  const hostLog = join(directory, 'host', 'host.log');
  const heads = join(directory, 'lp', 'heads.json');
  const { cloud = null, bucket = null } = stage;
  // The keys of a bucket that is not simulated are in the environment of whoever runs this.
  const isOwn = bucket?.kind === 's3' && bucket !== cloud?.aws.bucket;
  const own = isOwn ? process.env : undefined;
  const host = startHost(configFile, cloud?.aws.hostEnvironment(own) ?? process.env, quiet);
  try {
    const ready = await waitForEvent(hostLog, 'enclave_ready', host, stage.readyMs);
    const ingress = await waitForEvent(hostLog, 'ingress_listening', host, stage.readyMs);
    if (ready === null || ingress === null) {
      const log = await readFile(hostLog, 'utf8').catch(() => 'no log');
      io.stderr(`the enclave did not get ready; the end of the host's log:\n${log.slice(-4000)}\n`);
      return 2;
    }
    const url = `https://127.0.0.1:${String(ingress['port'])}`;
    const documentFile = join(directory, 'lp', 'attestation.cbor');
    const patience = ['--timeout-ms', String(stage.timeoutMs)];
    const asking = [url, ...trust, ...patience, '--heads', heads, '-o', documentFile];
    const first = await runJson(attest, asking, quiet);
    const strict =
      stage.refusedAs === null
        ? null
        : await runJson(attest, [url, '--policy', policy, ...patience], quiet);
    // Again some time later: the second head must contain the first. A short run may be over by then.
    await sleep(settings.speed === null ? 200 : 2000);
    const again = await runJson(attest, asking, { ...quiet, stderr: () => {} });
    const second = again.json['code'] === 'source_unreachable' ? first : again;

    const traded = await proveTrader(stage, { url, attestation: documentFile }, say);
    if (traded !== null && (await waitForEvent(hostLog, 'feed_played', host, FEED_MS)) !== null) {
      host.child.kill('SIGTERM');
    }

    const hostExit = await host.ended;
    stage.trader?.stopClock();
    const hostSummary = JSON.parse(host.output()) as HostJson;

    say('4. LP: nonce, attestation document, TLS key, image, configuration');
    say('5. Compliance: the whole epoch, then one trade, offline');
    const { logDirectory, complianceKey } = appliance;
    const keyed = ['--key', complianceKey];
    const log = await runJson(
      verifyLog,
      [logDirectory, ...trust, ...keyed, '--heads', heads],
      quiet,
    );
    const trade = await findTrade(appliance, quiet);
    const proofFile = join(directory, 'compliance', 'trade.tlog-proof');
    const index = String(trade?.output ?? 0);
    const proving = [logDirectory, '--index', index, '-o', proofFile];
    const proved = await runJson(logProve, [...proving, ...keyed], quiet);
    const proof = await runJson(verifyProof, [proofFile, ...trust], quiet);

    say('6. Quant: the logged inputs through the strategy again');
    const files = appliance.strategies.flatMap(({ pack, parameters, parametersSalt: salt }) => {
      return ['--strategy', pack, '--parameters', parameters, '--parameters-salt', salt];
    });
    const replayed = await runJson(replay, [logDirectory, ...files, ...keyed, '--all'], quiet);

    const kms = cloud === null ? null : await proveSealing(stage, cloud, config, say);

    const inBucket = bucket === null ? null : await proveBucket(bucket, [...trust, ...keyed], say);

    const exitCodes = [hostExit, first, second, log, proved, proof, replayed].map((outcome) =>
      typeof outcome === 'number' ? outcome : outcome.exitCode,
    );
    const code = strict?.json['code'];
    const asExpected = strict === null || (strict.exitCode === 1 && code === stage.refusedAs);
    const sealingHeld = kms === null || kms.asExpected;
    const held =
      exitCodes.every((code) => code === 0) &&
      asExpected &&
      sealingHeld &&
      traded?.asExpected !== false &&
      inBucket?.asExpected !== false;
    const summary: DemoSummary = {
      verdict: held && trade !== null ? 'proved' : 'refused',
      unsigned: strict === null ? null : { code: String(code), asExpected },
      host: hostSummary,
      attestation: second.json,
      log: log.json,
      trade: { found: trade !== null, report: trade?.report ?? null, proof: proof.json },
      replay: replayed.json,
      trader: traded,
      kms,
      bucket: inBucket,
      kept: settings.keep ? directory : null,
    };
    io.stdout(settings.json ? `${JSON.stringify(summary, null, 2)}\n` : renderSummary(summary));
    return summary.verdict === 'proved' ? 0 : 1;
  } finally {
    if (host.child.exitCode === null) host.child.kill('SIGTERM');
    await host.ended.catch(() => 1);
  }
}
