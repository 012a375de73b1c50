// Addresses of the local appliance's enclave: `unix:DIR`, or `guest:PATH`, the guest behind a vsock device whose host
// dials `hvsock:PATH`. The first process of the guest is the device as well; the others reach it by path.

import { parseTransport } from '../wire/node/parse-transport.ts';
import type { Transport } from '../wire/node/transport.ts';
import { otherGuest, VsockDevice } from './vsock-device.ts';

function guestPath(address: string): string | null {
  return /^guest:(.+)$/u.exec(address)?.[1] ?? null;
}

/** Of the core. Null for another address. */
export async function coreTransport(address: string): Promise<Transport | null> {
  const path = guestPath(address);
  if (path !== null) return (await VsockDevice.open(path)).guest;
  const parsed = parseTransport(address);
  return parsed.ok ? parsed.transport : null;
}

/** Of the processes that the core starts. Null for another address. */
export function childTransport(address: string): Transport | null {
  const path = guestPath(address);
  if (path !== null) return otherGuest(path);
  const parsed = parseTransport(address);
  return parsed.ok ? parsed.transport : null;
}
