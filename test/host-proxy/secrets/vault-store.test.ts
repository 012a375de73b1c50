import { describe, expect, it } from 'vitest';
import { CertificateWatch } from '../../../host-proxy/certificate-watch.ts';
import { writeDurably } from '../../../host-proxy/durable-file.ts';
import { makeDirectories } from '../../../host-proxy/files.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import { CERTIFICATE_REQUEST } from '../../../host-proxy/requests.ts';
import { VaultStore } from '../../../host-proxy/secrets/vault-store.ts';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../../../wire/desk-messages.ts';
import { MAX_VAULT_RECORDS } from '../../../wire/limits.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';

const DIRECTORY = '/state/vault';

function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(12, number);
  return id;
}

async function contentOf(store: VaultStore): Promise<Readonly<Record<string, number>>> {
  const records = [...assertAccepted(await store.read())];
  return Object.fromEntries(
    records.map(({ recordId, bytes }) => [
      Buffer.from(recordId).toString('hex').slice(-4),
      bytes.length,
    ]),
  );
}

describe('the vault on the disk', () => {
  it('keeps what was written last, and forgets what it is told to', async () => {
    const files = new MemoryFiles();
    const store = new VaultStore(files, DIRECTORY);
    expect(await contentOf(store)).toEqual({});
    for (const [number, length] of [
      [1, 5],
      [2, 6],
      [1, 7],
      [3, 8],
    ] as const) {
      const bytes = new Uint8Array(length);
      assertAccepted(await store.keep({ id: 0, recordId: idOf(number), bytes }));
    }
    assertAccepted(await store.keep({ id: 0, recordId: idOf(2), bytes: null }));
    assertAccepted(await store.keep({ id: 0, recordId: idOf(9), bytes: null }));
    expect(await contentOf(new VaultStore(files, DIRECTORY))).toEqual({ '0001': 7, '0003': 8 });
  });

  it('answers writes in their order when they come at once', async () => {
    const files = new MemoryFiles();
    const store = new VaultStore(files, DIRECTORY);
    await store.read();
    const lengths = [1, 2, 3, 4, 5];
    await Promise.all(
      lengths.map((length) =>
        store.keep({ id: length, recordId: idOf(1), bytes: new Uint8Array(length) }),
      ),
    );
    expect(await contentOf(store)).toEqual({ '0001': 5 });
  });

  it('does not bring what is not a record of its own', async () => {
    const files = new MemoryFiles();
    await makeDirectories(files, DIRECTORY);
    await writeDurably(files, DIRECTORY, 'notes.txt', Uint8Array.of(1));
    await writeDurably(files, DIRECTORY, `${'0'.repeat(32)}.record`, new Uint8Array(0));
    expect(await contentOf(new VaultStore(files, DIRECTORY))).toEqual({});
  });

  it('has room for so many records and no more', async () => {
    const files = new MemoryFiles();
    const store = new VaultStore(files, DIRECTORY);
    await store.read();
    const one = Uint8Array.of(1);
    for (let number = 0; number < MAX_VAULT_RECORDS; number++) {
      assertAccepted(await store.keep({ id: 0, recordId: idOf(number), bytes: one }));
    }
    const more = { id: 0, recordId: idOf(MAX_VAULT_RECORDS), bytes: one };
    expect(await store.keep(more)).toMatchObject({ refusal: { code: 'vault_full' } });
    assertAccepted(await store.keep({ ...more, recordId: idOf(7) }));
    assertAccepted(await store.keep({ ...more, recordId: idOf(8), bytes: null }));
    assertAccepted(await store.keep(more));
  });
});

describe('a certificate in the state folder', () => {
  const directory = '/state/requests';

  async function watched(chain: Uint8Array, ready: () => boolean) {
    const files = new MemoryFiles();
    const sent: number[] = [];
    const lines: string[] = [];
    await makeDirectories(files, directory);
    await writeDurably(files, directory, CERTIFICATE_REQUEST, chain);
    const watch = new CertificateWatch({
      files,
      directory,
      logger: createLogger({
        level: 'info',
        write: (line) => lines.push(line),
        now: () => new Date(),
      }),
      send: ({ length }) => {
        if (ready()) sent.push(length);
        return ready();
      },
      onFailure: (error) => {
        throw error;
      },
    });
    return { files, sent, lines, watch };
  }

  it('waits for an enclave, and goes to it once', async () => {
    let ready = false;
    const { files, sent, watch } = await watched(
      new Uint8Array(MAX_CERTIFICATE_CHAIN_BYTES),
      () => ready,
    );
    await watch.look();
    expect(sent).toEqual([]);
    ready = true;
    await watch.look();
    await watch.look();
    expect(sent).toEqual([MAX_CERTIFICATE_CHAIN_BYTES]);
    expect(files.size(`${directory}/${CERTIFICATE_REQUEST}`)).toBe(null);
  });

  it('is put aside when it is too long for any', async () => {
    const { sent, lines, watch } = await watched(
      new Uint8Array(MAX_CERTIFICATE_CHAIN_BYTES + 1),
      () => true,
    );
    await watch.look();
    expect(sent).toEqual([]);
    expect(lines.join('')).toContain('certificate_refused');
  });
});
