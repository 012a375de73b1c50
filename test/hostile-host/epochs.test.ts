// Lies about epochs: which one came before, whether there is another one, how one ended.

import { expect, it } from 'vitest';
import {
  encodeReport,
  CLOSE_REASON,
  STATUS,
  clientOrderIdOf,
  encodeClose,
} from '../../wire/payloads.ts';
import { KIND } from '../../wire/leaf.ts';
import type { Previous } from '../../wire/messages.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { inclusionProof, leafHash } from '../../wire/tlog/merkle.ts';
import { MemoryTree } from '../../wire/tlog/merkle.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { previousOf, startHost } from '../helpers/enclave-host.ts';
import { testHeader } from '../helpers/log-writer.ts';
import { LogWriter, signCheckpoint } from '../helpers/log-writer.ts';
import type { LogFolder } from '../verifier/log/log-folder.ts';
import { forgeSignature, removeFiles } from '../verifier/log/log-folder.ts';
import {
  TIME_NS,
  attest,
  batch,
  boot,
  bootAfter,
  close,
  unnamedIn,
  refusalOf,
  logOf,
  newVerifier,
  send,
  serve,
  verify,
} from './stage.ts';

/** A closed epoch with a few batches. */
async function finished(host: TestHost, batches = 2): Promise<TestHost> {
  for (let sequence = 0; sequence < batches; sequence++) await send(host, batch(sequence));
  await close(host);
  return host;
}

/** What that verifier says of these epochs, with its memory. */
async function seen(
  folder: LogFolder,
  hosts: readonly TestHost[],
  ...args: readonly string[]
): ReturnType<LogFolder['verifyAgain']> {
  await folder.write(hosts.map((host) => logOf(host)));
  return folder.verifyAgain(...args);
}

/** PREVIOUS over the first commits only. */
function olderHead(host: TestHost, commits: number): Previous {
  const { notes, leaves } = logOf(host, commits);
  const size = notes.at(-1)?.size ?? 0;
  return previousOf(host, {
    note: notes.at(-1)?.note ?? new Uint8Array(),
    lastLeaf: leaves[size - 1] ?? new Uint8Array(),
    proof: inclusionProof(nodeCrypto, host.tree, size - 1, size),
    leafZeroProof: inclusionProof(nodeCrypto, host.tree, 0, size),
  });
}

it('a host that offers an older head of the epoch before: `rollback` beside the longer log, and for who remembers it', async () => {
  const first = await finished(await boot());
  const second = await boot({ previous: olderHead(first, 2) });
  await close(second);
  expect(refusalOf(await verify(await newVerifier(), [first, second]))).toBe('rollback');
  const folder = await newVerifier();
  expect((await seen(folder, [first])).exit).toBe(0);
  expect(refusalOf(await seen(folder, [second]))).toBe('rollback');
});

it('a host that offers an older epoch as predecessor: `fork` for who has seen the one in between', async () => {
  const first = await finished(await boot());
  const second = await finished(await bootAfter(first));
  const again = await finished(await bootAfter(first), 3);
  const folder = await newVerifier();
  expect((await seen(folder, [first, second])).exit).toBe(0);
  expect(refusalOf(await seen(folder, [first, again]))).toBe('fork');
  expect(
    unnamedIn(await seen(await newVerifier(), [first, again]), 'second_enclave', 'hidden_epoch'),
  ).toEqual([]);
});

it('a host that offers an epoch of another log: `previous_invalid` FAILED, and no leaf', async () => {
  const foreign = await finished(await boot({ configuration: { log_id: 'trackseal.test/other' } }));
  const host = await startHost({ previous: previousOf(foreign) });
  expect([await host.failed(), host.commits]).toEqual(['previous_invalid', []]);
});

it('a host that forges the head of the epoch before: `previous_invalid` FAILED, and no leaf', async () => {
  const first = await finished(await boot());
  const other = await finished(await boot());
  const { size } = first.tree;
  const { note, logKey } = previousOf(first);
  const wrong: readonly Partial<Previous>[] = [
    { logKey: previousOf(other).logKey },
    { note: forgeSignature(note) },
    { note: first.commits[0]?.note ?? note },
    { note: previousOf(other).note, logKey },
    { lastLeaf: first.leaves[size - 2] ?? new Uint8Array() },
    { proof: [] },
    { origin: 'trackseal.test/log/e0000000002' },
    { origin: 'x' },
    { leafZero: other.leaves[0] ?? new Uint8Array() },
    { leafZero: first.leaves[1] ?? new Uint8Array() },
    { leafZeroProof: [] },
  ];
  for (const changes of wrong) {
    const host = await startHost({ previous: previousOf(first, changes) });
    expect([await host.failed(), host.commits]).toEqual(['previous_invalid', []]);
  }
});

