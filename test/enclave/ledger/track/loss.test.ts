// What a store has lost: the desk knows how far it was, and the next ledger says it, or refuses.

import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { answerQuestions } from '../../../../enclave/ledger/track/questions.ts';
import { encodeTrackAsk, parseTrackPage } from '../../../../enclave/ledger/track-page.ts';
import type { LedgerAsk } from '../../../../enclave/ledger/protocol.ts';
import { nodeCrypto } from '../../../../wire/node/crypto.ts';
import type { Result } from '../../../../wire/result.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { checkChain } from '../../../../wire/track/chain.ts';
import type { SignedStatement } from '../../../../wire/track/evidence.ts';
import { parseSignedStatement } from '../../../../wire/track/evidence.ts';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { MAX_LOST_COUNTER } from '../../../../wire/track/signing.ts';
import type { TrackDesk } from '../../../helpers/track-desk.ts';
import type { StoreScene } from '../../../helpers/track-store.ts';
import { storeScene } from '../../../helpers/track-store.ts';
import type { Story } from '../../../helpers/track-story.ts';
import {
  openRecord,
  openStory,
  parsedOf,
  playAll,
  playStep,
  signedOf,
} from '../../../helpers/track-story.ts';

const scene = await storeScene();
const BACKED_UP_STEP = 16;
const RESTORED_STEP = 24;

const TABLES = [
  'accounts',
  'sealed_fills',
  'chain',
  'chain_heads',
  'hourly_returns',
  'balance_snapshots',
  'corrections',
  'sync_status',
  'sealed_states',
];

/** Puts all rows aside; call the answer to have the database as it was. */
async function backup({ server }: StoreScene): Promise<() => Promise<void>> {
  const copies = TABLES.map((name) => `CREATE TABLE aside.${name} AS TABLE trackseal.${name}`);
  await server.db.exec(
    `DROP SCHEMA IF EXISTS aside CASCADE; CREATE SCHEMA aside; ${copies.join('; ')}`,
  );
  return async () => {
    const rows = TABLES.map((name) => `INSERT INTO trackseal.${name} TABLE aside.${name}`);
    await server.db.exec(
      `SET session_replication_role = replica; TRUNCATE trackseal.accounts CASCADE;
       ${rows.join('; ')}; SET session_replication_role = DEFAULT`,
    );
  };
}

/** A database that was put back, with the ledger dead and the desk as it was. */
async function restored(
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly story: Story; readonly kept: number }> {
  await scene.clear();
  const story = openStory(scene.store());
  let restore: (() => Promise<void>) | null = null;
  let kept = 0;
  for (let step = 0; step < RESTORED_STEP; step++) {
    if (step === BACKED_UP_STEP) {
      restore = await backup(scene);
      kept = story.desk.head?.counter ?? 0;
    }
    await playStep(story, step);
  }
  story.record.store.close();
  await before();
  await restore?.();
  return { story, kept };
}

/** Pages as HTTPS gives them. */
async function pagesOf({ record, desk }: Story): Promise<readonly SignedStatement[]> {
  let ask: ((ask: LedgerAsk) => Promise<Result<Uint8Array>>) | null = null;
  const services = desk.services();
  const asked = {
    ...services,
    onAsk: (answer: typeof ask) => {
      ask = answer;
    },
  };
  answerQuestions(asked, record, new MetricsMaker(services, record.store));
  const answer = ask as ((ask: LedgerAsk) => Promise<Result<Uint8Array>>) | null;
  if (answer === null) throw new Error('nobody answers');
  const statements: SignedStatement[] = [];
  for (let after: number | null = 0; after !== null;) {
    const given = { id: 1, operation: 'track', account: desk.account.id };
    const bytes = assertAccepted(await answer({ ...given, arguments: encodeTrackAsk(after) }));
    const page = parseTrackPage(bytes);
    if (page === null) throw new Error('no page');
    for (const one of page.statements) {
      const signed = parseSignedStatement(one);
      if (signed !== null) statements.push(signed);
    }
    after = page.next;
  }
  return statements;
}

