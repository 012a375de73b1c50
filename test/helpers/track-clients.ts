// EnclaveClients of one enclave for all tests of a file. Each test has a certificate of its own, because connections of one are
// counted by the minute, and may have another record answer than that of the scene.

import type { EnclaveClientOptions } from '../../client/node/index.ts';
import { EnclaveClient } from '../../client/node/index.ts';
import type { ClientIdentity } from './client-certificates.ts';
import type { FakeTrackOptions } from './fake-track.ts';
import { FakeTrack } from './fake-track.ts';
import type { TrackScene } from './track-scene.ts';
import { openTrackScene } from './track-scene.ts';

/** In place of the record of the scene; null: that one answers. */
interface Answering {
  other: FakeTrack | null;
}

function bound(track: FakeTrack, name: string | symbol): unknown {
  const value: unknown = Reflect.get(track, name);
  return typeof value === 'function' ? (value.bind(track) as unknown) : value;
}

export class TrackClients {
  readonly scene: TrackScene;
  identity: ClientIdentity;
  readonly #answering: Answering;
  readonly #clients: EnclaveClient[] = [];

  private constructor(scene: TrackScene, answering: Answering) {
    this.scene = scene;
    this.identity = scene.identity;
    this.#answering = answering;
  }

  static async open(): Promise<TrackClients> {
    const answering: Answering = { other: null };
    const scene = await openTrackScene({
      track: (fake) => new Proxy(fake, { get: (_, name) => bound(answering.other ?? fake, name) }),
    });
    return new TrackClients(scene, answering);
  }

  /** Before each test. */
  async begin(): Promise<void> {
    this.identity = await this.scene.authority.issue();
    this.#answering.other = null;
  }

  /** After each test, which fails when the desk or the ledger has ended. */
  end(): void {
    for (const client of this.#clients.splice(0)) client.close();
    const { fatal } = this.scene;
    if (fatal.length > 0) throw new Error(fatal.join());
  }

  /** Another record, which answers until the test is over; signed by the desk unless it is said otherwise. */
  answer(options: Partial<FakeTrackOptions>): FakeTrack {
    const sign: FakeTrackOptions['sign'] = (message) => this.scene.keys.ed25519.sign(message);
    const other = new FakeTrack({ sign, ...options });
    this.#answering.other = other;
    return other;
  }

  open(change: Partial<EnclaveClientOptions> = {}): EnclaveClient {
    const { scene, identity } = this;
    const client = new EnclaveClient({
      enclaveUrl: scene.url,
      grpcAddress: scene.grpc,
      policy: scene.policy,
      unsafeRoot: scene.rootPem,
      certificate: identity.certificate,
      key: identity.key,
      ...change,
    });
    this.#clients.push(client);
    return client;
  }
}
