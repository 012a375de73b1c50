// The baseline's enclave: what one writes first. Batches come as lines of JSON, one object per event;
// they are parsed, a top of book is kept, the line goes into a hash chain, and each link is signed with
// P-256. Links leave as lines of JSON with the batch inside; acknowledgements come back as lines.

import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { argv, stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline';

interface JsonEvent {
  readonly instrument: number;
  readonly kind: string;
  readonly side: string;
  readonly exchange_time: number;
  readonly receive_time: number;
  readonly price: number;
  readonly quantity: number;
  readonly id: number;
}

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
writeFileSync(argv[2] ?? '', publicKey.export({ type: 'spki', format: 'pem' }));
const tops = new Map<string, number>();
let previous = '';

for await (const line of createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  const message = JSON.parse(line) as { batch?: readonly JsonEvent[]; acknowledged?: number };
  if (message.batch === undefined) continue;
  for (const event of message.batch) {
    if (event.kind === 'bbo') tops.set(`${event.instrument}:${event.side}`, event.price);
  }
  const hash = createHash('sha256').update(previous).update(line).digest('hex');
  previous = hash;
  const signature = sign('sha256', Buffer.from(hash), privateKey).toString('base64');
  const entry = `${JSON.stringify({ hash, signature, batch: message.batch })}\n`;
  if (!stdout.write(entry)) await new Promise((resolve) => stdout.once('drain', resolve));
}
