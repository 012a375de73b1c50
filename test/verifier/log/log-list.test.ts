import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/log-list.ts';
import { sampleEpoch } from '../../helpers/epoch-builder.ts';
import { LogFolder, runCommand } from './log-folder.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterAll(() => folder.remove());

describe('log list', () => {
  it('prints nothing that a terminal would obey, of a log that nobody attested', async () => {
    const epoch = await sampleEpoch();
    const output = epoch.addOutput(epoch.addInput());
    epoch.addReport(output, { clientOrderId: 'ts\u009b2J\u202e' });
    epoch.commit();
    await folder.write([epoch]);
    const { exit, out } = await runCommand(run, folder.log, '--key', folder.path('key.pem'));
    expect(exit).toBe(0);
    expect(out).toContain('ts?2J?');
    expect(out).toMatch(/^[\n\u0020-\u007e]*$/u);
  });
});
