// Secrets as the operator's file and the enclave's configuration ask for them. Mistakes that the enclave would
// refuse are found here first, with the file that is wrong; what counts is what the enclave finds.

import { equalBytes } from '../../wire/bytes.ts';
import type { Configuration, ConfiguredStream } from '../../wire/configuration.ts';
import { findVenue } from '../../wire/market/venues/venues.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Refusal } from '../../wire/result.ts';
import { parseSealed, parseStatement } from '../../wire/sealed.ts';
import type { SealStatement } from '../../wire/sealed.ts';
import type { HostConfig } from '../config-file.ts';
import { CredentialsFeed } from '../credentials/credentials-feed.ts';
import { credentialsSource } from '../credentials/source.ts';
import type { Files } from '../files.ts';
import type { EnclaveFiles } from '../items.ts';
import type { Logger } from '../logger.ts';
import { requestsDirectory } from '../requests.ts';
import { DataKeyStore } from './data-key-store.ts';
import type { SealedFile, Secrets } from './secrets.ts';
import { VaultStore } from './vault-store.ts';

export function configuredSecrets(
  config: HostConfig,
  configuration: Configuration,
  sealed: readonly SealedFile[],
  files: Files,
  logger: Logger,
): Secrets {
  const { credentials } = config;
  const names = configuration.data_keys?.map(({ name }) => name) ?? [];
  return {
    sealed,
    vault:
      configuration.desk?.vault === undefined
        ? null
        : new VaultStore(files, `${config.state}/vault`),
    dataKeys: names.length === 0 ? null : dataKeyStore(config, names, files),
    credentials:
      credentials === null
        ? null
        : new CredentialsFeed({
            source: credentialsSource(credentials.source),
            refreshBeforeMs: credentials.refresh_before_ms,
            logger,
          }),
  };
}

export function dataKeyStore(
  { state }: Pick<HostConfig, 'state'>,
  names: readonly string[],
  files: Files,
): DataKeyStore {
  const directory = `${state}/data-keys`;
  return new DataKeyStore({ files, directory, requests: requestsDirectory(state), names });
}

interface Way {
  readonly host: string;
  readonly port: number;
}

/** Where the enclave gets the data of a stream from. */
function waysOf({ source }: ConfiguredStream): readonly Way[] {
  if (source === undefined) return [];
  const venue = findVenue(source.venue);
  const rest = venue?.hosts.get(source.host) ?? null;
  const way = { host: source.host, port: venue?.port ?? 443 };
  return rest === null ? [way] : [way, { host: rest, port: 443 }];
}

/** What the enclave needs of AWS and venues and the host's file does not give; null when nothing is missing. */
export function findMissingWay(config: HostConfig, configuration: Configuration): string | null {
  const aws = [configuration.kms?.host, configuration.s3?.host]
    .filter((host) => host !== undefined)
    .map((host) => ({ host, port: 443 }));
  const own = config.database === null ? [] : [{ ...config.database, host: config.database.name }];
  const allowed = [...(config.egress?.allow ?? []), ...own];
  const database = configuration.database === undefined ? [] : [configuration.database];
  const missing = [...aws, ...database, ...configuration.streams.flatMap(waysOf)].find(
    (way) => !allowed.some(({ host, port }) => host === way.host && port === way.port),
  );
  if (missing !== undefined) {
    return `egress.allow: ${missing.host}:${missing.port}, which the enclave has to reach`;
  }
  return aws.length > 0 && config.credentials === null
    ? 'credentials: the enclave talks to AWS, { "source": "imds" } on EC2'
    : null;
}

/** The first mistake in what is sealed: `seal_missing`, `seal_unexpected`, `seal_wrong_configuration`. */
export function findSealMistake(
  crypto: WireCrypto,
  { configuration, configurationBytes, sealed }: EnclaveFiles,
): Refusal | null {
  const wanted = new Set(configuration.sealed?.map(({ purpose, name }) => `${purpose}/${name}`));
  const digest = crypto.sha256(configurationBytes);
  for (const { file, bytes } of sealed) {
    const statement = readStatement(bytes);
    if (statement === null) return { code: 'seal_malformed', detail: { file } };
    const { purpose, name, logId, configurationDigest } = statement;
    const item = `${purpose}/${name}`;
    if (!wanted.delete(item)) return { code: 'seal_unexpected', detail: { file, item } };
    if (logId !== configuration.log_id || !equalBytes(configurationDigest, digest)) {
      return { code: 'seal_wrong_configuration', detail: { file, item } };
    }
  }
  const [item] = wanted;
  return item === undefined ? null : { code: 'seal_missing', detail: { item } };
}

function readStatement(bytes: Uint8Array): SealStatement | null {
  const item = parseSealed(bytes);
  const statement = item.ok ? parseStatement(item.value.statement) : item;
  return statement.ok ? statement.value : null;
}
