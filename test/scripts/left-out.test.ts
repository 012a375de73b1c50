import { afterEach, expect, it, vi } from 'vitest';
import { leaveOut } from '../helpers/left-out.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it.each([undefined, ''])('says one line where nothing is required (%j)', (required) => {
  vi.stubEnv('TRACKSEAL_REQUIRE', required);
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  leaveOut('test/pg: PostgreSQL left out: no network');
  expect(log.mock.calls).toEqual([['test/pg: PostgreSQL left out: no network']]);
});

it('fails where it is, with the same words', () => {
  vi.stubEnv('TRACKSEAL_REQUIRE', '1');
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  expect(() => {
    leaveOut('test/pg: PostgreSQL left out: no network');
  }).toThrow('PostgreSQL left out: no network (TRACKSEAL_REQUIRE is set: it has to run)');
  expect(log.mock.calls).toEqual([]);
});
