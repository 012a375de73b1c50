import { describe, expect, it } from 'vitest';
import { csvCell, makeRecords } from '../../../verifier/evidence/records.ts';
import { KIND, parseLeaf } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { parseConfiguration } from '../../../wire/configuration.ts';
import { encodeReport } from '../../../wire/payloads.ts';
import { EpochBuilder } from '../../helpers/epoch-builder.ts';

describe('a cell', () => {
  it.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1+cmd', "'-1+cmd"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\tx', "'\tx"],
    ['\rx', '"\'\rx"'],
    ['|x', "'|x"],
    ['-0.05', '-0.05'],
    ['60000.00', '60000.00'],
    ['a "b", c', '"a ""b"", c"'],
    ['a\nb', '"a\nb"'],
    ['', ''],
  ])('of %j is %j: no spreadsheet takes it for a formula', (text, cell) => {
    expect(csvCell(text)).toBe(cell);
  });
});

describe('records', () => {
  it('show a formula that the host has put into an order id as text', async () => {
    const epoch = await EpochBuilder.create();
    const configuration = assertAccepted(parseConfiguration(epoch.header.configuration));
    epoch.startStrategy();
    const output = epoch.addOutput(epoch.addInput());
    const index = epoch.addReport(output);
    const bytes = epoch.leaves[index] ?? new Uint8Array();
    const leaf = assertAccepted(parseLeaf(bytes));
    const plaintext = encodeReport({
      output,
      clientOrderId: '=HYPERLINK("http://x")',
      status: 3,
      reason: null,
      filledQuantity: 1000,
      fills: [],
      environment: 'paper',
      timeNs: 0n,
    });
    const hash = leafHash(nodeCrypto, bytes);
    const records = assertAccepted(makeRecords([{ index, hash, leaf, plaintext }], configuration));
    expect(records.csv).toContain(`"'=HYPERLINK(""http://x"")"`);
    expect(records.csv).not.toMatch(/,"?=/u);
    // Its signal is not here: the scale is unknown, and the table says so.
    expect(records.csv).toContain('1000 (scaled)');
    expect(leaf.kind).toBe(KIND.report);
  });
});
