// Asks for a secret on a terminal, without echo. What is typed is a text of JavaScript, which cannot be wiped; it is not
// written anywhere.

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  setRawMode?(raw: boolean): unknown;
  setEncoding(encoding: 'utf8'): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  off(event: 'data', listener: (text: string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

const MAX_CHARACTERS = 8192;
const INTERRUPT = '\u0003';
const END = '\u0004';
const ERASE = new Set(['\u007f', '\b']);

/** Null when nobody is there to be asked, or they gave up (Ctrl-C, Ctrl-D). */
export function promptSecret(
  terminal: Terminal,
  write: (text: string) => void,
  question: string,
): Promise<string | null> {
  if (terminal.isTTY !== true || terminal.setRawMode === undefined) return Promise.resolve(null);
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let typed = '';
  const finish = (answer: string | null): void => {
    terminal.off('data', take);
    terminal.setRawMode?.(false);
    terminal.pause();
    write('\n');
    resolve(answer);
  };
  const take = (text: string): void => {
    for (const letter of text) {
      if (letter === '\r' || letter === '\n') {
        finish(typed);
        return;
      }
      if (letter === INTERRUPT || letter === END) {
        finish(null);
        return;
      }
      if (ERASE.has(letter)) typed = typed.slice(0, -1);
      // Pasted keys come as one piece; other keys of the terminal are no part of a secret.
      else if (letter >= ' ' && typed.length < MAX_CHARACTERS) typed += letter;
    }
  };
  terminal.setEncoding('utf8');
  terminal.setRawMode(true);
  terminal.on('data', take);
  terminal.resume();
  write(question);
  return promise;
}
