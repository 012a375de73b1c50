// Makes the V8 context that a strategy lives in: intrinsics.ts, realm.ts and the bundle are evaluated there. Nothing of
// the runner's own context is reachable from inside: the global object is the context's own, and
// functions of the runner are called through closures of the realm. There is no code generation from
// strings and no dynamic import (it would only reject, and promise jobs never run).

import { Script, constants, createContext } from 'node:vm';
import type { Context } from 'node:vm';
import { parseUtf8 } from '../../wire/bytes.ts';
import { hardenIntrinsics } from './intrinsics.ts';
import type { Realm, RealmHost, StrategyRealm } from './realm-types.ts';
import { buildRealm } from './realm.ts';

/** The same function, made again from its text inside the context. */
function inside<F extends () => void>(context: Context, original: F): F;
function inside<F extends (host: RealmHost) => Realm>(context: Context, original: F): F;
function inside(context: Context, original: () => unknown): unknown {
  return new Script(`(${original.toString()})`, { filename: 'realm.js' }).runInContext(context);
}

export function createStrategyRealm(host: RealmHost, bundle: Uint8Array): StrategyRealm {
  const context: Context = createContext(constants.DONT_CONTEXTIFY, {
    name: 'strategy',
    codeGeneration: { strings: false, wasm: false },
  });
  const harden = inside(context, hardenIntrinsics);
  harden();
  const realm = inside(context, buildRealm)(host);
  const evaluate = (): unknown => {
    const text = parseUtf8(bundle);
    if (text === null) throw new SyntaxError('not UTF-8');
    return new Script(text, { filename: 'strategy.js' }).runInContext(context);
  };
  return { realm, evaluate };
}
