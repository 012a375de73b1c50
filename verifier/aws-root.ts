// The root of attestation: AWS Nitro Enclaves G1, pinned by its bytes and its published fingerprint. Without Node, so
// that a browser can hold it too.

import { parseBase64 } from '../wire/bytes.ts';

// https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip, valid until 2049-10-28.
const AWS_NITRO_ENCLAVES_G1 = [
  'MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTEL',
  'MAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEMMAoGA1UECwwDQVdTMRswGQYD',
  'VQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4',
  'MTQyODA1WjBJMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMQwwCgYDVQQL',
  'DANBV1MxGzAZBgNVBAMMEmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEG',
  'BSuBBAAiA2IABPwCVOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb',
  '48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZE',
  'h8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkF',
  'R+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMDA2kAMGYC',
  'MQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPW',
  'rfMCMQCi85sWBbJwKKXdS6BptQFuZbT73o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6N',
  'IwLz3/Y=',
];

/** SHA-256 of the DER, as AWS publishes it. */
export const AWS_NITRO_ENCLAVES_G1_SHA256 =
  '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';

/** DER. */
export function awsRootDer(): Uint8Array {
  const der = parseBase64(AWS_NITRO_ENCLAVES_G1.join(''));
  if (der === null) throw new Error('the pinned root is not base64');
  return der;
}
