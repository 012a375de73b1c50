// `trackseal host`: reads the operator's file, starts the host proxy, and ends with it. SIGTERM and ^C ask
// for a clean close.

import { accessSync, constants, mkdirSync, openSync } from 'node:fs';
import type { Server } from 'node:net';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { parseTransport } from '../wire/node/parse-transport.ts';
import type { HostConfig } from './config-file.ts';
import { egressOf, openConfiguredDatabase } from './database/configured-database.ts';
import type { ConfiguredShare } from './database/configured-share.ts';
import { EngineUnavailable } from './database/engine.ts';
import type { DatabaseService } from './database/service.ts';
import { TargetUnavailable } from './database/target-unavailable.ts';
import type { DiskPlace } from './disk-room.ts';
import { DiskRoom } from './disk-room.ts';
import { DiskWatch } from './disk-watch.ts';
import { FilesGate } from './files-gate.ts';
import { explain, explainFailure, failureOf, readConfig } from './explain.ts';
import type { HostIo } from './explain.ts';
import { executionService } from './execution/service.ts';
import { configuredFeed } from './feed/configured-source.ts';
import { makeDirectories, nodeFiles } from './files.ts';
import { lockFolder } from './folder-lock.ts';
import type { HostOptions, HostSummary } from './host.ts';
import { Host } from './host.ts';
import { readEnclaveFiles } from './items.ts';
import { LogFile } from './log-file.ts';
import type { Logger } from './logger.ts';
import { createLogger } from './logger.ts';
import type { MetricsServer } from './metrics/metrics-server.ts';
import { serveMetrics } from './metrics/serve-metrics.ts';
import { ProgressDisplay } from './progress.ts';
import {
  configuredSecrets,
  findMissingWay,
  findSealMistake,
} from './secrets/configured-secrets.ts';
import type { SealedFile, Secrets } from './secrets/secrets.ts';
import { openShipper } from './ship/open-shipper.ts';
import { findShipMistake } from './ship/ship-config.ts';
import { StopRequest } from './stop-request.ts';
import { renderSummary, toJson } from './summary.ts';

const USAGE = `usage: trackseal host --config FILE [--restore] [--json] [--quiet]

Runs the host proxy: starts the enclave, feeds it, keeps its log, executes its signals.

  --config FILE   the operator's configuration (JSON; docs/OPERATE.md)
  --restore       commit policy s3: first fetches epochs that the bucket has and the log folder has not
  --json          the summary on stdout as JSON
  --quiet         no progress

Exit codes: 0 closed cleanly, 1 ended otherwise, 2 could not start.
`;

interface Options {
  readonly config: string;
  readonly restore: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

function readOptions(args: readonly string[]): Options | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        config: { type: 'string' },
        restore: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
      },
    });
    const { config, restore, json, quiet } = values;
    return config === undefined ? null : { config, restore, json, quiet };
  } catch {
    return null;
  }
}

function now(): Date {
  return new Date();
}

/** Asked before the enclave starts: an epoch without a feed would be for nothing. */
function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function createLog(config: HostConfig, io: HostIo): Logger {
  const { level, file } = config.logging;
  // A progress line of the terminal makes room for the log line and comes back below it.
  const clear = io.isTerminal ? '\r\u001B[2K' : '';
  const show = (line: string): void => {
    io.stderr(`${clear}${line}`);
  };
  if (file === null) return createLogger({ level, now, write: show });
  const log = LogFile.of(openSync(file, 'a', 0o640), show);
  return createLogger({
    level,
    now,
    write: (line) => {
      log.write(line);
    },
  });
}

interface SystemError extends Error {
  readonly syscall: string;
  readonly code: string;
  readonly address?: string;
  readonly port?: number;
}

/** An address that cannot be listened on. */
function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}

