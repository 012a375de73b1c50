// Between the host and the process of its database engine (Node's IPC with structured clones). Both are ours.

export type EngineRequest =
  { readonly type: 'exchange'; readonly bytes: Uint8Array } | { readonly type: 'stop' };

export type EngineAnswer =
  | { readonly type: 'ready'; readonly version: string }
  /** Another process has the folder. */
  | { readonly type: 'in_use' }
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  /** `overflow`: there was more than is handed out; the rest is gone. */
  | { readonly type: 'done'; readonly overflow: boolean };

export function isExchange(message: unknown): message is EngineRequest {
  return typeof message === 'object' && message !== null && 'type' in message;
}
