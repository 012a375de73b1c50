// Runs the program of the image under strace and watches what its main thread, which alone has sockets, writes to
// vsock descriptors. Prints what it saw as one line of JSON; ends like the program. Started as
//   node trace-writes.mjs STRACE LIBRARIES PROGRAM ARGUMENTS…

import { spawn } from 'node:child_process';
import { argv, exit, stdout } from 'node:process';
import { createInterface } from 'node:readline';

const TRACED =
  'socket,socketpair,bind,accept,accept4,close,openat,pipe2,dup,dup3,' +
  'write,writev,sendto,sendmsg,sendmmsg,pwritev,splice,sendfile';
const HTTPS_PORT = 3000;

const [strace = '', libraries = '', ...command] = argv.slice(2);
const options = ['-E', 'LD_LIBRARY_PATH', '-qq', '-s', '0', '-e', 'signal=none'];
const child = spawn(strace, [...options, '-e', `trace=${TRACED}`, ...command], {
  env: { LD_LIBRARY_PATH: libraries },
  stdio: ['ignore', 'inherit', 'pipe'],
});

/** Of vsock: whether it is one of the TLS server's, or its listener. */
const descriptors = new Map<number, { readonly tls: boolean }>();
const seen = { writes: 0, largest: 0, tlsWrites: 0, largestTls: 0, others: [] as string[] };

function isTlsListener(address: string): boolean {
  return new RegExp(`svm_port=(${HTTPS_PORT}|0x${HTTPS_PORT.toString(16)})\\b`, 'u').test(address);
}

function take(line: string): void {
  const call = /^(\w+)\((.*)\) += (-?\d+)/u.exec(line);
  if (call === null) return;
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
