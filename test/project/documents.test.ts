import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { replaceSection } from '../../scripts/protocol-table.ts';

describe('docs/PROTOCOL.md', () => {
  it('prints exactly the refusal codes of wire/codes.ts', async () => {
    const document = await readFile(join(ROOT, 'docs/PROTOCOL.md'), 'utf8');
    expect(document).toBe(replaceSection(document));
  });
});
