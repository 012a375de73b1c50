// Runs the program of the image under strace and watches what it and the processes that it starts write to vsock
// descriptors; of each only the main thread has sockets. Prints what it saw as one line of JSON; ends like the program. Started as
//   node trace-writes.mjs STRACE LIBRARIES PROGRAM ARGUMENTS…

import { spawn } from 'node:child_process';
import { argv, exit, stdout } from 'node:process';
import { createInterface } from 'node:readline';

const TRACED =
  'socket,socketpair,bind,accept,accept4,close,openat,pipe2,dup,dup3,' +
  'write,writev,sendto,sendmsg,sendmmsg,pwritev,splice,sendfile';
const HTTPS_PORT = 3000;

const [strace = '', libraries = '', ...command] = argv.slice(2);
const options = ['-f', '-E', 'LD_LIBRARY_PATH', '-qq', '-s', '0', '-e', 'signal=none'];
const child = spawn(strace, [...options, '-e', `trace=${TRACED}`, ...command], {
  env: { LD_LIBRARY_PATH: libraries },
  stdio: ['ignore', 'inherit', 'pipe'],
});

/** Of vsock, by thread: whether it is one of the TLS server's, or its listener. */
const descriptorsOf = new Map<string, Map<number, { readonly tls: boolean }>>();
/** Calls that other threads have interrupted, by thread. */
const unfinished = new Map<string, string>();
const seen = { writes: 0, largest: 0, tlsWrites: 0, largestTls: 0, others: [] as string[] };

function isTlsListener(address: string): boolean {
  return new RegExp(`svm_port=(${HTTPS_PORT}|0x${HTTPS_PORT.toString(16)})\\b`, 'u').test(address);
}

/** The whole call of a line, or null where it is not over. */
function wholeCall(thread: string, text: string): string | null {
  const UNFINISHED = ' <unfinished ...>';
  if (text.endsWith(UNFINISHED)) {
    unfinished.set(thread, text.slice(0, -UNFINISHED.length));
    return null;
  }
  const rest = /^<\.\.\. \w+ resumed>(.*)$/u.exec(text)?.[1];
  return rest === undefined ? text : `${unfinished.get(thread) ?? ''}${rest}`;
}

function take(line: string): void {
  const [, thread = '', text = ''] = /^(?:\[pid +(\d+)\] )?(.*)$/u.exec(line) ?? [];
  const whole = wholeCall(thread, text);
  const call = whole === null ? null : /^(\w+)\((.*)\) += (-?\d+)/u.exec(whole);
  if (call === null) return;
  const descriptors = descriptorsOf.get(thread) ?? new Map<number, { readonly tls: boolean }>();
  descriptorsOf.set(thread, descriptors);
  const [, name = '', inside = '', answer = ''] = call;
  const [first, result] = [Number.parseInt(inside, 10), Number(answer)];
  const known = descriptors.get(first);
  if (name === 'socket' && inside.startsWith('AF_VSOCK')) descriptors.set(result, { tls: false });
  else if (name === 'bind' && known !== undefined) {
    descriptors.set(first, { tls: isTlsListener(inside) });
  } else if (name.startsWith('accept') && known !== undefined && result >= 0) {
    descriptors.set(result, known);
  } else if (name === 'close') descriptors.delete(first);
  else if (['openat', 'socket', 'dup'].includes(name)) descriptors.delete(result);
  else if (name === 'write' && known !== undefined) {
    const asked = Number(/(\d+)$/u.exec(inside)?.[1] ?? Number.NaN);
    seen.writes++;
    seen.largest = Math.max(seen.largest, asked);
    if (known.tls) {
      seen.tlsWrites++;
      seen.largestTls = Math.max(seen.largestTls, asked);
    }
  } else if (known !== undefined) seen.others.push(line.slice(0, 120));
}

let ended: readonly string[] = [];
createInterface({ input: child.stderr }).on('line', (line) => {
  take(line);
  if (line.startsWith('strace')) ended = [...ended, line];
});
child.once('close', (code) => {
  const { others } = seen;
  stdout.write(
    `${JSON.stringify({ ...seen, others: others.slice(0, 5), otherCount: others.length, ended })}\n`,
  );
  exit(code ?? 1);
});
