// Random numbers for a strategy: ChaCha20 (RFC 8439) with the logged seed as key, so that a replay
// draws the same. Block counter from 0, nonce of 12 zero bytes; the keystream is read as little-endian
// 32-bit words a, b, and a number is (a >> 5) · 2^26 + (b >> 6), divided by 2^53.

const WORDS = 16;
const ROUNDS = 10;

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  let [va, vb, vc, vd] = [x[a] ?? 0, x[b] ?? 0, x[c] ?? 0, x[d] ?? 0];
  va = (va + vb) >>> 0;
  vd = rotate(vd ^ va, 16);
  vc = (vc + vd) >>> 0;
  vb = rotate(vb ^ vc, 12);
  va = (va + vb) >>> 0;
  vd = rotate(vd ^ va, 8);
  vc = (vc + vd) >>> 0;
  vb = rotate(vb ^ vc, 7);
  x[a] = va;
  x[b] = vb;
  x[c] = vc;
  x[d] = vd;
}

function rotate(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}

/** One keystream block as 16 words. `state` is the input block of RFC 8439 2.3. */
export function chachaBlock(state: Uint32Array): Uint32Array {
  const x = state.slice();
  for (let round = 0; round < ROUNDS; round++) {
    quarterRound(x, 0, 4, 8, 12);
    quarterRound(x, 1, 5, 9, 13);
    quarterRound(x, 2, 6, 10, 14);
    quarterRound(x, 3, 7, 11, 15);
    quarterRound(x, 0, 5, 10, 15);
    quarterRound(x, 1, 6, 11, 12);
    quarterRound(x, 2, 7, 8, 13);
    quarterRound(x, 3, 4, 9, 14);
  }
  for (let index = 0; index < WORDS; index++) x[index] = (x[index] ?? 0) + (state[index] ?? 0);
  return x;
}

/** `seed` has 32 bytes. The function answers the next number in [0, 1), a multiple of 2^-53. */
export function seededRandom(seed: Uint8Array): () => number {
  const view = new DataView(seed.buffer, seed.byteOffset, 32);
  const state = Uint32Array.of(
    0x61707865,
    0x3320646e,
    0x79622d32,
    0x6b206574,
    ...Array(12).fill(0),
  );
  for (let word = 0; word < 8; word++) state[4 + word] = view.getUint32(word * 4, true);
  let block = chachaBlock(state);
  let used = 0;
  return () => {
    if (used === WORDS) {
      // The counter takes the first nonce word along, so that it never comes round.
      state[12] = (state[12] ?? 0) + 1;
      if (state[12] === 0) state[13] = (state[13] ?? 0) + 1;
      block = chachaBlock(state);
      used = 0;
    }
    const high = (block[used] ?? 0) >>> 5;
    const low = (block[used + 1] ?? 0) >>> 6;
    used += 2;
    return (high * 0x4000000 + low) / 0x20000000000000;
  };
}
