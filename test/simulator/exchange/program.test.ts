import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/bundle.ts';
import type { AccountAnswer, LedgerAnswer } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { ask } from './dial.ts';

interface Started {
  readonly simulator: string;
  readonly port: number;
  readonly control_port: number;
  readonly hosts: readonly string[];
  readonly ca: string;
}

describe('simulator/exchange/main.ts', () => {
  it('says what it is, is controlled over its other port, and ends when it is told to', async () => {
    const child = spawn(process.execPath, [join(ROOT, 'simulator/exchange/main.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) {
      text += String(chunk);
      if (text.includes('\n')) break;
    }
    const started = JSON.parse(text) as Started;
    expect(started.simulator).toBe('exchange');
    const control = async (operation: string, options: object): Promise<Response> =>
      fetch(`http://127.0.0.1:${String(started.control_port)}/${operation}`, {
        method: 'POST',
        body: JSON.stringify(options),
      });
    const opened = await control('account', { venue: 'binance' });
    expect(opened.headers.get('x-trackseal-simulator')).toBe('exchange-control');
    const { account } = (await opened.json()) as AccountAnswer;
    await control('deposit', { account, currency: 'USDT', amount: '12.5' });
    const refused = await control('withdraw', { account, currency: 'USDT', amount: '13' });
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { error: `${account} lacks 0.5 USDT in spot` },
    ]);
    const ledger = (await (await control('ledger', { account })).json()) as LedgerAnswer;
    expect(ledger.balances).toEqual({ spot: { USDT: '12.5' } });
    expect((await control('nothing', {})).status).toBe(404);
    const exchange = { port: started.port, ca: started.ca } as RunningExchange;
    const answer = await ask(exchange, `https://${started.hosts[0] ?? ''}/api/v3/ping`);
    expect([answer.status, answer.headers['x-trackseal-simulator']]).toEqual([200, 'exchange']);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
  });
});
