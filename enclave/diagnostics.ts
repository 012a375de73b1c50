// The stream to the host's port 7004: closed codes and counters, so that an operator sees why an enclave
// stopped without seeing into it. Best effort: without the stream, or when the host does not read, a
// message is dropped. Never text of an exception or of a peer.

import { Channel } from '../wire/channel.ts';
import type { RefusalCode } from '../wire/codes.ts';
import { FIRST_CREDIT_BYTES, MAX_DIAGNOSTIC_BYTES } from '../wire/limits.ts';
import { encodeDiagnostic, FRAME, PORT } from '../wire/enclave-messages.ts';
import type { Transport } from '../wire/node/transport.ts';

export type DiagnosticCode = RefusalCode | 'ready' | 'resumed' | 'counters' | 'closing' | 'closed';

const MAX_QUEUED_BYTES: number = 64 * 1024;

export class Diagnostics {
  #channel: Channel | null = null;
  #dropped = 0;

  /** Never rejects: an enclave runs without diagnostics too. */
  async connect(transport: Transport): Promise<void> {
    try {
      const stream = await transport.connect(PORT.diagnostics);
      this.#channel = new Channel(stream, {
        maxReceiveBytes: MAX_DIAGNOSTIC_BYTES,
        firstCreditBytes: FIRST_CREDIT_BYTES,
        types: [],
        onFrame: () => undefined,
        onEnd: () => {
          this.#channel = null;
        },
      });
    } catch {
      this.#channel = null;
    }
  }

  report(code: DiagnosticCode, counters: Readonly<Record<string, number>> = {}): void {
    if (this.#channel === null || this.#channel.queuedBytes > MAX_QUEUED_BYTES) {
      this.#dropped++;
      return;
    }
    const diagnostics_dropped = this.#dropped;
    const message = encodeDiagnostic({ code, counters: { ...counters, diagnostics_dropped } });
    this.#channel.send(FRAME.diagnostic, message);
  }

  async close(): Promise<void> {
    await this.#channel?.close();
  }
}