async function runHost(
  host: Host,
  sealed: readonly SealedFile[],
  options: Options,
  io: HostIo,
): Promise<number> {
  const progress = new ProgressDisplay({
    isTerminal: io.isTerminal,
    write: io.stderr,
    nowMs: () => performance.now(),
    read: () => host.numbers,
  });
  if (!options.quiet) progress.start();
  try {
    const ended = await host.run();
    progress.stop();
    if (!ended.ok) {
      explain(io, ended.refusal);
      return 2;
    }
    showSummary(ended.value, options, io);
    const failure = ended.value.epochs.at(-1)?.failure ?? null;
    if (failure !== null) explainFailure(io, failure, sealed);
    return ended.value.clean ? 0 : 1;
  } finally {
    progress.stop();
  }
}

function showSummary(summary: HostSummary, { json }: Options, io: HostIo): void {
  if (json) io.stdout(`${JSON.stringify(toJson(summary), null, 2)}\n`);
  else io.stdout(renderSummary(summary));
}

/** Where the sockets of the transport are made. */
function socketFolders(transport: string): readonly string[] {
  if (transport.startsWith('unix:')) return [transport.slice('unix:'.length)];
  return transport.startsWith('hvsock:') ? [dirname(transport.slice('hvsock:'.length))] : [];
}

/** Durable, also where folders above it had to be made. */
async function makeFolder(path: string): Promise<void> {
  const first = mkdirSync(path, { recursive: true, mode: 0o750 }) ?? path;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    await makeDirectories(nodeFiles, made);
  }
}

function ingressOf(config: HostConfig['ingress']): HostOptions['ingress'] {
  if (config === null) return null;
  const { host, port, max_connections: maxConnections, idle_ms: idleMs } = config;
  return { host, port, maxConnections, idleMs };
}

export async function run(args: readonly string[], io: HostIo): Promise<number> {
  const stop = new StopRequest();
  process.on('SIGTERM', stop.ask);
  process.on('SIGINT', stop.ask);
  try {
    return await runUntil(stop, args, io);
  } finally {
    process.off('SIGTERM', stop.ask);
    process.off('SIGINT', stop.ask);
  }
}

