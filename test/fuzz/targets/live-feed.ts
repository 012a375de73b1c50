// A live feed's messages, in lines: the first byte of an input picks the venue, the first character of a line says
// what comes (a message, a snapshot, or the end of the connection). Whatever a venue says, the enclave takes the
// batches, their sequence has the declared holes and no other, and both agree about which books there are.

import { BatchMemory, parseBatch } from '../../../wire/batch.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Instrument } from '../../../wire/instrument.ts';
import { LiveFeed } from '../../../wire/market/live-feed.ts';
import { Market } from '../../../wire/market/market.ts';
import { OKX } from '../../../wire/market/venues/okx.ts';
import { VENUES } from '../../../wire/market/venues/venues.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import { mutateLines } from '../mutate/lines.ts';
import type { Target } from '../target.ts';
import { expectThat, judge } from '../target.ts';

const ALL = [...VENUES, ...OKX];
const TIME_NS = 1_723_161_254_206_652_067n;

const BINANCE: readonly string[] = [
  '>{"e":"depthUpdate","E":1723161255208,"s":"ABC","U":5,"u":7,"b":[["2683.16","1.5000"],["2683.00","0"]],"a":[["2683.17","0.1"]]}',
  '>{"e":"depthUpdate","E":1723161255208,"T":1723161255200,"s":"ABC","U":8,"u":9,"pu":7,"b":[],"a":[]}',
  '?{"lastUpdateId":7,"bids":[["2683.16","1.5"]],"asks":[["2683.17","2"],["2684","3"]]}',
  '>{"e":"trade","T":1723161255200,"s":"ABC","t":15205,"p":"2683.80","q":"0.0200","m":true}',
  '>{"u":400,"s":"ABC","b":"2683.16","B":"31.21","a":"2683.17","A":"40.66"}',
  '>{"result":null,"id":1}',
  '>{"error":{"code":2,"msg":"x"},"id":1}',
];
const BYBIT: readonly string[] = [
  '>{"topic":"orderbook.50.ABC","type":"snapshot","ts":1,"data":{"s":"ABC","b":[["1","2"]],"a":[],"u":5,"seq":1}}',
  '>{"topic":"orderbook.50.ABC","type":"delta","ts":1,"data":{"s":"ABC","b":[],"a":[["2.50","1"]],"u":6,"seq":2},"cts":1}',
  '>{"topic":"publicTrade.ABC","type":"snapshot","ts":1,"data":[{"T":1,"s":"ABC","S":"Buy","v":"0.1","p":"2.5","i":"x","BT":false}]}',
  '>{"success":true,"ret_msg":"pong","op":"ping"}',
];
const OKX_LINES: readonly string[] = [
  '>{"arg":{"channel":"books","instId":"ABC"},"action":"snapshot","data":[{"asks":[["2","1","0","1"]],"bids":[["1","1","0","1"]],"ts":"1","prevSeqId":-1,"seqId":10}]}',
  '>{"arg":{"channel":"books","instId":"ABC"},"action":"update","data":[{"asks":[["2","0","0","0"]],"bids":[],"ts":"2","prevSeqId":10,"seqId":12}]}',
  '>{"arg":{"channel":"trades","instId":"ABC"},"data":[{"instId":"ABC","tradeId":"1","px":"2","sz":"0.1","side":"buy","ts":"3","count":"1"}]}',
  '>pong',
];
const LINES: readonly string[] = [...BINANCE, ...BYBIT, ...OKX_LINES, '!'];

function linesOf({ venue }: (typeof ALL)[number]): readonly string[] {
  const own = venue === 'binance' ? BINANCE : venue === 'bybit' ? BYBIT : OKX_LINES;
  return [...own, '!', ...own.slice(0, 2)];
}

const memory = new BatchMemory();

interface Taken {
  /** What the enclave knows. */
  readonly market: Market;
  /** Sequence that comes next. */
  next: number;
  /** There was a batch since the connection was lost. */
  fresh: boolean;
}

function feedOf(
  instruments: readonly Instrument[],
  venue: (typeof ALL)[number],
  taken: Taken,
): LiveFeed {
  const known = new Set(instruments.map(({ id }) => id));
  return new LiveFeed({
    venue,
    instruments,
    stream: 1,
    closeRows: 3,
    closeMs: 50,
    random: () => 0.5,
    sender: {
      send: ({ bytes, sequence }) => {
        const batch = parseBatch(bytes, known, memory);
        if (!batch.ok) {
          expectThat(false, `the enclave refuses ${JSON.stringify(batch.refusal)}`);
          return;
        }
        expectThat(sequence === taken.next && batch.value.sequence === sequence, 'a hole');
        taken.next = sequence + 1;
        taken.fresh = true;
        taken.market.apply(batch.value);
      },
      skip: (_, sequence) => {
        expectThat(sequence === taken.next, 'a hole before a gap');
        taken.next = sequence + 1;
        taken.fresh = false;
      },
    },
  });
}

function run(input: Uint8Array): string {
  const venue = ALL[(input[0] ?? 0) % ALL.length];
  if (venue === undefined) throw new Error('no venue');
  const first: Instrument = {
    id: 1,
    venue: venue.venue,
    symbol: 'ABC',
    market: venue.market,
    price_scale: 2,
    quantity_scale: 4,
    sequence_rule: venue.rule,
  };
  const instruments = [first, { ...first, id: 2, symbol: 'DEF' }];
  const taken: Taken = { market: new Market(instruments), next: 0, fresh: true };
  const feed = feedOf(instruments, venue, taken);
  const outcomes = new Set<string>();
  let timeNs = TIME_NS;
  feed.opened(0);
  for (const line of Buffer.from(input.subarray(1)).toString('utf8').split('\n')) {
    timeNs += 1_000_000n;
    const text = line.slice(1);
    if (line.startsWith('!')) {
      feed.interrupt();
      feed.opened(0);
      continue;
    }
    const refusal = line.startsWith('?')
      ? feed.snapshot(text, first, timeNs)
      : feed.message(text, timeNs);
    outcomes.add(judge(refusal === null ? { ok: true, value: null } : { ok: false, refusal }));
    feed.flush();
    for (const { id } of taken.fresh ? instruments : []) {
      const valid = taken.market.of(id)?.book.valid === true;
      expectThat(feed.bookValid(id) === valid, 'they do not agree about a book');
      outcomes.add(`${valid}`);
    }
  }
  return [venue.id, ...[...outcomes].sort()].join(' ');
}

export function liveFeedTarget(): Target {
  return {
    name: 'live-feed',
    files: [
      'wire/market/live-feed.ts',
      'wire/market/venues/binance.ts',
      'wire/market/venues/bybit.ts',
      'wire/market/venues/okx.ts',
      'wire/market/venues/fields.ts',
      'wire/market/book-sequence.ts',
    ],
    maxBytes: 8 * 1024,
    seeds: ALL.map((venue, at) => new Uint8Array([at, ...utf8(linesOf(venue).join('\n'))])),
    mutate: withSelector(ALL.length, mix([4, mutateLines(LINES)], [1, mutateBytes])),
    run,
    maxSteps: { base: 200_000, perByte: 800 },
  };
}
