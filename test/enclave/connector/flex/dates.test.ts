import { describe, expect, it } from 'vitest';
import {
  endOfFlexDay,
  parseFlexTime,
  weekdayOf,
} from '../../../../enclave/connector/flex/dates.ts';

describe('dates of Flex statements', () => {
  it.each([
    ['20230103;101500', '2023-01-03T15:15:00Z'],
    ['2023-01-03;101500', '2023-01-03T15:15:00Z'],
    ['2023-01-03, 10:15:00', '2023-01-03T15:15:00Z'],
    ['2023-01-03 10:15:00', '2023-01-03T15:15:00Z'],
    ['2023-01-03T10:15:00', '2023-01-03T15:15:00Z'],
    ['03-JAN-23;101500', '2023-01-03T15:15:00Z'],
    ['20230703;101500', '2023-07-03T14:15:00Z'],
    ['20230703;101500 EST', '2023-07-03T15:15:00Z'],
    ['20230103;101500 EDT', '2023-01-03T14:15:00Z'],
    // Daylight saving begins and ends at two in the morning.
    ['20230312;015959', '2023-03-12T06:59:59Z'],
    ['20230312;030000', '2023-03-12T07:00:00Z'],
    ['20231105;005959', '2023-11-05T04:59:59Z'],
    ['20231105;020000', '2023-11-05T07:00:00Z'],
  ])('%s is %s', (text, iso) => {
    expect(parseFlexTime(text)).toEqual({ timeMs: Date.parse(iso), dateOnly: false });
  });

  it.each([
    ['20230103', '2023-01-03T05:00:00Z'],
    ['2023-01-03', '2023-01-03T05:00:00Z'],
    ['03-JAN-23', '2023-01-03T05:00:00Z'],
    ['20230703', '2023-07-03T04:00:00Z'],
  ])('%s is a day that begins at %s', (text, iso) => {
    expect(parseFlexTime(text)).toEqual({ timeMs: Date.parse(iso), dateOnly: true });
  });

  it.each([
    '',
    '03/01/2023',
    '01/03/23',
    '20230230',
    '20231301',
    '2023013',
    '20230103;2515',
    '20230103;250000',
    '20230103;101500 GMT',
    '20230103;101500;1',
    'MULTI',
    '--',
  ])('refuses %j', (text) => {
    expect(parseFlexTime(text)).toBeNull();
  });

  it.each([
    ['20230103', '2023-01-04T05:00:00Z'],
    ['20230312', '2023-03-13T04:00:00Z'],
    ['20231105', '2023-11-06T05:00:00Z'],
  ])('the last moment of %s is just before %s', (text, iso) => {
    expect(endOfFlexDay(text)).toBe(Date.parse(iso) - 1);
  });

  it.each([
    ['20230107', 6],
    ['20230108', 0],
    ['20230109', 1],
    // Days of 23 and 25 hours.
    ['20230312', 0],
    ['20230313', 1],
    ['20231105', 0],
    ['20231106', 1],
    ['20230708', 6],
  ])('%s is day %i of its week from its first moment to its last', (text, day) => {
    const moments = [parseFlexTime(text)?.timeMs ?? 0, endOfFlexDay(text) ?? 0];
    expect(moments.map((moment) => weekdayOf(moment))).toEqual([day, day]);
  });
});
