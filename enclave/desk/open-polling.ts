// Polling as the enclave has it: over the desk's own way out, by its clock.

import { Http } from './http.ts';
import { AccountPolling } from './polling.ts';
import type { PollingOptions } from './polling-options.ts';
import type { DeskServices } from './services.ts';
import { nodeTime } from './time.ts';

export function openPolling(
  services: DeskServices,
  onAudit?: PollingOptions['onAudit'],
  ledger: PollingOptions['ledger'] = null,
): AccountPolling {
  const http = new Http(services.egress);
  const time = nodeTime(() => services.nowMs());
  const options = { services, http, time, ledger };
  return new AccountPolling(onAudit === undefined ? options : { ...options, onAudit });
}
