// Where the parts of a desk are put together: what each needs of the others, and what answers which path. The parts are
// opened before HTTPS is listened to, so that the log has their first words before anybody can ask.

import type { Duplex } from 'node:stream';
import { AuditTrail } from './audit-trail.ts';
import type { GrpcPortOptions } from './grpc-port.ts';
import type { Routes } from './https.ts';
import { openPolling } from './open-polling.ts';
import { Ledger } from './ledger.ts';
import type { PollingOptions } from './polling-options.ts';
import type { DeskServices } from './services.ts';
import { askPrices } from './price-legs.ts';
import { nodeTime } from './time.ts';
import { TlsCertificates } from './tls-certificates.ts';
import { openTraderDesk } from './trader-desk.ts';

/** One part, with counters of its own (at most 48 in all, names of lower-case letters, digits and `_`). */
export interface DeskPart {
  readonly counters: Readonly<Record<string, number>>;
  /** The log is about to be closed: takes nothing more; resolves when nothing of it is under way. */
  close(): Promise<void>;
}

export interface DeskParts {
  /** Paths beside those of https.ts; null for none. */
  readonly routes: Routes | null;
  readonly parts: readonly DeskPart[];
  /** Null: nobody answers gRPC, or nobody may ask: there is no sealed client CA. */
  readonly grpc: Pick<GrpcPortOptions, 'audit' | 'clientCa' | 'openGrpc'> | null;
}

export interface HttpsControl {
  /** Another certificate (chain, PEM, checked) for the same TLS key, from the next connection on. */
  readonly replaceCertificate: (chain: string) => void;
}

/** Null for an enclave that polls no accounts: there is nothing to keep. */
function openLedger(services: DeskServices, audit: AuditTrail): Ledger | null {
  const { configuration, sealedAccounts } = services;
  if (configuration.desk === undefined && sealedAccounts.length === 0) return null;
  return new Ledger({ services, audit, time: nodeTime(() => services.nowMs()) });
}

/** Rejects with a Fatal when a sealed account is wrong. */
export async function openParts(services: DeskServices, https: HttpsControl): Promise<DeskParts> {
  const audit = new AuditTrail(services);
  const ledger = openLedger(services, audit);
  const onAudit: PollingOptions['onAudit'] = (_, account) => {
    if (account === null) audit.connectorRecycled();
    else audit.credentialsUsed(account.id, account.commitment);
  };
  const polling = openPolling(services, onAudit, ledger);
  ledger?.start({
    prices: (question) => askPrices(polling.prices, question),
    isHeard: (id, heardMs) => polling.isHeard(id, heardMs),
    resync: (id, again) => {
      polling.resync(id, again);
    },
  });
  const certificates = new TlsCertificates(services);
  const csr = (): Promise<string> => certificates.request();
  const traders = await openTraderDesk(services, { polling, audit, ledger, csr });
  certificates.start(https, (code, counter) =>
    audit.append('certificateInstalled', { code, counter }),
  );
  // Polls that run get their leaves before the audit trail is flushed and the vault's keys are wiped.
  const close = async (): Promise<void> => {
    certificates.close();
    await polling.close();
    await ledger?.close();
    await traders.close();
  };
  const part: DeskPart = {
    get counters() {
      const own = { ...polling.counters, ...traders.counters, ...certificates.counters };
      return { ...own, ...ledger?.counters };
    },
    close,
  };
  const { clientCa } = services;
  const openGrpc = (fingerprint: Uint8Array): Duplex | null =>
    ledger?.openGrpc(fingerprint) ?? null;
  const grpc = ledger === null || clientCa === null ? null : { audit, clientCa, openGrpc };
  return { routes: traders.api, parts: [part], grpc };
}
