// What the connector's bundle leaves out of ccxt: what it needs for chains (dYdX, zkLink, Starknet, Ethereum's
// typed data), for protocol buffers and for WebSockets. The exchanges that connectors use never call it; a
// call would find an empty module, throw, and end that one job.

import type { Plugin } from 'esbuild';

const LEFT_OUT: readonly RegExp[] = [
  /static_dependencies\/(?:zklink|dydx-v4-client)\//u,
  /functions\/(?:starknet|ethabi)\.js$/u,
  /protobuf\/mexc\/compiled\.cjs$/u,
  /\/ws\/[A-Za-z]+\.js$/u,
  /^@scure\/starknet$/u,
  /^(?:undici|ws|protobufjs)(?:\/|$)/u,
];

/** For the bundle of enclave/connector/main.ts. */
export const connectorPlugin: Plugin = {
  name: 'connector',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, importer }) => {
      if (!importer.includes('/ccxt/js/src/')) return null;
      if (!LEFT_OUT.some((pattern) => pattern.test(path))) return null;
      return { path: 'left-out', namespace: 'left-out', sideEffects: false };
    });
    // CommonJS: a name that is imported from it is undefined, not an error of the build.
    build.onLoad({ filter: /./, namespace: 'left-out' }, () => ({
      contents: 'module.exports = {};',
      loader: 'js',
    }));
  },
};
