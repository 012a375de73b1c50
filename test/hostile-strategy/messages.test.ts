// A taken-over runner that writes frames: imitations of answers, of other streams, of the log itself.

import { describe } from 'vitest';
import type { RefusalCode } from '../../wire/codes.ts';
import { FRAME } from '../../wire/messages.ts';
import { takesOver, testAttempts } from './support.ts';
import type { Attempt } from './support.ts';

const MALFORMED = 'strategy_output_malformed';

/** \`code\` runs after the first input, whose leaf and time it has. */
function writes(name: string, code: string, fate: RefusalCode = MALFORMED): Attempt {
  const head = `const signal = (changes) => t.encodeSignal({ id: 0, instrument: 7, side: 1, quantity: 1, limit: 1, ttlMs: 1, decisionNs: timeNs, causes: [leafIndex], ...changes });`;
  return takesOver(
    name,
    `t.started(); const { leafIndex, timeNs } = t.readInput(); ${head} ${code}; for (;;) t.readInput();`,
    fate,
  );
}

describe('answers', () => {
  testAttempts([
    writes('for a later input', 't.write(t.outputsFrame(leafIndex + 1, []))'),
    writes('for an earlier leaf', 't.write(t.outputsFrame(0, []))'),
    writes(
      'twice',
      't.write(t.outputsFrame(leafIndex, [])); t.write(t.outputsFrame(leafIndex, []))',
    ),
    writes(
      'with an id that is not the next',
      't.write(t.outputsFrame(leafIndex, [signal({ id: 1 })]))',
    ),
    writes('with an id twice', 't.write(t.outputsFrame(leafIndex, [signal(), signal()]))'),
    writes(
      'for an instrument of another strategy',
      't.write(t.outputsFrame(leafIndex, [signal({ instrument: 3 })]))',
    ),
    writes(
      'that name other causes',
      't.write(t.outputsFrame(leafIndex, [signal({ causes: [0] })]))',
    ),
    writes('that name no cause', 't.write(t.outputsFrame(leafIndex, [signal({ causes: [] })]))'),
    writes(
      'with another time',
      't.write(t.outputsFrame(leafIndex, [signal({ decisionNs: timeNs + 1n })]))',
    ),
    writes(
      'with words in place of a signal',
      "t.write(t.outputsFrame(leafIndex, [t.Buffer.from('secret-2f9c')]))",
    ),
    writes(
      '65 times for one input',
      't.write(t.outputsFrame(leafIndex, Array.from({ length: 65 }, (_, id) => signal({ id }))))',
    ),
    writes('of 3 KiB each', 't.write(t.outputsFrame(leafIndex, [new Uint8Array(3000)]))'),
    writes(
      'with bytes behind',
      't.write(t.frame(t.FRAME.outputs, t.Buffer.concat([t.outputsFrame(leafIndex, []).subarray(5), t.Buffer.of(0)])))',
    ),
  ]);
});

describe('beginnings and ends', () => {
  testAttempts([
    writes('a second start', 't.started()'),
    writes(
      'an end for a cause that is not its own',
      "t.write(t.endedFrame('clock_divergence'))",
      'strategy_crashed',
    ),
    writes(
      'an end as if it had taken too long',
      "t.write(t.endedFrame('strategy_over_budget'))",
      'strategy_crashed',
    ),
    writes('an end in words', "t.write(t.frame(t.FRAME.ended, t.Buffer.from('secret-2f9c')))"),
    writes(
      'an end with a code that does not exist',
      "t.write(t.frame(t.FRAME.ended, t.Buffer.from('a1016b7365637265742d32663963', 'hex')))",
    ),
    writes(
      'an end, and an answer after it',
      "t.write(t.endedFrame('strategy_parameters')); t.write(t.outputsFrame(leafIndex, [signal()]))",
      'strategy_parameters',
    ),
    writes('the end of its output', 't.fs.closeSync(1)', 'strategy_crashed'),
    writes('nothing, and exits with 0', 't.process.exit(0)', 'strategy_crashed'),
    writes('nothing, and exits with another code', 't.process.exit(77)', 'strategy_crashed'),
    writes('nothing, and aborts', 't.process.abort()', 'strategy_crashed'),
  ]);
});

/** Frames of other streams; a strategy's stream has three of its own. */
const OTHERS = Object.entries(FRAME).filter(
  ([name]) => !['started', 'outputs', 'ended'].includes(name),
);

describe('frames of other streams', () => {
  testAttempts(
    OTHERS.map(([name, type]) =>
      writes(name, `t.write(t.frame(${type}, t.Buffer.from('secret-2f9c')))`),
    ),
  );
});

describe('what is no frame', () => {
  testAttempts([
    writes(
      'a length of 4 GiB',
      "t.write(t.Buffer.from('ffffffff', 'hex')); t.write(t.Buffer.of(t.FRAME.outputs))",
    ),
    writes(
      'a length just beyond the limit',
      "t.write(t.Buffer.concat([t.Buffer.from('00040001', 'hex'), t.Buffer.of(t.FRAME.outputs)]))",
    ),
    writes('a type of zero', 't.write(t.Buffer.alloc(5))'),
    writes('random bytes', 't.write(t.Buffer.alloc(65536, 0xa5))'),
    writes(
      'words for the log',
      't.write(t.Buffer.from(\'\\\\n{"level":"error","code":"secret-2f9c"}\\\\n\'))',
    ),
    writes('a flood', 'for (;;) t.write(t.Buffer.alloc(1 << 16, 0xff))'),
    writes(
      'a flood of answers',
      'for (let leaf = leafIndex; ; leaf++) t.write(t.outputsFrame(leaf, []))',
    ),
  ]);
});

describe('descriptors and leftovers', () => {
  testAttempts([
    takesOver(
      'writes to every descriptor that there could be',
      't.started(); for (let fd = 2; fd < 64; fd++) { try { t.fs.writeSync(fd, t.Buffer.alloc(8)); } catch {} } t.confess(0);',
    ),
    takesOver('closes standard error', 't.started(); t.fs.closeSync(2); t.confess(0);'),
    takesOver(
      'leaves timers, handles and listeners',
      "t.started(); setInterval(() => t.write(t.Buffer.from('x')), 1); t.process.on('exit', () => { for (;;); }); t.process.on('SIGTERM', () => {}); t.confess(0);",
    ),
  ]);
});
