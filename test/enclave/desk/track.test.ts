import { describe, expect, it } from 'vitest';
import type { TrackPage } from '../../../enclave/ledger/track-page.ts';
import {
  encodeTrackPage,
  MAX_PAGE_STATEMENTS,
  parseTrackAsk,
  parseTrackPage,
} from '../../../enclave/ledger/track-page.ts';
import { readTrackPage } from '../../../client/track-page.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, assertAccepted, refuse } from '../../../wire/result.ts';
import { signedStatementToJson } from '../../../wire/track/evidence.ts';
import type { ApiScene } from '../../helpers/api-scene.ts';
import { apiScenes } from '../../helpers/api-scenes.ts';

const STATEMENT = signedStatementToJson({
  statement: Uint8Array.of(0xa0),
  signature: new Uint8Array(64).fill(1),
  origin: 'trackseal.example/demo/e0000000001',
  leafIndex: 7,
  position: 0,
  leafSalt: new Uint8Array(16),
});
const PAGE: TrackPage = { statements: [STATEMENT], head: 5, next: 1, freshness: 'fresh' };

const scenes = apiScenes();

/** A desk whose ledger answers so. */
async function scene(
  answer: Result<Uint8Array>,
): Promise<{ one: ApiScene; id: string; asked: unknown[] }> {
  const asked: unknown[] = [];
  const ledger = {
    ask: (operation: string, account: string, args: Uint8Array) => {
      asked.push([operation, account, assertAccepted(parseTrackAsk(args))]);
      return Promise.resolve(answer);
    },
  };
  const one = await scenes.open({}, ledger);
  return { one, id: await one.session(), asked };
}

describe('the track record over HTTPS', () => {
  it('is asked of the ledger for the account of the session, from a place on', async () => {
    const { one, id, asked } = await scene(accept(encodeTrackPage(PAGE)));
    const { status, inside } = await one.operate('track', id, { after: 4 });
    expect(status).toBe(200);
    expect(inside).toMatchObject(PAGE);
    await one.operate('track', id);
    const account = [...one.polling.added.keys()][0];
    expect(asked).toEqual([
      ['track', account, 4],
      ['track', account, 0],
    ]);
    expect(assertAccepted(readTrackPage(inside, 0)).statements).toHaveLength(1);
  });

  it.each<[string, Result<Uint8Array>, string]>([
    ['the ledger refuses', refuse('not_ready'), 'not_ready'],
    ['the ledger is not there', refuse('ledger_unavailable'), 'ledger_unavailable'],
    ['the ledger answers something else', accept(utf8('<html>')), 'ledger_unavailable'],
  ])('has a code when %s', async (_, answer, code) => {
    const { one, id } = await scene(answer);
    const { status, inside } = await one.operate('track', id);
    expect([status, inside['error']]).toEqual([503, code]);
  });

  it('is nobody else’s, and from no other place than a number', async () => {
    const { one, id, asked } = await scene(accept(encodeTrackPage(PAGE)));
    const unknown = await one.operate('track', 'A'.repeat(43));
    expect(unknown.inside['error']).toBe('session_unknown');
    for (const after of ['4', true, null, -1, 1.5]) {
      const refused = await one.operate('track', id, { after });
      expect(refused.inside['error']).toMatch(/^(?:api|envelope)_malformed$/u);
    }
    expect(asked).toEqual([]);
  });
});

describe('a page', () => {
  it.each<[string, object]>([
    ['a field more', { ...PAGE, more: 1 }],
    ['no head', { statements: [], next: null, freshness: 'fresh', other: 1 }],
    ['a head that is no counter', { ...PAGE, head: -1 }],
    ['a place that is no counter', { ...PAGE, next: 0.5 }],
    ['another word', { ...PAGE, freshness: 'old' }],
    ['texts for statements', { ...PAGE, statements: ['a'] }],
    [
      'too many',
      { ...PAGE, statements: Array.from({ length: MAX_PAGE_STATEMENTS + 1 }, () => ({})) },
    ],
  ])('with %s is none', (_, page) => {
    expect(parseTrackPage(utf8(JSON.stringify(page)))).toBeNull();
  });

  it('with as many as may be is one', () => {
    const statements = Array.from({ length: MAX_PAGE_STATEMENTS }, () => STATEMENT);
    const page = { ...PAGE, statements };
    expect(parseTrackPage(encodeTrackPage(page))).toEqual(page);
  });

  it.each<[string, Record<string, unknown>]>([
    ['that does not go on', { ...PAGE, next: 1 }],
    ['with something else than a statement', { ...PAGE, next: 9, statements: [{}] }],
    ['without statements', { next: null }],
  ])('%s is refused by a client', (_, page) => {
    const read = readTrackPage(page, 1);
    expect(read.ok ? null : read.refusal.code).toBe('record_malformed');
  });
});
