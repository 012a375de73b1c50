// A desk in the process of a test: the same code as in a process of its own, over streams in memory.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { StartDesk } from '../../enclave/desk-link.ts';
import { startDesk } from '../../enclave/desk/desk.ts';
import type { Transport } from '../../wire/node/transport.ts';

export interface TestDeskOptions {
  readonly spawnConnector?: () => Promise<Duplex>;
  readonly spawnLedger?: () => Promise<Duplex>;
}

/** It is waited for, as one that starts slowly. */
export function noLedger(): Promise<never> {
  return Promise.withResolvers<never>().promise;
}

export function deskInProcess(transport: Transport, options: TestDeskOptions = {}): StartDesk {
  return () => {
    const [core, desk] = duplexPair();
    // As pipes do, and a pair in memory does not.
    core.on('close', () => desk.destroy());
    desk.on('close', () => core.destroy());
    core.on('error', () => undefined);
    desk.on('error', () => undefined);
    startDesk({
      stream: desk,
      transport,
      socket: null,
      spawnLedger: noLedger,
      ...options,
      onExit: () => desk.destroy(),
    });
    return {
      stream: core,
      spawn: () => undefined,
      stop: () => {
        core.destroy();
        return Promise.resolve();
      },
    };
  };
}
