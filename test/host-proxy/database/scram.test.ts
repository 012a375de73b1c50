import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { answerScram } from '../../../host-proxy/database/scram.ts';

const NONCE = 'rOprNGfwEbeRWgbNEkqO';
const BARE = `n=*,r=${NONCE}`;

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** What a client answers that thinks the password is this. */
function finalOf(message: string, password: string, binding = 'biws'): string {
  const [, nonce = '', salt = '', count = ''] = /^r=(.*),s=(.*),i=(.*)$/u.exec(message) ?? [];
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(count), 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const unsigned = `c=${binding},r=${nonce}`;
  const told = `${BARE},${message},${unsigned}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), told);
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
  return `${unsigned},p=${proof.toString('base64')}`;
}

describe('SCRAM-SHA-256', () => {
  it('lets in who knows the password, and says that the server knows it', () => {
    const question = answerScram(`n,,${BARE}`, 'pencil');
    const message = question?.message ?? '';
    expect(message.startsWith(`r=${NONCE}`)).toBe(true);
    expect(question?.verify(finalOf(message, 'pencil'))).toMatch(/^v=[A-Za-z0-9+/]{43}=$/u);
    expect(question?.verify(finalOf(message, 'pencils'))).toBeNull();
    expect(question?.verify(finalOf(message, ''))).toBeNull();
  });

  it('asks with another nonce and salt each time: an answer is good for one question', () => {
    const [one, two] = [1, 2].map(() => answerScram(`n,,${BARE}`, 'pencil'));
    expect(one?.message).not.toBe(two?.message);
    expect(two?.verify(finalOf(one?.message ?? '', 'pencil'))).toBeNull();
  });

  it('takes no flag back that the first message had', () => {
    const question = answerScram(`y,,${BARE}`, 'pencil');
    const message = question?.message ?? '';
    expect(question?.verify(finalOf(message, 'pencil'))).toBeNull();
    expect(question?.verify(finalOf(message, 'pencil', 'eSws'))).not.toBeNull();
  });

  it.each([
    '',
    'n,,',
    'n,,n=*',
    `n,,${BARE},more`,
    `p=tls-unique,,${BARE}`,
    'n,,n=*,r=short',
    `n,a=x,${BARE}`,
  ])('refuses %j as a first message', (first) => {
    expect(answerScram(first, 'pencil')).toBeNull();
  });

  it.each([
    () => '',
    (final: string) => final.replace(/,p=.*/u, ''),
    (final: string) => final.replace(/,p=.*/u, ',p=AAAA'),
    (final: string) => final.replace('r=', 'r=x'),
    (final: string) => `${final},more`,
  ])('refuses a last message that is changed (%#)', (change) => {
    const question = answerScram(`n,,${BARE}`, 'pencil');
    expect(question?.verify(change(finalOf(question.message, 'pencil')))).toBeNull();
  });
});