function lastStatement(desk: TrackDesk): number {
  return desk.head?.counter ?? 0;
}

/** The counter that holds, for each hour. */
function hoursOf({ record, desk }: Story): readonly (number | null)[] {
  const chain = record.track(desk.account.id)?.chain ?? null;
  const counters: (number | null)[] = [];
  const lastMs = chain?.lastHourMs ?? 0;
  for (let atMs = chain?.firstHourMs ?? Infinity; atMs <= lastMs; atMs += HOUR_MS) {
    counters.push(chain?.effective('hour', atMs) ?? null);
  }
  return counters;
}

describe('a database that was put back to an earlier moment', () => {
  it('is refused at the next start: nothing is stated or served, and the trail says it', async () => {
    const { story, kept } = await restored();
    const head = lastStatement(story.desk);
    const leaves = story.desk.leaves.length;
    story.record = openRecord(story.desk, scene.store());
    for (const step of [RESTORED_STEP, RESTORED_STEP + 1]) await playStep(story, step);
    const track = story.record.track(story.desk.account.id);
    expect(track?.refusal).toEqual({
      code: 'store_rolled_back',
      detail: { counter: kept, head },
    });
    expect(story.desk.audits).toContainEqual({
      event: 'store_invalid',
      account: story.desk.account.id,
      code: 'store_rolled_back',
    });
    expect(story.desk.leaves.length).toBe(leaves);
    expect(lastStatement(story.desk)).toBe(head);
  }, 60_000);

  it('goes on where that was allowed: what was lost is named, and its hours are stated again', async () => {
    const { story, kept } = await restored();
    const head = lastStatement(story.desk);
    expect(head).toBeGreaterThan(kept + 1);
    story.desk.acceptLoss = true;
    story.record = openRecord(story.desk, scene.store());
    for (let step = RESTORED_STEP; step < RESTORED_STEP + 8; step++)
      await playStep(story, step, 30);
    const signed = await signedOf(story);
    const statements = parsedOf(signed);
    expect(statements.map(({ counter }) => counter)).toEqual([
      ...Array.from({ length: kept }, (_, at) => at + 1),
      ...Array.from({ length: statements.length - kept }, (_, at) => head + 1 + at),
    ]);
    const revocation = statements[kept];
    expect(revocation).toMatchObject({
      kind: 'revocation',
      counter: head + 1,
      lost: { from: kept + 1, to: head },
      reason: 'store_lost',
    });
    const bytes = signed.map(({ statement }) => statement);
    const chain = assertAccepted(checkChain(nodeCrypto, bytes));
    const firstMs = chain.firstHourMs ?? 0;
    for (let atMs = firstMs; atMs <= (chain.lastHourMs ?? 0); atMs += HOUR_MS) {
      const counter = chain.effective('hour', atMs) ?? 0;
      expect(counter <= kept || counter > head).toBe(true);
    }
    expect((chain.lastHourMs ?? 0) - firstMs).toBeGreaterThanOrEqual(14 * HOUR_MS);
    // The same goes for whoever reads it page by page, and for the next ledger, which finds nothing new to say.
    const pages = await pagesOf(story);
    expect(parsedOf(pages.slice(0, -1)).map(({ counter }) => counter)).toEqual(
      statements.map(({ counter }) => counter),
    );
    story.record.store.close();
    story.desk.acceptLoss = false;
    story.record = openRecord(story.desk, scene.store());
    await playStep(story, RESTORED_STEP + 8);
    const track = story.record.track(story.desk.account.id);
    expect([track?.refusal, track?.chain?.isLost(head)]).toEqual([null, true]);
    expect((await signedOf(story)).length).toBeGreaterThanOrEqual(signed.length);
  }, 60_000);

  it('says the same where the lost rows are there again, beside what was stated anew', async () => {
    const { story, kept } = await restored(async () => {
      await scene.server.db.exec(
        'CREATE TABLE aside.lost AS SELECT * FROM trackseal.chain WHERE counter > (SELECT counter FROM aside.chain_heads)',
      );
    });
    const head = lastStatement(story.desk);
    story.desk.acceptLoss = true;
    story.record = openRecord(story.desk, scene.store());
    for (let step = RESTORED_STEP; step < RESTORED_STEP + 4; step++)
      await playStep(story, step, 30);
    const said = hoursOf(story);
    story.record.store.close();
    await scene.server.db.exec(
      `SET session_replication_role = replica; INSERT INTO trackseal.chain TABLE aside.lost;
       SET session_replication_role = DEFAULT`,
    );
    story.record = openRecord(story.desk, scene.store());
    await story.record.idle();
    const track = story.record.track(story.desk.account.id);
    expect([track?.refusal, track?.chain?.isLost(kept + 1)]).toEqual([null, false]);
    expect((await signedOf(story)).length).toBeGreaterThan(head);
    expect(hoursOf(story)).toEqual(said);
  }, 60_000);

  it('is not shown as a whole record before it is said what was lost', async () => {
    const { story, kept } = await restored();
    const head = lastStatement(story.desk);
    story.desk.acceptLoss = true;
    // As with a host whose database takes no rows, and gives those that it has.
    story.desk.ready = false;
    story.record = openRecord(story.desk, scene.store());
    story.record.look();
    await story.record.idle();
    const track = story.record.track(story.desk.account.id);
    const leaves = story.desk.leaves.length;
    await expect(pagesOf(story)).rejects.toThrow('not_ready');
    expect([track?.refusal, track?.chain, story.desk.leaves.length]).toEqual([null, null, leaves]);
    story.record.store.close();
    story.desk.ready = true;
    story.record = openRecord(story.desk, scene.store());
    story.record.look();
    await story.record.idle();
    const shown = parsedOf((await pagesOf(story)).slice(0, -1));
    expect(shown[kept]).toMatchObject({ kind: 'revocation', lost: { from: kept + 1, to: head } });
  }, 60_000);

  it('that was emptied is no new beginning', async () => {
    const { story } = await restored();
    const head = lastStatement(story.desk);
    await scene.server.db.exec('TRUNCATE trackseal.accounts CASCADE');
    story.record = openRecord(story.desk, scene.store());
    await playStep(story, RESTORED_STEP);
    expect(story.record.track(story.desk.account.id)?.refusal?.code).toBe('store_rolled_back');
    story.desk.acceptLoss = true;
    story.record.store.close();
    story.record = openRecord(story.desk, scene.store());
    for (let step = RESTORED_STEP; step < RESTORED_STEP + 4; step++)
      await playStep(story, step, 30);
    const [first] = parsedOf(await signedOf(story));
    expect(first).toMatchObject({ counter: head + 1, lost: { from: 1, to: head } });
  }, 60_000);

  it('behind a head that no chain has goes on, and tells the desk of none that it would not take', async () => {
    const { story } = await restored();
    const head = { counter: MAX_LOST_COUNTER, hash: new Uint8Array(32).fill(5) };
    story.desk.head = head;
    story.desk.acceptLoss = true;
    story.record = openRecord(story.desk, scene.store());
    for (let step = RESTORED_STEP; step < RESTORED_STEP + 4; step++)
      await playStep(story, step, 30);
    const track = story.record.track(story.desk.account.id);
    expect(track?.refusal).toBeNull();
    expect(track?.chain?.head.counter).toBeGreaterThan(MAX_LOST_COUNTER + 1);
    expect(story.desk.head).toEqual(head);
  }, 60_000);

  it('that has another statement at the place that the desk knows is a fork, whatever is allowed', async () => {
    await scene.clear();
    const story = await playAll(scene.store(), 12);
    story.record.store.close();
    story.desk.acceptLoss = true;
    story.desk.head = { counter: lastStatement(story.desk), hash: new Uint8Array(32).fill(5) };
    story.record = openRecord(story.desk, scene.store());
    await playStep(story, 12);
    expect(story.record.track(story.desk.account.id)?.refusal?.code).toBe('chain_fork');
  }, 60_000);

  it('is taken where it has more than the desk was told, and the desk is told', async () => {
    await scene.clear();
    const story = await playAll(scene.store(), 12);
    const head = story.desk.head;
    const [first] = await signedOf(story);
    if (head === null || first === undefined) throw new Error('no chain');
    story.record.store.close();
    // The word of the last statements did not get through.
    story.desk.head = { counter: 1, hash: nodeCrypto.sha256(first.statement) };
    story.record = openRecord(story.desk, scene.store());
    await story.record.idle();
    expect(story.record.track(story.desk.account.id)?.refusal).toBeNull();
    expect(story.desk.head).toEqual(head);
  }, 60_000);
});

