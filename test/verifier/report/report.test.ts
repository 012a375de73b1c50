import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/report.ts';
import { digitsOf, renderChart } from '../../../verifier/report/chart.ts';
import type { Chart } from '../../../verifier/report/chart.ts';
import { escapeText, html } from '../../../verifier/report/html.ts';
import { decimal, dollars, percent } from '../../../verifier/report/numbers.ts';
import type { RecordVerdict } from '../../../verifier/track/record-verdict.ts';
import { toleranceOf } from '../../../wire/performance/tolerance.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { hourStatement, RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import { blindHour, changed, hour, record } from '../../wire/performance/hours.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';

let folder: LogFolder;

let honest: string;

beforeAll(async () => {
  folder = await LogFolder.create();
  honest = await recordFile();
});
afterAll(() => folder.remove());

const HOSTILE = '"><script>alert(1)</script>&\'{';

/** Forty days: a deposit, an outage, a hostile name of a source, and an hour beyond its tolerance. */
function hours(): readonly HourFigures[] {
  const moves = Array.from({ length: 960 }, (_, at) => ({
    gain: money(at % 3 === 0 ? -2 : 2),
    flow: at === 100 ? money(500) : 0n,
    before: 0n,
    valued: true,
  }));
  return record(moves).map((one, at) => {
    if (at === 400) return blindHour(at);
    const prices = [{ source: HOSTILE, rows: 2, oldestAgeMs: 61_000 }];
    const realised = (one.realised ?? 0n) + (at === 30 ? money('0.5') : 0n);
    const byMarket = [
      {
        market: 'spot' as const,
        trades: 1,
        volume: money(10),
        fees: 0n,
        funding: 0n,
        realised,
        equity: one.equityEnd,
        outlay: 0n,
        income: 0n,
        unrealised: one.unrealisedEnd,
      },
    ];
    const named = changed(one, { prices, byMarket, trades: 1, volume: money(10) });
    if (at !== 30) return named;
    return changed(named, { realised, residual: money('-0.5'), status: 'beyond' });
  });
}

async function recordFile(
  change: (builder: RecordBuilder) => void = () => undefined,
): Promise<string> {
  const builder = await RecordBuilder.create();
  builder.addHours(hours());
  change(builder);
  const path = folder.path(`record-${Math.random()}.json`);
  await writeFile(path, builder.file());
  return path;
}

async function report(path: string, ...args: readonly string[]): Promise<string> {
  const output = folder.path(`report-${Math.random()}.html`);
  const { exit, err } = await runCommand(run, path, ...folder.trust(), '-o', output, ...args);
  expect([exit, err]).toEqual([0, '']);
  return readFile(output, 'utf8');
}

/** Without its style sheet and its tags, in one line. */
function readable(page: string): string {
  return page.replaceAll(/<style>[^]*?<\/style>|<[^>]*>/gu, ' ').replaceAll(/\s+/gu, ' ');
}

