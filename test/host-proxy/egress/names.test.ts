import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import type { Resolve } from '../../../host-proxy/egress/names.ts';
import { Names } from '../../../host-proxy/egress/names.ts';

interface Asked {
  readonly name: string;
  readonly answer: Parameters<Resolve>[1];
}

function scene(): {
  asked: Asked[];
  ask: (name: string) => Promise<readonly LookupAddress[] | string>;
} {
  const asked: Asked[] = [];
  const names = new Names((name, answer) => asked.push({ name, answer }));
  const ask = (name: string): Promise<readonly LookupAddress[] | string> =>
    new Promise((resolve) => {
      names.lookup(name, { all: true }, (error, addresses) => {
        resolve(error === null ? addresses : String(error.code));
      });
    });
  return { asked, ask };
}

const HERE: readonly LookupAddress[] = [{ address: '192.0.2.1', family: 4 }];

describe('names', () => {
  it('that are being asked for are asked for once, and again afterwards', async () => {
    const { asked, ask } = scene();
    const answers = [ask('a.example'), ask('a.example'), ask('a.example')];
    expect(asked.map(({ name }) => name)).toEqual(['a.example']);
    asked[0]?.answer(null, HERE);
    expect(await Promise.all(answers)).toEqual([HERE, HERE, HERE]);
    void ask('a.example');
    expect(asked).toHaveLength(2);
  });

  it('are asked for two at once, the others in their order: the pool of threads writes the log too', async () => {
    const { asked, ask } = scene();
    const answers = ['a', 'b', 'c', 'd'].map(ask);
    expect(asked.map(({ name }) => name)).toEqual(['a', 'b']);
    asked[1]?.answer(null, HERE);
    expect(asked.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    asked[0]?.answer(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), []);
    expect(asked.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
    for (const { answer } of asked.slice(2)) answer(null, HERE);
    expect(await Promise.all(answers)).toEqual(['ENOTFOUND', HERE, HERE, HERE]);
  });
});