describe('a ledger without a database that dies', () => {
  it('does not begin a second chain: the next one says what is lost, again and again', async () => {
    const story = await playAll(new MemoryStore(), 12);
    const seen = [...(await signedOf(story))];
    for (const [at, step] of [12, 20, 28].entries()) {
      const head = lastStatement(story.desk);
      story.record = openRecord(story.desk, new MemoryStore());
      for (let next = step; next < step + 8; next++) await playStep(story, next, 30);
      const signed = await signedOf(story);
      expect(parsedOf(signed)[0], `death ${at}`).toMatchObject({
        kind: 'revocation',
        counter: head + 1,
        lost: { from: 1, to: head },
        reason: 'not_stored',
      });
      expect(signed.length).toBeGreaterThan(1);
      seen.push(...signed);
      // Whoever has kept all of them has one chain, that says the same as the last ledger's.
      const all = assertAccepted(
        checkChain(
          nodeCrypto,
          seen.map(({ statement }) => statement),
        ),
      );
      const last = assertAccepted(
        checkChain(
          nodeCrypto,
          signed.map(({ statement }) => statement),
        ),
      );
      expect(all.head).toEqual(last.head);
      expect([all.firstHourMs, all.lastHourMs]).toEqual([last.firstHourMs, last.lastHourMs]);
    }
    expect(story.desk.fatal).toEqual([]);
  }, 60_000);

  it('says nothing before the enclave is ready, and it is not lost', async () => {
    const story = await playAll(new MemoryStore(), 12);
    const leaves = story.desk.leaves.length;
    story.desk.ready = false;
    story.record = openRecord(story.desk, new MemoryStore());
    story.record.look();
    await story.record.idle();
    expect(story.desk.leaves.length).toBe(leaves);
    story.desk.ready = true;
    story.record.look();
    await story.record.idle();
    expect(parsedOf(await signedOf(story))).toMatchObject([{ kind: 'revocation' }]);
  });
});

