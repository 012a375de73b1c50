// Two accounts of one user at two simulated venues, polled by the connector's own code and stated by the real ledger: a coin that
// goes from one to the other has one transaction in what both venues answer, and so one reference in two signed records.

import { expect, it } from 'vitest';
import { openStore, openTrackRecord } from '../../../enclave/ledger/track/open-track.ts';
import type { TrackRecord } from '../../../enclave/ledger/track/track-record.ts';
import type { Member } from '../../../verifier/together/together-verdict.ts';
import { verifiedTogether } from '../../../verifier/together/together-verdict.ts';
import { checkRecord } from '../../../verifier/track/check-record.ts';
import { verifiedRecord } from '../../../verifier/track/record-verdict.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';
import { documentFor, trust } from '../track/scene-record.ts';

const MINUTE_MS = 60_000;
const TRANSACTION = 'c0ffee00'.repeat(8);

it('a coin that goes from one venue to another is no flow of both accounts', async () => {
  let record: TrackRecord | null = null;
  const scene = await ledgerScene({
    startMs: Date.UTC(2026, 10, 20, 10, 30),
    openParts: (services) => {
      record = openTrackRecord(services, { store: openStore(services), retryMs: 5 });
      return Promise.resolve([record]);
    },
  });
  const { control } = scene.exchange;
  const venues = ['binance', 'okx'] as const;
  const registered = venues.map((venue) => control.account({ venue }));
  const [from = '', to = ''] = registered.map(({ account }) => account);
  control.deposit({ account: from, currency: 'BTC', amount: '2' });
  control.deposit({ account: to, currency: 'USDT', amount: '1000' });
  const added = venues.map((venue, at) => {
    const answer = registered[at];
    if (answer === undefined) throw new Error('no account');
    return scene.account(answer, venue);
  });
  for (const account of added) scene.polling.add(account, null);
  const heads = (): readonly number[] =>
    added.map(({ id }) => record?.track(id)?.chain?.head.counter ?? 0);
  const until = (counter: number): Promise<void> =>
    scene.until(() => {
      record?.look();
      return heads().every((head) => head >= counter);
    }, MINUTE_MS);
  await until(1);
  const coin = { currency: 'BTC', transaction: TRANSACTION };
  control.withdraw({ ...coin, account: from, amount: '1', fee: '0.001' });
  await until(2);
  control.deposit({ ...coin, account: to, amount: '1' });
  await until(4);

  const document = await documentFor(scene);
  const trusted = await trust();
  const members: Member[] = [];
  for (const { id } of added) {
    const track = (record as TrackRecord | null)?.track(id) ?? null;
    const chain = track?.chain ?? null;
    if (record === null || track === null || chain === null) throw new Error('no track');
    const { store } = record as TrackRecord;
    const counters = Array.from({ length: chain.head.counter }, (_, at) => at + 1);
    const statements = assertAccepted(await store.rows(track.account, chain, counters));
    const evidence = { statements, attestations: [document] };
    const checked = assertAccepted(checkRecord(evidence, trusted, null));
    members.push({ ...verifiedRecord(id, trusted, checked, null), record: checked });
  }
  const { verdict } = verifiedTogether('scene', trusted, members);
  expect(verdict.verdict).toBe('verified');
  const { together } = verdict;
  expect(together?.internal.map(({ reason }) => reason)).toEqual(['reference']);
  expect(together?.alike).toEqual([]);
  const [sent, came] = members.map((member) => member.verdict.record?.figures ?? {});
  expect(Number(sent?.['outflow'])).toBeGreaterThan(10_000);
  expect(Number(came?.['inflow'])).toBeGreaterThan(10_000);
  // What rose on its way came from outside, as far as it rose; nothing else moved.
  const rose = Math.max(0, Number(together?.internal[0]?.difference));
  expect(Number(together?.figures['inflow'])).toBeCloseTo(rose, 6);
  expect(together?.figures['outflow']).toBe('0');
  expect(together?.figures['return']).not.toBeNull();
}, 240_000);
