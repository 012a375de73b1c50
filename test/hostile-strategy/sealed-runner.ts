// The real runner's modules and its seal, and nothing more. A bundle that begins with the mark runs in the
// runner's own context, as code would that got out of the strategy's.

import { Script, constants } from 'node:vm';
import { seal } from '../../enclave/strategy/seal.ts';
import { bundleText, confess, started } from './runner-frames.ts';

type BreaksSeal = (tools: { confess: typeof confess; started: typeof started }) => Promise<void>;

seal(Number(process.argv[2]));
const text = bundleText('//taken over\n');
const { USE_MAIN_CONTEXT_DEFAULT_LOADER: importModuleDynamically } = constants;
const script = new Script(text, { importModuleDynamically });
await (script.runInThisContext() as BreaksSeal)({ confess, started });