describe('the chain of an account that is removed', () => {
  it('ends, stored, and nothing follows it', async () => {
    await scene.clear();
    const story = await playAll(scene.store(), 12);
    const head = lastStatement(story.desk);
    story.desk.remove();
    await story.record.idle();
    expect(lastStatement(story.desk)).toBe(head + 1);
    story.record = openRecord(story.desk, scene.store());
    for (const step of [12, 13, 14]) await playStep(story, step);
    expect(story.record.track(story.desk.account.id)?.chain?.ended).toBe(true);
    expect(parsedOf(await signedOf(story)).at(-1)).toMatchObject({
      kind: 'revocation',
      counter: head + 1,
      lost: null,
      reason: 'removed',
    });
    expect(lastStatement(story.desk)).toBe(head + 1);
    // Once: the desk told another ledger of it, because it had not heard.
    story.desk.remove();
    await story.record.idle();
    expect([lastStatement(story.desk), story.desk.fatal]).toEqual([head + 1, []]);
  }, 60_000);

  it('says before that what was lost', async () => {
    const story = await playAll(new MemoryStore(), 12);
    const head = lastStatement(story.desk);
    const store = new MemoryStore();
    story.record = openRecord(story.desk, store);
    story.desk.remove();
    await story.record.idle();
    expect(lastStatement(story.desk)).toBe(head + 2);
    // What was kept of it is gone.
    expect(story.record.track(story.desk.account.id)).toBeNull();
  });

  it('is none where nothing was stated', async () => {
    const story = openStory(new MemoryStore());
    story.desk.remove();
    await story.record.idle();
    expect([story.desk.leaves, story.desk.fatal, story.desk.head]).toEqual([[], [], null]);
  });
});