async function runUntil(stop: StopRequest, args: readonly string[], io: HostIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const options = readOptions(args);
  if (options === null) {
    io.stderr(USAGE);
    return 2;
  }
  const config = readConfig(options.config, io);
  if (config === null) return 2;
  const parsed = parseTransport(config.transport, config.addon);
  if (!parsed.ok) {
    io.stderr(`${options.config}: transport: ${parsed.problem}\n`);
    return 2;
  }
  const { transport } = parsed;
  const enclaveFiles = readEnclaveFiles(config);
  if (!enclaveFiles.ok) {
    explain(io, enclaveFiles.refusal);
    return 2;
  }
  const { configuration, configurationBytes, items, sealed } = enclaveFiles.value;
  const missing = findMissingWay(config, configuration);
  if (missing !== null) {
    io.stderr(`${options.config}: ${missing}\n`);
    return 2;
  }
  const mistake =
    findSealMistake(nodeCrypto, enclaveFiles.value) ?? findShipMistake(config.ship, configuration);
  if (mistake !== null) {
    explain(io, mistake);
    return 2;
  }
  if (config.feed?.source === 'replay' && !isReadable(config.feed.capture)) {
    explain(io, { code: 'file_unreadable', detail: { file: config.feed.capture } });
    return 2;
  }
  const folders = { state: config.state, log: config.log };
  let watch: DiskWatch | null = null;
  let room: DiskRoom | null = null;
  let secrets: Secrets | null = null;
  let metricsServer: MetricsServer | null = null;
  let database: DatabaseService | null = null;
  let share: ConfiguredShare | null = null;
  let logLock: Server | null = null;
  try {
    for (const path of [...Object.values(folders), ...socketFolders(config.transport)]) {
      await makeFolder(path);
    }
    const logger = createLog(config, io);
    const feed = configuredFeed(config, configuration, logger);
    if (!feed.ok) {
      explain(io, feed.refusal);
      return 2;
    }
    const places: readonly DiskPlace[] = [
      { name: 'state', directory: folders.state },
      { name: 'log', directory: folders.log },
    ];
    const waiting = new DiskRoom({ logger, places });
    room = waiting;
    stop.waitsFor(room);
    watch = new DiskWatch({ logger, places, minFreeBytes: config.disk.min_free_bytes });
    watch.start();
    const gate = new FilesGate(waiting.filesOf(nodeFiles));
    const { files } = gate;
    secrets = configuredSecrets(config, configuration, sealed, files, logger);
    const { ship } = config;
    const shipper = await openShipper(ship, { files, folders, logger });
    const { command, show_output: showOutput, restart } = config.enclave;
    const [program, ...rest] = command ?? [];
    if (config.share !== null) {
      const { takeShare } = await import('./database/configured-share.ts');
      share = await takeShare(config.share, logger, stop.signal);
      if (share.lease === null) return 0;
      // Half of the lease is left, for the enclave to close.
      share.lease.lost.addEventListener('abort', stop.ask);
      share.lease.over.addEventListener('abort', stop.isolate);
    }
    // Another state folder does not make it another log.
    logLock = await lockFolder(folders.log);
    if (logLock === null) {
      explain(io, { code: 'folder_in_use', detail: { folder: 'log' } });
      return 2;
    }
    database = await openConfiguredDatabase(config.database, logger);
    const host = await Host.open({
      files,
      closeFiles: () => gate.close(),
      giveUpRoom: () => {
        waiting.giveUp();
      },
      crypto: nodeCrypto,
      transport,
      folders,
      logger,
      command: program === undefined ? null : { command: [program, ...rest], showOutput },
      shipper,
      segmentBytes: config.disk.spool_segment_bytes,
      timeouts: {
        readyMs: config.enclave.ready_ms,
        closeMs: config.enclave.close_ms,
        ...(ship === null ? {} : { shipMs: ship.finish_ms }),
      },
      source: feed.value.source,
      whenFull: feed.value.whenFull,
      ...executionService(config, configuration, files, logger),
      configuration: configurationBytes,
      logId: configuration.log_id,
      commitPolicy: configuration.commit_policy,
      restore: options.restore,
      items,
      restart,
      secrets,
      tiles: config.tiles,
      egress: egressOf(config.egress, database),
      ingress: ingressOf(config.ingress),
      grpcIngress: ingressOf(config.ingress_grpc),
    });
    if (!host.ok) {
      explain(io, host.refusal);
      return 2;
    }
    stop.passTo(host.value);
    metricsServer = await serveMetrics(
      config,
      {
        host: host.value,
        secrets,
        shipper,
        live: feed.value.live,
        database: database?.front ?? null,
      },
      logger,
    );
    const code = await runHost(host.value, sealed, options, io);
    if (share?.lease?.lost.aborted !== true) return code;
    io.stderr('the lease of this share was lost: another host may have it\n');
    return 1;
  } catch (error) {
    const failure = failureOf(error);
    if (failure !== null) {
      explain(io, failure);
      return 1;
    }
    if (error instanceof TargetUnavailable) {
      io.stderr(`the share of this host: ${error.message}\n`);
      return 2;
    }
    if (error instanceof EngineUnavailable) {
      io.stderr(`the database of this host: ${error.message}\n`);
      io.stderr('  next  stop the command that has it open, or look into `database.folder`\n');
      return 2;
    }
    if (isSystemError(error)) {
      const { syscall, code, address, port } = error;
      io.stderr(`${syscall} failed with ${code} ${address ?? ''}:${port ?? ''}\n`);
      io.stderr(
        '  next  free the address, or give another one in `tiles`, `ingress`, `metrics` or `database`\n',
      );
      return 2;
    }
    throw error;
  } finally {
    watch?.stop();
    secrets?.credentials?.stop();
    await metricsServer?.close();
    await database?.front.close();
    logLock?.close();
    await share?.close();
    // Nothing waits for a disk when the host is over.
    room?.giveUp();
  }
}