describe('a report', () => {
  it('has what an allocator asks for, each from the signed hours', async () => {
    const page = readable(await report(honest));
    for (const part of [
      'Account a0a1a2a3',
      'kraken, live',
      'Value of the account, US dollars',
      'Time-weighted index',
      'Drawdown from the highest index',
      'over gaps not known',
      '959 of 960',
      '2026 gap',
      'Sharpe ratio',
      'from daily returns',
      'from hourly returns',
      'Paid in not known: 500.00 in 959 hours',
      '958 hours reconcile, 1 are beyond their tolerance, of 1 it is not known',
      'without their signs to 0.50 US dollars',
      'no tolerance is above that of the account alone',
      'By market, in US dollars',
      'value – not realised',
      'Calmar drawdown – peak – trough – recovered win rate profit factor',
      'Realised, average cost (as signed: not recomputed)',
      'as signed: the digest of the prices is under a key, and is not recomputed',
      'nobody saw the account',
      'of hours of days',
      'periods_per_year 8760 365',
      'trackseal.test/log/e0000000001',
      'SHA-256 of the document',
      'PCR0',
      'No statement was corrected or revoked',
      'The operator could still',
    ]) {
      expect(page).toContain(part);
    }
  });

  it('says what a gap changed, and never shows the hours that are known without it', async () => {
    const path = await recordFile((builder) => {
      builder.add(
        hourStatement(
          changed(hours()[200] ?? blindHour(200), {
            complete: false,
            status: 'unknown',
            residual: null,
            gaps: ['not_completed'],
          }),
          { supersedes: { counter: 201, reason: 'late_data' } },
        ),
      );
      const blind = hours()[400] ?? blindHour(400);
      const [before, behind] = [hours()[399]?.equityEnd ?? null, hours()[401]?.equityStart ?? null];
      const tolerance = toleranceOf(before, behind, 0n);
      const flows = { inflow: 0n, outflow: 0n };
      const priced = { equityStart: before, equityEnd: behind, tolerance, ...flows };
      const { byMarket } = hour(400, priced);
      builder.add(
        hourStatement(changed(blind, { ...priced, byMarket }), {
          supersedes: { counter: 401, reason: 'late_data' },
        }),
      );
    });
    const page = readable(await report(path));
    expect(page).toMatch(
      /Return not known [\d.]+ % over gaps, [\d.]+ % in 958 hours that are known/u,
    );
    expect(page).toContain('2026 gap (');
    expect(page).not.toContain('at least; 2026');
    expect(page).toMatch(/nobody saw the account \u2212?0\.\d+ %/u);
  });

  it('has the hours before the account was seen beside the record, and in nothing else', async () => {
    const first = hours().map((one, at) => (at < 240 ? changed(one, { rebuilt: true }) : one));
    const builder = await RecordBuilder.create();
    builder.addHours(first);
    const path = folder.path('rebuilt.json');
    await writeFile(path, builder.file());
    const whole = await report(path);
    const ids = [...whole.matchAll(/\sid="([^"]*)"/gu)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(whole.match(/<svg\s+class="chart/gu)).toHaveLength(6);
    const page = readable(whole);
    expect(page).toContain('Worked out backwards: Time-weighted index');
    expect(page).toContain('2026-01-11 00:00 UTC to 2026-02-10 00:00 UTC');
    expect(page).toContain('719 of 720');
    expect(page).toMatch(/2026-01-01 00:00 UTC to 2026-01-11 00:00 UTC, worked out backwards/u);
    expect(page).toContain('First hour that was seen: 2026-01-11 00:00 UTC');
    // The deposit of the fifth day is in no sum.
    expect(page).toContain('Paid in not known: 0.00 in 719 hours');
  });

  it('of hours that were all worked out backwards has no figure but theirs', async () => {
    const builder = await RecordBuilder.create();
    builder.addHours(hours().map((one) => changed(one, { rebuilt: true })));
    const path = folder.path('all-rebuilt.json');
    await writeFile(path, builder.file());
    const page = readable(await report(path));
    expect(page).toContain('No hour of it was seen yet');
    expect(page).toContain('Worked out backwards: Value of the account, US dollars');
    expect(page).toContain('First hour that was seen: none yet');
    expect(page).toContain('Return not known no hour has a return');
    expect(page).not.toContain('1970');
  });

  it('is one file: nothing is loaded, nothing runs, and its policy says so', async () => {
    const page = await report(honest);
    expect(page).not.toMatch(/<(?:script|link|img|iframe|object|embed|base|form|use|image)\b/iu);
    expect(page).not.toMatch(/\s(?:src|href|action|style|on\w+)\s*=/iu);
    expect(page).not.toMatch(/url\(|@import|@font-face|https?:|\/\//iu);
    const style = /<style>([^]*?)<\/style>/u.exec(page)?.[1] ?? '';
    const digest = createHash('sha256').update(style).digest('base64');
    expect(page).toContain(`default-src &#39;none&#39;; style-src &#39;sha256-${digest}&#39;`);
  });

  it('is well-formed, and can be read without eyes: language, headings, tables with headers, charts with words', async () => {
    const page = await report(honest);
    expect(XMLValidator.validate(page.replace(/^<!doctype html>/u, ''))).toBe(true);
    const parsed = new XMLParser({ ignoreAttributes: false }).parse(
      page.replace(/^<!doctype html>/u, ''),
    ) as {
      readonly html: { readonly '@_lang': string; readonly body: { readonly main: object } };
    };
    expect(parsed.html['@_lang']).toBe('en');
    expect(Object.keys(parsed.html.body)).toEqual(['header', 'main']);
    const charts = page.match(/<svg\s+class="chart[^]*?<\/figure>/gu) ?? [];
    expect(charts).toHaveLength(3);
    for (const chart of charts) {
      const [, title = '', description = ''] = /aria-labelledby="(\S+) (\S+)"/u.exec(chart) ?? [];
      expect(chart).toMatch(new RegExp(`<title id="${title}">[^<]{10,}</title>`, 'u'));
      expect(chart).toMatch(new RegExp(`<desc id="${description}">[^<]{20,}</desc>`, 'u'));
      expect(chart).toContain('role="img"');
    }
    const tables = page.match(/<table [^]*?<\/table>/gu) ?? [];
    expect(tables.length).toBeGreaterThan(7);
    for (const one of tables) {
      expect(one).toMatch(/<caption>\s*\S/u);
      expect(one).toContain('scope="col"');
      expect(one).toContain('scope="row"');
    }
    // A table that is wider than the screen can be moved by key, and a corner is no header.
    const boxes = page.match(
      /<div class="scroll" role="group" aria-label="[^"]{20,}" tabindex="0">/gu,
    );
    expect(boxes).toHaveLength(tables.length);
    expect(page).not.toMatch(/<th[^>]*>\s*<\/th>/u);
    const ids = Array.from(page.matchAll(/ id="([^"]+)"/gu), ([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is dark and light as the reader has it, and light on paper', async () => {
    const page = await report(honest);
    expect(page).toContain('prefers-color-scheme: dark');
    expect(page).toMatch(/@media print \{\s+:root \{\s+color-scheme: light;/u);
    // What is drawn takes its colours from there.
    expect(page).not.toMatch(/(?:fill|stroke)="/u);
  });

  it('escapes what a stranger wrote', async () => {
    const page = await report(honest);
    expect(page).not.toContain('<script');
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;{');
  });

  it('stops the line where nothing is known, and shows a band', async () => {
    const page = await report(honest);
    const [equity = ''] = page.match(/<svg\s+class="chart[^]*?<\/figure>/gu) ?? [];
    expect(equity.match(/class="line"/gu)).toHaveLength(2);
    expect(equity.match(/class="gap"/gu)).toHaveLength(1);
    expect(equity.match(/class="flow in"/gu)).toHaveLength(1);
  });

  it('says when nothing was at stake, when nobody named an image, and what was switched off', async () => {
    const path = honest;
    const root = ['--unsafe-root', folder.path('root.pem')];
    const { exit, out } = await runCommand(run, path, ...root);
    expect(exit).toBe(2);
    expect(out).toContain('Nobody said which image is trusted');
    expect(out).toContain('--unsafe-root');
    expect(out).toContain('class="badge undecided"');
  });

  it('says at its top which statements were lost', async () => {
    const builder = await RecordBuilder.create();
    builder.addHours(hours().slice(0, 3));
    const lost = { from: 2, to: 3 };
    builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: Date.UTC(2026, 0, 1) });
    builder.addHours(hours().slice(1, 3));
    const path = folder.path('lost.json');
    await writeFile(path, builder.file({ statements: builder.statements.toSpliced(1, 2) }));
    const page = await report(path);
    expect(page).toContain('Lost: 2 statements, 2 to 3, taken back by 4 (store_lost');
    expect(page).toContain('none of them is here');
    expect(page).toContain('takes back 2 to 3: they were lost');
  });

  it('is not green where a check was switched off', async () => {
    const page = await report(honest);
    expect(page).toContain('<span class="badge undecided">verified</span>');
    expect(page).toContain('Checks were switched off: --unsafe-root');
  });

  it.each([
    ['one hour', 1, '01-01 00:00', '01-01 01:00'],
    ['four days less an hour', 95, '01-01 00:00', '01-04 23:00'],
    ['four days', 96, '2026-01-01', '2026-01-05'],
  ])('of %s draws all of it, with times that differ', async (_, size, first, last) => {
    const builder = await RecordBuilder.create();
    builder.addHours(hours().slice(0, size));
    const path = folder.path(`short-${size}.json`);
    await writeFile(path, builder.file());
    const charts = (await report(path)).match(/<svg\s+class="chart[^]*?<\/figure>/gu) ?? [];
    expect(charts).toHaveLength(3);
    for (const one of charts) {
      const labels = Array.from(one.matchAll(/>([\d:\s-]+)<\/text/gu), ([, label]) => label);
      expect(labels.filter((label) => label?.includes('-'))).toContain(first);
      expect(labels.at(-1)).toBe(last);
      const [, path = ''] = /<polyline\s+class="line[^"]*"\s+points="([^"]*)"/u.exec(one) ?? [];
      expect(path).toMatch(/^0,/u);
      expect(path).toMatch(/ 1000,[\d.]+$/u);
    }
  });

  it('in which no hour is known says so, and has no level and no drawdown', async () => {
    const builder = await RecordBuilder.create();
    builder.addHours([blindHour(0), blindHour(1)]);
    const path = folder.path('blind.json');
    await writeFile(path, builder.file());
    const page = await report(path);
    expect(page.match(/nothing is known/gu)).toHaveLength(3);
    expect(page).not.toContain('class="level"');
    expect(readable(page)).toContain('Maximum drawdown not known no hour has a return');
  });

  it('of hours from before the enclave saw the account has their value, their gaps and each of them, and no headline', async () => {
    const builder = await RecordBuilder.create();
    builder.addHours(
      hours()
        .slice(90, 120)
        .map((one, at) => changed(at === 20 ? blindHour(110) : one, { rebuilt: true })),
    );
    const path = folder.path('before.json');
    await writeFile(path, builder.file());
    const page = await report(path);
    const charts = page.match(/<svg\s+class="chart[^]*?<\/figure>/gu) ?? [];
    const chart = charts.find((one) => one.includes('rebuilt-equity-title')) ?? '';
    expect(chart).toMatch(/<polyline\s+class="line"/u);
    expect(chart).toContain('class="flow in"');
    const said = readable(page);
    expect(said).toContain('worked out backwards from what the venue told');
    expect(said).toContain('No hour of the record was seen yet.');
    // Of no hour nothing is known, and that is no zero.
    expect(said).toContain('Paid in not known');
    expect(said).toMatch(/2026-01-05 23:00 UTC \S+ % [\d,.]+ 0\.00 0\.00 rebuilt 30/u);
    expect(said).toContain('Return not known no hour has a return');
  });

  it('names corrections and jumps of the value', async () => {
    const [first, second, third] = hours();
    if (first === undefined || second === undefined || third === undefined) throw new Error('3');
    const builder = await RecordBuilder.create();
    builder.addHours([
      first,
      second,
      changed(third, { equityStart: money(1), equityEnd: money(3) }),
    ]);
    const residual = {
      residual: money('-0.1'),
      status: 'beyond',
      tolerance: money('0.021'),
    } as const;
    const corrected = { ...residual, realised: money('-1.9') };
    const later = changed(first, corrected);
    builder.add(hourStatement(later, { supersedes: { counter: 1, reason: 'late_data' } }));
    const path = folder.path('jump.json');
    await writeFile(path, builder.file());
    const page = readable(await report(path));
    expect(page).toContain('1 hour with another value at the start than the hour before had');
    // 0.021 less a cent and a millionth of 1,000.
    expect(page).toContain('the largest tolerance stands for 10,000.00 US dollars of them');
    expect(page).toMatch(/4 replaces 1 2026-01-01 00:00 UTC late_data/u);
  });

  it('as JSON has every figure, and the same verdict', async () => {
    const path = await recordFile((builder) => {
      builder.addMetrics();
    });
    const output = folder.path('with-json.html');
    const args = [path, ...folder.trust(), '--json', '-o', output];
    const { exit, out } = await runCommand(run, ...args);
    const verdict = JSON.parse(out) as RecordVerdict;
    expect([exit, verdict.verdict]).toEqual([0, 'verified']);
    expect(verdict.record?.days).toHaveLength(40);
    expect(verdict.record?.months.map(({ whole }) => whole)).toEqual([true, false]);
    expect(verdict.record?.drawdowns[0]?.depth).toMatch(/^0\.\d+$/u);
    expect(existsSync(output)).toBe(true);
  });

  it('is not written for a record that does not verify', async () => {
    const path = await recordFile((builder) => {
      builder.statements.splice(500, 1);
    });
    const output = folder.path('never.html');
    const { exit, out, err } = await runCommand(run, path, ...folder.trust(), '-o', output);
    expect(exit).toBe(1);
    expect(out).toBe('');
    expect(err).toContain('chain_hole');
    expect(existsSync(output)).toBe(false);
  });

  it('cannot be written where there is no folder: says so', async () => {
    const output = folder.path('nowhere/report.html');
    const { exit, err } = await runCommand(
      run,
      await recordFile(),
      ...folder.trust(),
      '-o',
      output,
    );
    expect(exit).toBe(2);
    expect(err).toContain('file_unreadable');
  });
});

describe('text', () => {
  it('has no tags, quotes, control characters or turned direction', () => {
    expect(escapeText('<a b="c" d=\'e\'>&')).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;');
    expect(escapeText('a\u0000b\u001bc\u202ed\u2066e\u200bf\u2028g')).toBe(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g'].join('\ufffd'),
    );
    expect(html`<b>${'<i>'}${html`<u>${1}</u>`}</b>`.text).toBe('<b>&lt;i&gt;<u>1</u></b>');
  });
});

describe('numbers', () => {
  it('are rounded half to even, grouped, and never a negative zero', () => {
    expect(percent('0.012345')).toBe('1.23 %');
    expect(percent('0.00125', 1)).toBe('0.1 %');
    expect(percent('-0.00001')).toBe('0.00 %');
    expect(percent('-1234.5')).toBe('\u2212123,450.00 %');
    expect(decimal('1.005')).toBe('1.00');
    expect(decimal('1000000.015')).toBe('1,000,000.02');
    expect(dollars(money('1234567.895'))).toBe('1,234,567.90');
    expect(dollars(money('1234567.885'))).toBe('1,234,567.88');
    expect(dollars(money('-0.004'))).toBe('0.00');
    expect(dollars(money('-0.05'))).toBe('\u22120.05');
  });

  it('that are not known are words', () => {
    expect([percent(null), decimal(null), dollars(null)]).toEqual(Array(3).fill('not known'));
  });
});

describe('a chart', () => {
  const chart: Chart = {
    name: 'test',
    title: 'A test',
    description: 'of a chart',
    points: [],
    startMs: 0,
    endMs: 1_000_000,
    bands: [],
    marks: [],
    isFilled: false,
    format: String,
  };

  it('keeps a spike, however many points share a column', () => {
    const points = Array.from({ length: 100_000 }, (_, at) => ({
      atMs: at * 10,
      value: at === 54_321 ? 1000 : at === 54_322 ? -1000 : 0,
    }));
    const { text } = renderChart({ ...chart, points });
    // Top and bottom of the drawing.
    expect(text).toMatch(/,0[ "]/u);
    expect(text).toMatch(/,1000[ "]/u);
    expect(text.length).toBeLessThan(60_000);
  });

  it.each([
    [100, 0],
    [1, 0],
    [0.5, 1],
    [0.1, 1],
    [0.02, 2],
    [0.000_1, 4],
  ])('whose levels are %s apart has %s digits behind the point', (step, digits) => {
    expect(digitsOf(step)).toBe(digits);
  });

  it('of a fall begins at zero, also where nothing fell', () => {
    const points = [
      { atMs: 0, value: 0 },
      { atMs: 1_000_000, value: 0 },
    ];
    const { text } = renderChart({ ...chart, points, isFilled: true });
    expect(text).toContain('points="0,0 1000,0"');
    expect(text).not.toMatch(/>0\.\d*[1-9]/u);
  });

  it('draws no band and no line beyond its box', () => {
    const points = [{ atMs: 2_000_000, value: 1 }];
    const bands = [{ fromMs: -5, toMs: 3_000_000 }];
    const { text } = renderChart({ ...chart, points, bands });
    expect(text).toMatch(/x="0%"\s+y="0"\s+width="100%"/u);
    expect(text).toMatch(/points="1000,[\d.]+ 1000,/u);
  });

  it.each([
    ['no points', []],
    ['nothing known', [{ atMs: 1, value: null }]],
    ['one point', [{ atMs: 1, value: 5 }]],
    [
      'a flat line',
      [
        { atMs: 1, value: 0 },
        { atMs: 2, value: 0 },
      ],
    ],
    ['no time', [{ atMs: 0, value: 1 }]],
  ])('of %s has no number that is none', (_, points) => {
    for (const endMs of [0, 1_000_000]) {
      const { text } = renderChart({ ...chart, points, endMs });
      expect(text).not.toMatch(/NaN|Infinity|undefined/u);
      expect(XMLValidator.validate(text)).toBe(true);
    }
  });
});
