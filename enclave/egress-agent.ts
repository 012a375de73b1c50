// Node's agent over the way out: whoever makes HTTP requests gets connections of Egress, and no others.

import type { AgentOptions } from 'node:https';
import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Egress } from './egress.ts';

type ConnectionOptions = Parameters<Agent['createConnection']>[0];
type OnConnection = Parameters<Agent['createConnection']>[1];

export class EgressAgent extends Agent {
  readonly #egress: Egress;

  constructor(egress: Egress, options: AgentOptions) {
    super(options);
    this.#egress = egress;
  }

  override createConnection(options: ConnectionOptions, done?: OnConnection): undefined {
    // Node's own callers look at the stream only when there is no error.
    const give = done as ((error: Error | null, stream?: Duplex) => void) | undefined;
    void this.#egress.connect(options.host ?? '', Number(options.port ?? 443)).then(
      (socket) => give?.(null, socket),
      (error: unknown) => give?.(error instanceof Error ? error : new Error('egress')),
    );
  }
}
