// Mutations of HTTP/1.1 requests as bytes: methods, paths that try to leave a folder, header lines that
// contradict one another, are too long, too many or oddly folded, bodies, pipelines, line ends.

import { concatBytes } from '../../../wire/bytes.ts';
import type { Random } from '../random.ts';
import type { Mutator } from './bytes.ts';
import { mutateBytes } from './bytes.ts';
import { interestingLength } from './values.ts';

const METHODS: readonly string[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'PATCH',
  'PRI',
  'get',
  'M-SEARCH',
  'GET\t',
];
const VERSIONS: readonly string[] = [
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'http/1.1',
  '',
];
const HEADERS: readonly string[] = [
  'Host: x',
  'Host:',
  'Host: a, b',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Expect: nonsense',
  'Content-Length: 0',
  'Content-Length: 1',
  'Content-Length: 00',
  'Content-Length: -1',
  'Content-Length: 1, 1',
  'Content-Length: 18446744073709551616',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'Trailer: x',
  'Range: bytes=0-1',
  'X: \u0000',
  'X: \u00ff',
  ' folded',
  'no colon',
  ': no name',
  'X-Long: ',
];
const TARGETS: readonly string[] = [
  '/',
  '*',
  '',
  'http://x/health',
  'x:443',
  '/../',
  '/..%2f',
  '/%2e%2e/',
  '//',
  '/\\',
  '/%00',
  '/é',
  '/health#x',
];
const LINE_ENDS: readonly string[] = ['\n', '\r', '\r\r\n', '\r\n\r\n', ''];

interface Request {
  start: string[];
  headers: string[];
  body: string;
  lineEnd: string;
}

function readRequest(text: string): Request {
  const split = text.indexOf('\r\n\r\n');
  const head = split < 0 ? text : text.slice(0, split);
  const [first = '', ...headers] = head.split('\r\n');
  return {
    start: first.split(' '),
    headers,
    body: split < 0 ? '' : text.slice(split + 4),
    lineEnd: '\r\n',
  };
}

function writeRequest({ start, headers, body, lineEnd }: Request): string {
  const lines = [start.join(' '), ...headers, '', ''];
  return lines.join(lineEnd) + body;
}

function changeTarget(random: Random, request: Request, paths: readonly string[]): void {
  const [method = '', target = '', version = ''] = request.start;
  const at = random.below(target.length + 1);
  const changed = random.pick([
    random.pick(paths),
    random.pick(paths) + random.pick(TARGETS),
    random.pick(TARGETS) + target,
    target.slice(0, at) + random.pick(TARGETS) + target.slice(at),
    target.slice(0, at) + target.slice(at + 1),
    target.slice(0, at) +
      random.pick(['0', '9', 'a', 'G', '%61', '.', '/', '?', '&x=1', '=']) +
      target.slice(at),
    `${target}${'0'.repeat(interestingLength(random, 20_000))}`,
  ]);
  request.start = [method, changed, version];
}

function changeHeaders(random: Random, request: Request): void {
  const { headers } = request;
  const at = random.below(headers.length + 1);
  const choice = random.below(6);
  if (choice === 0) headers.splice(at, 1);
  else if (choice === 1) {
    const copies = random.oneIn(8) ? interestingLength(random, 3000) : 1;
    const line = headers[at] ?? random.pick(HEADERS);
    headers.splice(at, 0, ...Array.from({ length: copies }, () => line));
  } else if (choice === 2) {
    const long = 'a'.repeat(interestingLength(random, 20_000));
    headers.splice(at, 0, random.oneIn(2) ? `X-${long}: 1` : `X-Long: ${long}`);
  } else headers.splice(at, 0, random.pick(HEADERS));
}

function changeBody(random: Random, request: Request): void {
  const text = 'b'.repeat(interestingLength(random, 70_000));
  const chunk = `${text.length.toString(16)}\r\n${text}\r\n`;
  request.body = random.pick([
    text,
    chunk,
    `${chunk}0\r\n\r\n`,
    `${chunk}0\r\nX: y\r\n\r\n`,
    'zz\r\n',
  ]);
  const framing = random.below(4);
  if (framing < 2) request.headers.push(`Content-Length: ${text.length}`);
  if (framing === 2) request.headers.push('Transfer-Encoding: chunked');
}

/** `paths`: targets that the server knows. */
export function mutateHttp(paths: readonly string[]): Mutator {
  return (random, input, other) => {
    const choice = random.below(12);
    if (choice === 0) return mutateBytes(random, input, other);
    if (choice === 1) return concatBytes(input, other);
    const request = readRequest(Buffer.from(input).toString('latin1'));
    if (choice === 2) request.start[0] = random.pick(METHODS);
    else if (choice === 3) request.start[2] = random.pick(VERSIONS);
    else if (choice === 4) request.lineEnd = random.pick(LINE_ENDS);
    else if (choice === 5) changeBody(random, request);
    else if (choice < 9) changeTarget(random, request, paths);
    else changeHeaders(random, request);
    return new Uint8Array(Buffer.from(writeRequest(request), 'latin1'));
  };
}
