// Looks for secrets in whatever left the enclave, in every form that a careless program gives them: as they are, in hex,
// base64 (at each of its three alignments) and base64url, escaped for JSON, URLs and HTML, and in UTF-16. What is
// found is named, so that a failing test says what leaked where.

const MIN_BYTES = 6;

/** The part of a base64 text that does not depend on what stands before and after. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((lead) => {
    const text = Buffer.concat([Buffer.alloc(lead), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const core = text.slice(lead === 0 ? 0 : lead + 1, -1);
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function formsOf(secret: string): readonly Buffer[] {
  const bytes = Buffer.from(secret);
  const html = secret.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
  const texts = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ s: secret }).toString().slice(2),
    html,
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64Cores(bytes),
  ];
  const wide = [Buffer.from(secret, 'utf16le'), Buffer.from(secret, 'utf16le').swap16()];
  return [...new Set(texts)].map((text) => Buffer.from(text)).concat(wide);
}

export class SecretSearch {
  readonly #forms: ReadonlyMap<string, readonly Buffer[]>;

  /** Names and secrets; shorter ones than 6 bytes would be found anywhere. */
  constructor(secrets: Readonly<Record<string, string>>) {
    for (const [name, secret] of Object.entries(secrets)) {
      if (Buffer.byteLength(secret) < MIN_BYTES) throw new RangeError(`${name} is too short`);
    }
    this.#forms = new Map(Object.entries(secrets).map(([name, secret]) => [name, formsOf(secret)]));
  }

  /** Names of the secrets in it. */
  in(bytes: Uint8Array | string): readonly string[] {
    const haystack =
      typeof bytes === 'string'
        ? Buffer.from(bytes)
        : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return [...this.#forms]
      .filter(([, forms]) => forms.some((form) => haystack.includes(form)))
      .map(([name]) => name);
  }

  /** Pieces that overlap by so much are searched as if they were one. */
  get overlapBytes(): number {
    return Math.max(...[...this.#forms.values()].flat().map(({ length }) => length));
  }

  /** `place: secret` for everything found in named places. */
  inAll(places: Readonly<Record<string, readonly (Uint8Array | string)[]>>): readonly string[] {
    return Object.entries(places).flatMap(([place, pieces]) => {
      // Over the joints too: a secret may be cut between two writes.
      const joined = Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
      return this.in(joined).map((name) => `${place}: ${name}`);
    });
  }
}