it('a host that makes a predecessor up under a key of its own: `epoch_link`, without its folder `earlier_epoch` in the verdict', async () => {
  const folder = await newVerifier();
  const forger = new LogWriter(1);
  forger.add(KIND.close, encodeClose(CLOSE_REASON.host));
  const { leaves, size } = forger;
  const tree = new MemoryTree(nodeCrypto);
  for (const leaf of leaves) tree.append(leafHash(nodeCrypto, leaf));
  const { origin } = testHeader(1, forger.key);
  const note = signCheckpoint(origin, leaves.length, tree.root(), forger.key);
  expect(size).toBe(0);
  const previous: Previous = {
    origin,
    note,
    logKey: forger.key.spki,
    lastLeaf: leaves.at(-1) ?? new Uint8Array(),
    proof: inclusionProof(nodeCrypto, tree, leaves.length - 1, leaves.length),
    unreleased: [],
    leafZero: leaves[0] ?? new Uint8Array(),
    leafZeroProof: inclusionProof(nodeCrypto, tree, 0, leaves.length),
    nextCommit: null,
  };
  // The enclave can check a signature, not whose it is.
  const host = await boot({ previous });
  await close(host);
  const notes = [{ size: leaves.length, note }];
  const made = { notes, leaves, tree, blobs: new Map(), header: forger.header, checkpoint: note };
  await folder.write([made, logOf(host)]);
  expect(refusalOf(await folder.verify())).toBe('epoch_link');
  const alone = await verify(folder, [host]);
  expect(unnamedIn(alone, 'earlier_epoch')).toEqual([]);
  expect(alone.verdict.previous).toMatchObject({ epoch: 1, link: 'not_present' });
});

it('a host that begins its log anew: `fork` for who has seen the beginning, `rollback` or `epoch_without_predecessor` for who knows later epochs', async () => {
  const first = await finished(await boot());
  const second = await finished(await bootAfter(first));
  const anew = await finished(await boot());
  const folder = await newVerifier();
  expect((await seen(folder, [first])).exit).toBe(0);
  expect(refusalOf(await seen(folder, [anew]))).toBe('fork');
  // Whoever has only been answered by the second epoch knows nothing of the first.
  const lp = await newVerifier();
  const third = await bootAfter(second);
  expect((await attest(lp, await serve(third))).exit).toBe(0);
  await close(third);
  expect(refusalOf(await seen(lp, [anew]))).toBe('rollback');
  expect(refusalOf(await seen(lp, [anew], '--epoch', '1'))).toBe('epoch_without_predecessor');
});

it('a host that claims that a reported signal was never released: `epoch_link`', async () => {
  const first = await boot();
  await send(first, batch(0), batch(1));
  const [output = -1, silent = -1] = first.leavesOf(KIND.output);
  first.feed?.send(FRAME.report, reportOn(first, output));
  await first.until(() => first.leavesOf(KIND.report).length === 1);
  first.enclave.fail('internal');
  await first.end;
  const folder = await newVerifier();
  const lying = await boot({ previous: previousOf(first, { unreleased: [output] }) });
  await close(lying);
  expect(refusalOf(await verify(folder, [first, lying]))).toBe('epoch_link');
  const [input = -1] = first.leavesOf(KIND.input);
  const confused = await boot({ previous: previousOf(first, { unreleased: [input] }) });
  await close(confused);
  expect(refusalOf(await verify(folder, [first, confused]))).toBe('epoch_link');
  // Nothing shows what became of a signal without a report.
  const plausible = await boot({ previous: previousOf(first, { unreleased: [silent] }) });
  await close(plausible);
  expect(unnamedIn(await verify(folder, [first, plausible]), 'unreleased_word')).toEqual([]);
});

it('a host whose list of unreleased signals is none: `previous_invalid` FAILED, and no leaf', async () => {
  const first = await finished(await boot());
  const { size } = first.tree;
  for (const unreleased of [[size], [3, 3], [4, 3]]) {
    const host = await startHost({ previous: previousOf(first, { unreleased }) });
    expect([await host.failed(), host.commits]).toEqual(['previous_invalid', []]);
  }
});

it('a host that keeps silent about unreleased signals: not found, `unreleased_word` in the verdict', async () => {
  const first = await boot();
  first.acknowledge = false;
  first.feed?.send(FRAME.batch, batch(0));
  await first.until(() => first.leavesOf(KIND.output).length === 1);
  first.enclave.fail('internal');
  await first.end;
  expect(first.feedOf(FRAME.release)).toEqual([]);
  const second = await bootAfter(first);
  await close(second);
  expect(unnamedIn(await verify(await newVerifier(), [first, second]), 'unreleased_word')).toEqual(
    [],
  );
});

it('two enclaves of one image after one predecessor, shown one after the other: `fork` by the remembered head', async () => {
  const first = await finished(await boot());
  const [one, other] = [await bootAfter(first), await bootAfter(first)];
  await finished(one);
  await finished(other, 5);
  const folder = await newVerifier();
  expect((await seen(folder, [first, one])).exit).toBe(0);
  expect(refusalOf(await seen(folder, [first, other]))).toBe('fork');
});

