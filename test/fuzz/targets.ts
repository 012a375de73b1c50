// All targets by name. Each is loaded only where it is fuzzed.

import type { Target } from './target.ts';

type Load = () => Promise<Target>;

const TARGETS: Readonly<Record<string, Load>> = {
  frames: async () => (await import('./targets/frames.ts')).framesTarget(),
  channel: async () => (await import('./targets/channel.ts')).channelTarget(),
  cbor: async () => (await import('./targets/cbor.ts')).cborTarget(),
  batch: async () => (await import('./targets/batch.ts')).batchTarget(),
  leaf: async () => (await import('./targets/leaf.ts')).leafTarget(),
  header: async () => (await import('./targets/header.ts')).headerTarget(),
  payloads: async () => (await import('./targets/payloads.ts')).payloadsTarget(),
  commit: async () => (await import('./targets/messages.ts')).commitTarget(),
  'boot-messages': async () => (await import('./targets/messages.ts')).bootMessagesTarget(),
  'feed-messages': async () => (await import('./targets/messages.ts')).feedMessagesTarget(),
  'strategy-messages': async () => (await import('./targets/messages.ts')).strategyMessagesTarget(),
  'desk-messages': async () => (await import('./targets/messages.ts')).deskMessagesTarget(),
  'user-data': async () => (await import('./targets/header.ts')).userDataTarget(),
  attestation: async () => (await import('./targets/attestation.ts')).attestationTarget(),
  'attestation-signed': async () =>
    (await import('./targets/attestation.ts')).attestationSignedTarget(),
  certificate: async () => (await import('./targets/certificate.ts')).certificateTarget(),
  configuration: async () => (await import('./targets/json-files.ts')).configurationTarget(),
  manifest: async () => (await import('./targets/json-files.ts')).manifestTarget(),
  'policy-file': async () => (await import('./targets/json-files.ts')).policyFileTarget(),
  'measurements-list': async () =>
    (await import('./targets/json-files.ts')).measurementsListTarget(),
  'host-config': async () => (await import('./targets/json-files.ts')).hostConfigTarget(),
  note: async () => (await import('./targets/notes.ts')).noteTarget(),
  checkpoint: async () => (await import('./targets/notes.ts')).checkpointTarget(),
  'proof-file': async () => (await import('./targets/notes.ts')).proofFileTarget(),
  'commit-group': async () => (await import('./targets/objects.ts')).commitGroupTarget(),
  'epoch-close': async () => (await import('./targets/objects.ts')).epochCloseTarget(),
  superseded: async () => (await import('./targets/objects.ts')).supersededTarget(),
  tiles: async () => (await import('./targets/tiles.ts')).tilesTarget(),
  previous: async () => (await import('./targets/previous.ts')).previousTarget(),
  'sealed-messages': async () => (await import('./targets/sealed.ts')).sealedMessagesTarget(),
  'sealed-items': async () => (await import('./targets/sealed.ts')).sealedItemsTarget(),
  cms: async () => (await import('./targets/sealed.ts')).cmsTarget(),
  nsm: async () => (await import('./targets/nsm.ts')).nsmTarget(),
  spool: async () => (await import('./targets/spool.ts')).spoolTarget(),
  journal: async () => (await import('./targets/spool.ts')).journalTarget(),
  binance: async () => (await import('./targets/market-data.ts')).binanceTarget(),
  decimal: async () => (await import('./targets/market-data.ts')).decimalTarget(),
  capture: async () => (await import('./targets/market-data.ts')).captureTarget(),
  'live-feed': async () => (await import('./targets/live-feed.ts')).liveFeedTarget(),
  https: async () => (await import('./targets/https.ts')).httpsTarget(),
  tls: async () => (await import('./targets/https.ts')).tlsTarget(),
  'tile-server': async () => (await import('./targets/tile-server.ts')).tileServerTarget(),
  'log-path': async () => (await import('./targets/tile-server.ts')).logPathTarget(),
  eif: async () => (await import('./targets/image.ts')).eifTarget(),
  ramdisk: async () => (await import('./targets/image.ts')).ramdiskTarget(),
  'wasm-module': async () => (await import('./targets/wasm-module.ts')).wasmModuleTarget(),
  zip: async () => (await import('./targets/bundle.ts')).zipTarget(),
  bundle: async () => (await import('./targets/bundle.ts')).bundleTarget(),
  envelope: async () => (await import('./targets/traders.ts')).envelopeTarget(),
  'secret-fields': async () => (await import('./targets/traders.ts')).secretFieldsTarget(),
  result: async () => (await import('./targets/traders.ts')).resultTarget(),
  'track-statements': async () => (await import('./targets/track.ts')).trackStatementsTarget(),
  'ledger-frames': async () => (await import('./targets/track.ts')).ledgerFramesTarget(),
  'stored-states': async () => (await import('./targets/track.ts')).storedStatesTarget(),
  'database-answers': async () => (await import('./targets/database.ts')).databaseAnswersTarget(),
  protobuf: async () => (await import('./targets/grpc.ts')).protobufTarget(),
  grpc: async () => (await import('./targets/grpc.ts')).grpcTarget(),
  evidence: async () => (await import('./targets/header.ts')).evidenceTarget(),
};

export const TARGET_NAMES: readonly string[] = Object.keys(TARGETS);

export async function loadTarget(name: string): Promise<Target> {
  const load = TARGETS[name];
  if (load !== undefined) return load();
  // For the tests of the fuzzer itself.
  const planted = (await import('./targets/planted.ts')).plantedTarget(name);
  if (planted === null) throw new Error(`no parser ${name}`);
  return planted;
}
