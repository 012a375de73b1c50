// Secrets as the operator's file and the enclave's configuration ask for them. Mistakes that the enclave would
// refuse are found here first, with the file that is wrong; what counts is what the enclave finds.

import { equalBytes } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
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

/** What the enclave needs of AWS and the host's file does not give; null when nothing is missing. */
export function findMissingWay(config: HostConfig, configuration: Configuration): string | null {
  const hosts = [configuration.kms?.host, configuration.s3?.host].filter(
    (host) => host !== undefined,
  );
  if (hosts.length === 0) return null;
  const allowed = config.egress?.allow ?? [];
  const missing = hosts.find(
    (host) => !allowed.some((one) => one.host === host && one.port === 443),
  );
  if (missing !== undefined) return `egress.allow: ${missing}:443, which the enclave has to reach`;
  return config.credentials === null
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
