// The text formats of C2SP: signed notes with checkpoints, proof files. Signatures are the model's, and made
// again for half of the mutants, so that what is behind them is reached.

import { concatBytes, parseUtf8, toBase64, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import {
  encodeCheckpoint,
  parseCheckpoint,
  verifyCheckpoint,
} from '../../../wire/tlog/checkpoint.ts';
import {
  encodeNote,
  MAX_SIGNED_NOTE_BYTES,
  noteKeyId,
  unsafeNoteText,
  verifyNote,
} from '../../../wire/tlog/note.ts';
import { encodeProofFile, parseProofFile } from '../../../wire/tlog/proof-file.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateLines } from '../mutate/lines.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';
import { modelCrypto, signDer } from './model-crypto.ts';

export const ORIGIN = 'trackseal.test/log/e0000000001';
const SPKI = new Uint8Array(91).fill(4);
const ROOT = new Uint8Array(32).fill(9);
const DASH = Buffer.from('— ').toString('latin1');
const KEY_ID = noteKeyId(nodeCrypto, SPKI);

export function signText(text: string, spki: Uint8Array, name: string): Uint8Array {
  return encodeNote(text, name, noteKeyId(nodeCrypto, spki), signDer(spki, utf8(text)));
}

/** The form of C2SP signed-note once more: text, empty line, signature lines up to the end. */
const NOTE = /^([\s\S]*\n)\n((?:— [^\s+]+ [A-Za-z0-9+/]+={0,2}\n)+)$/u;

function readPlainly(bytes: Uint8Array): { text: string; signatures: string } | null {
  const [, text, signatures] = NOTE.exec(parseUtf8(bytes) ?? '') ?? [];
  return text === undefined || signatures === undefined ? null : { text, signatures };
}

function runNote(bytes: Uint8Array): string {
  const unsafe = unsafeNoteText(bytes);
  const verified = verifyNote(modelCrypto, bytes, ORIGIN, SPKI);
  const checkpoint = verifyCheckpoint(modelCrypto, bytes, ORIGIN, SPKI);
  const outcomes = [judge(unsafe), judge(verified), judge(checkpoint)];
  if (unsafe.ok) {
    const plain = readPlainly(bytes);
    expectThat(plain?.text === unsafe.value, 'the text is another');
    const whole = `${unsafe.value}\n${plain?.signatures ?? ''}`;
    expectSameBytes(utf8(whole), bytes, 'the note has bytes beside text and signatures');
  }
  if (verified.ok) {
    expectThat(unsafe.ok && unsafe.value === verified.value, 'verified text is another');
    const signature = toBase64(concatBytes(KEY_ID, signDer(SPKI, utf8(verified.value))));
    const line = `\n— ${ORIGIN} ${signature}\n`;
    expectThat(parseUtf8(bytes)?.includes(line) === true, 'verified without a signature');
  }
  expectThat(!checkpoint.ok || verified.ok, 'a checkpoint of a note that does not verify');
  if (checkpoint.ok) {
    const text = encodeCheckpoint(checkpoint.value);
    expectThat(verified.ok && verified.value === text, 'another text for the same checkpoint');
  }
  return outcomes.join(' ');
}

const NOTE_WORDS = [
  ORIGIN,
  `${DASH}${ORIGIN} ${toBase64(concatBytes(KEY_ID, new Uint8Array(8)))}`,
  `${DASH}other AAAAAAAA`,
  `${DASH}a+b AAAAAAAA`,
  DASH,
  '',
  '\t',
  '\u0000',
  '\u00c3',
  '9007199254740991',
  '9007199254740992',
  '00',
];
const mutateNoteLines = mutateLines(NOTE_WORDS);

/** A changed text that is signed again. */
const mutateSignedNote: Mutator = (random, input, other) => {
  const plain = readPlainly(input);
  const otherText = readPlainly(other)?.text ?? '';
  const changed = mutateNoteLines(random, utf8(plain?.text ?? ''), utf8(otherText));
  const text = parseUtf8(changed);
  return text === null ? changed : signText(text, SPKI, ORIGIN);
};

export function noteTarget(): Target {
  const texts = [
    encodeCheckpoint({ origin: ORIGIN, size: 12, root: ROOT }),
    encodeCheckpoint({ origin: ORIGIN, size: 0, root: ROOT }),
    encodeCheckpoint({ origin: 'another', size: 5, root: ROOT }),
    'some text\n\nwith an empty line\n',
  ];
  const notes = texts.map((text) => signText(text, SPKI, ORIGIN));
  const witnessed = concatBytes(notes[0] ?? ROOT, utf8('— witness AAAAAAAAAAA=\n'));
  return {
    name: 'note',
    files: ['wire/tlog/note.ts', 'wire/tlog/checkpoint.ts', 'wire/bytes.ts'],
    maxBytes: MAX_SIGNED_NOTE_BYTES + 1,
    seeds: [...notes, witnessed],
    mutate: mix([4, mutateNoteLines], [3, mutateSignedNote], [1, mutateBytes]),
    run: runNote,
  };
}

function runCheckpoint(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const parsed = parseCheckpoint(text);
  if (parsed.ok) expectThat(encodeCheckpoint(parsed.value) === text, 'not the only form');
  return judge(parsed);
}

export function checkpointTarget(): Target {
  const sizes = [0, 1, 12, Number.MAX_SAFE_INTEGER];
  return {
    name: 'checkpoint',
    files: ['wire/tlog/checkpoint.ts', 'wire/bytes.ts'],
    maxBytes: 8192,
    seeds: sizes.map((size) => utf8(encodeCheckpoint({ origin: ORIGIN, size, root: ROOT }))),
    mutate: mix([4, mutateNoteLines], [1, mutateBytes]),
    run: runCheckpoint,
  };
}

function runProofFile(bytes: Uint8Array): string {
  const parsed = parseProofFile(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const { extra, proof } = parsed.value;
  expectSameBytes(encodeProofFile(parsed.value), bytes, 'another file says the same');
  return `${outcome} ${extra === null} ${Math.min(proof.length, 2)}`;
}

export function proofFileTarget(): Target {
  const note = signText(encodeCheckpoint({ origin: ORIGIN, size: 12, root: ROOT }), SPKI, ORIGIN);
  const files = [
    { extra: null, index: 3, proof: [ROOT, ROOT, ROOT, ROOT], note },
    { extra: new Uint8Array(90), index: 0, proof: [], note },
    { extra: new Uint8Array(0), index: 5, proof: Array.from({ length: 53 }, () => ROOT), note },
  ];
  const words = ['c2sp.org/tlog-proof@v1', 'extra ', 'index 0', 'index', toBase64(ROOT), ''];
  return {
    name: 'proof-file',
    files: ['wire/tlog/proof-file.ts', 'wire/bytes.ts'],
    maxBytes: 2_950_000,
    seeds: files.map((file) => encodeProofFile(file)),
    mutate: mix([4, mutateLines(words)], [1, mutateBytes]),
    run: runProofFile,
  };
}
