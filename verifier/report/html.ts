// HTML in which every value is escaped unless it is HTML of our own already: a statement, a venue or an attestation document
// cannot put a tag, an attribute or a control character into a report.

class Made {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Made by `html` only. */
export type Html = Made;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control characters, and what turns the direction of text or hides it. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

export function escapeText(text: string): string {
  return text
    .replaceAll(INVISIBLE, '\ufffd')
    .replaceAll(/[&<>"']/gu, (character) => ENTITIES[character] ?? '');
}

export type Value = Html | string | number | readonly Html[];

function render(value: Value): string {
  if (value instanceof Made) return value.text;
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'number') return String(value);
  return value.map(({ text }) => text).join('');
}

export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const parts = strings.map((part, at) => {
    const value = values[at];
    return value === undefined ? part : `${part}${render(value)}`;
  });
  return new Made(parts.join(''));
}
