// Reads TypeScript as far as it takes to find templates, what is in them, and the arguments of a call: comments are
// taken out, and text, templates and brackets are kept apart.

const OPEN = '([{';
const CLOSE = ')]}';

/** Index behind the string or template that begins at `at`. */
function endOfText(source: string, at: number): number {
  const quote = source[at];
  for (let index = at + 1; index < source.length; index++) {
    if (source[index] === '\\') index++;
    else if (source[index] === quote) return index + 1;
    else if (quote === '`' && source.startsWith('${', index)) index = endOfHole(source, index) - 1;
  }
  throw new Error(`a text without an end: ${source.slice(at, at + 40)}`);
}

/** Index behind the `}` of what begins with `${` at `at`. */
function endOfHole(source: string, at: number): number {
  return endOfBrackets(source, at + 1);
}

/** Index behind the bracket that closes the one at `at`. */
function endOfBrackets(source: string, at: number): number {
  let depth = 0;
  for (let index = at; index < source.length; index++) {
    const one = source[index] ?? '';
    if ('\'"`'.includes(one)) index = endOfText(source, index) - 1;
    else if (OPEN.includes(one)) depth++;
    else if (CLOSE.includes(one) && --depth === 0) return index + 1;
  }
  throw new Error(`a bracket without an end: ${source.slice(at, at + 40)}`);
}

/** A regular expression begins where a value may. */
const BEFORE_REGEX = /[(,=:[!&|?{};]\s*$/u;
const REGEX = /^\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/u;

/** Without comments and regular expressions. */
export function sourceOf(text: string): string {
  let source = '';
  for (let index = 0; index < text.length; index++) {
    const one = text[index] ?? '';
    if ('\'"`'.includes(one)) {
      const end = endOfText(text, index);
      source += text.slice(index, end);
      index = end - 1;
    } else if (text.startsWith('//', index)) {
      const end = text.indexOf('\n', index);
      index = (end < 0 ? text.length : end) - 1;
    } else if (text.startsWith('/*', index)) {
      index = text.indexOf('*/', index) + 1;
    } else {
      const regex = one === '/' && BEFORE_REGEX.test(source) ? REGEX.exec(text.slice(index)) : null;
      source += regex === null ? one : 'null';
      index += (regex?.[0].length ?? 1) - 1;
    }
  }
  return source;
}

export interface Template {
  /** With its backticks. */
  readonly whole: string;
  /** Without what is in `${}`. */
  readonly text: string;
  /** What is in each `${}`. */
  readonly holes: readonly string[];
}

function templateOf(whole: string): Template {
  const holes: string[] = [];
  let text = '';
  for (let index = 1; index < whole.length - 1; index++) {
    if (!whole.startsWith('${', index)) {
      text += whole[index] ?? '';
      if (whole[index] === '\\') text += whole[++index] ?? '';
      continue;
    }
    const end = endOfHole(whole, index);
    holes.push(whole.slice(index + 2, end - 1).trim());
    text += '${}';
    index = end - 1;
  }
  return { whole, text, holes };
}

/** Those in the `${}` of others too. */
export function templatesOf(source: string): readonly Template[] {
  const found: Template[] = [];
  for (let index = 0; index < source.length; index++) {
    const one = source[index] ?? '';
    if (!'\'"`'.includes(one)) continue;
    const end = endOfText(source, index);
    if (one === '`') {
      const template = templateOf(source.slice(index, end));
      found.push(template, ...template.holes.flatMap(templatesOf));
    }
    index = end - 1;
  }
  return found;
}

/** Of each call of what is named so, with the dot of a method: its arguments as they are written. */
export function argumentsOf(source: string, name: string): readonly (readonly string[])[] {
  const calls = source.matchAll(
    new RegExp(`${name.replaceAll('.', String.raw`\.`)}(?:<[^;]*?>)?\\(`, 'gu'),
  );
  return [...calls].map(({ index, 0: { length } }) => {
    const start = index + length - 1;
    const inside = source.slice(start + 1, endOfBrackets(source, start) - 1);
    const found: string[] = [];
    let from = 0;
    for (let at = 0; at < inside.length; at++) {
      const one = inside[at] ?? '';
      if ('\'"`'.includes(one)) at = endOfText(inside, at) - 1;
      else if (OPEN.includes(one)) at = endOfBrackets(inside, at) - 1;
      else if (one === ',') {
        found.push(inside.slice(from, at).trim());
        from = at + 1;
      }
    }
    return [...found, inside.slice(from).trim()].filter((part) => part !== '');
  });
}
