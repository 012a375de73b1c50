// Port 7004: closed codes and counters from the enclave. They are its word about itself and prove nothing;
// the host logs them. What breaks the layout ends the stream.

import { Channel } from '../wire/channel.ts';
import { isRefusalCode } from '../wire/codes.ts';
import { FIRST_CREDIT_BYTES, MAX_DIAGNOSTIC_BYTES } from '../wire/limits.ts';
import type { Diagnostic } from '../wire/messages.ts';
import { FRAME, parseDiagnostic, PORT } from '../wire/messages.ts';
import type { Listener, Transport } from '../wire/node/transport.ts';
import type { Logger } from './logger.ts';

const STATES: ReadonlySet<string> = new Set([
  'booting',
  'ready',
  'resumed',
  'counters',
  'closing',
  'closed',
]);

/** Closing the listener ends open streams, too: nobody waits for an enclave's last counters. */
export async function listenForDiagnostics(
  transport: Transport,
  logger: Logger,
  onDiagnostic: (diagnostic: Diagnostic) => void,
): Promise<Listener> {
  const open = new Set<Channel>();
  const listener = await transport.listen(PORT.diagnostics, (stream) => {
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_DIAGNOSTIC_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.diagnostic],
      onFrame: ({ payload }) => {
        const parsed = parseDiagnostic(payload);
        if (!parsed.ok) {
          channel.destroy(parsed.refusal);
          return;
        }
        const { code, counters } = parsed.value;
        // The code is text of a peer until it is one of ours.
        const known = STATES.has(code) || isRefusalCode(code);
        const fields = { ...counters, code: known ? code : 'unknown' };
        if (isRefusalCode(code)) logger.warn('enclave_diagnostic', fields);
        else if (code === 'resumed') logger.info('enclave_diagnostic', fields);
        else logger.debug('enclave_diagnostic', fields);
        onDiagnostic({ code: known ? code : 'unknown', counters });
      },
      onEnd: (refusal) => {
        if (refusal !== null && refusal.code !== 'stream_closed') {
          logger.warn('diagnostics_refused', { code: refusal.code });
        }
        open.delete(channel);
        void channel.close();
      },
    });
    open.add(channel);
  });
  return {
    close: async () => {
      for (const channel of open) channel.destroy({ code: 'stream_closed', detail: {} });
      await listener.close();
    },
  };
}
