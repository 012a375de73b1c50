// What is behind the proxies: a TCP server that does what the first byte of a connection says, and the same under TLS.
// Says where it listens, in one line of JSON, and ends with its standard input.
//
//   S  takes everything, and answers one byte when the other side has ended
//   G  sends as much as the next 8 bytes say (big endian), and ends
//   E  sends back what comes

import 'reflect-metadata';
import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { stdin, stdout } from 'node:process';
import { createServer as createTlsServer } from 'node:tls';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';

export interface Served {
  readonly plain: number;
  readonly tls: number;
}

const PIECE = Buffer.alloc(256 * 1024, 7);
const BACKLOG = 4096;

function send(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!socket.write(piece)) {
        socket.once('drain', more);
        return;
      }
    }
    socket.end();
  };
  more();
}

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.once('data', (first: Buffer) => {
    const what = String.fromCharCode(first[0] ?? 0);
    if (what === 'G') send(socket, Number(first.readBigUInt64BE(1)));
    else if (what === 'S') {
      socket.on('end', () => socket.end('.'));
      socket.resume();
    } else {
      socket.on('data', (chunk: Buffer) => socket.write(chunk));
      socket.on('end', () => socket.end());
      if (first.length > 1) socket.write(first.subarray(1));
    }
  });
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function main(): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const key = { privateKey, publicKey, spki, spkiHash: new Uint8Array(32) };
  const cert = await createCertificate(key, ['localhost'], Date.now());
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
  const plain = await listen(createServer({ allowHalfOpen: true }, serve));
  const tls = await listen(createTlsServer({ key: pem, cert, allowHalfOpen: true }, serve));
  const served: Served = { plain, tls };
  stdout.write(`${JSON.stringify(served)}\n`);
  stdin.resume();
  stdin.once('end', () => process.exit(0));
}

await main();