it('two enclaves of one image, one answers challenges, the other writes the log: `fork`', async () => {
  const [speaker, writer] = [await boot(), await boot()];
  const folder = await newVerifier();
  expect((await attest(folder, await serve(speaker))).exit).toBe(0);
  await finished(writer);
  expect(refusalOf(await seen(folder, [writer]))).toBe('fork');
});

it('two enclaves of one image behind one address: `fork` at the second challenge', async () => {
  const [one, other] = [await boot(), await boot()];
  const folder = await newVerifier();
  expect((await attest(folder, await serve(one))).exit).toBe(0);
  const { exit, report } = await attest(folder, await serve(other));
  expect([report.code, exit]).toEqual(['fork', 1]);
});

it('two enclaves of one image, each shown to another reader: not found, `second_enclave` in the verdicts; `fork` once they compare', async () => {
  const [one, other] = [await finished(await boot()), await finished(await boot(), 4)];
  const [alice, bob] = [await newVerifier(), await newVerifier()];
  expect(unnamedIn(await seen(alice, [one]), 'second_enclave')).toEqual([]);
  expect(unnamedIn(await seen(bob, [other]), 'second_enclave')).toEqual([]);
  // Bob gives Alice his copy.
  expect(refusalOf(await alice.verifyLog(bob.log, ...alice.trust(), '--heads', alice.heads))).toBe(
    'fork',
  );
});

it('a host that hides its last epoch: `rollback` for who has seen it, `hidden_epoch` in the verdict for others', async () => {
  const first = await finished(await boot());
  const second = await bootAfter(first);
  const lp = await newVerifier();
  expect((await attest(lp, await serve(second))).exit).toBe(0);
  await close(second);
  expect(refusalOf(await seen(lp, [first]))).toBe('rollback');
  expect(unnamedIn(await seen(await newVerifier(), [first]), 'hidden_epoch')).toEqual([]);
});

it('a host that hides an epoch in between: `earlier_epoch` and `unlinked_epochs` in the verdict', async () => {
  const first = await finished(await boot());
  const second = await finished(await bootAfter(first));
  const third = await finished(await bootAfter(second));
  const folder = await newVerifier();
  expect((await seen(folder, [first])).exit).toBe(0);
  await folder.write(
    [first, second, third].map((host) => logOf(host)),
    (files) => {
      removeFiles(files, 2, '');
    },
  );
  const judged = await folder.verifyAgain();
  expect(unnamedIn(judged, 'earlier_epoch', 'unlinked_epochs')).toEqual([]);
  expect(judged.verdict.skipped).toContain('earlier_epochs');
});

it('a host that rewrites an epoch below one that nobody has read: `fork` through the chain', async () => {
  const first = await finished(await boot());
  const rewritten = await finished(await boot(), 3);
  const second = await finished(await bootAfter(rewritten));
  const third = await finished(await bootAfter(second));
  const folder = await newVerifier();
  expect((await seen(folder, [first])).exit).toBe(0);
  expect(refusalOf(await seen(folder, [rewritten, second, third]))).toBe('fork');
});

it('a host that ends the enclave in the middle of a loss: end `unclean`, a recovery leaf, `stopped_at_will` in the verdict', async () => {
  const first = await boot();
  await send(first, batch(0));
  first.enclave.fail('internal');
  await first.end;
  const second = await bootAfter(first);
  await close(second);
  expect(second.leavesOf(KIND.recovery)).toHaveLength(1);
  const folder = await newVerifier();
  const judged = await verify(folder, [first, second]);
  expect(unnamedIn(judged, 'stopped_at_will')).toEqual([]);
  expect(judged.verdict.previous).toMatchObject({ epoch: 1, clean: false });
  expect((await folder.verify('--epoch', '1')).verdict.end).toBe('unclean');
});

it('a host that runs many logs and shows the best one: not found, `chosen_log` in the verdicts', async () => {
  const losing = await finished(await boot({ configuration: { log_id: 'trackseal.test/losing' } }));
  const winning = await boot();
  const folder = await newVerifier();
  const answer = await attest(folder, await serve(winning));
  expect(answer.report.residual_risks).toContain('chosen_log');
  await finished(winning);
  expect(unnamedIn(await seen(folder, [winning]), 'chosen_log')).toEqual([]);
  // Whoever has agreed on a name is shown no other.
  expect(logOf(losing).header.origin).not.toBe(logOf(winning).header.origin);
});

function reportOn(host: TestHost, output: number): Uint8Array {
  const leaf = host.leaves[output] ?? new Uint8Array();
  return encodeReport({
    output,
    clientOrderId: clientOrderIdOf(leafHash(nodeCrypto, leaf)),
    status: STATUS.filled,
    reason: null,
    filledQuantity: 1000,
    fills: [{ number: 0, price: 6_000_000, quantity: 1000, fee: 1, timeNs: TIME_NS }],
    environment: 'paper',
    timeNs: TIME_NS,
  });
}
