// The NSM of the machine: /dev/nsm, one ioctl per call, through the native addon of the image. What the
// device answers is parsed above (nsm.ts); what it is asked is checked here and in the addon.

import { constants, openSync } from 'node:fs';
import type { NativeAddon } from '../../wire/node/native-addon.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { NsmDevice } from './nsm.ts';
import { refuseDevice } from './nsm.ts';

export const NSM_PATH = '/dev/nsm';

/** Stays open for the life of the process. Refuses `nsm_unavailable` with the system's code. */
export function openNsmDevice(addon: NativeAddon, path: string = NSM_PATH): Result<NsmDevice> {
  try {
    // Node adds O_CLOEXEC: no strategy process gets it.
    const descriptor = openSync(path, constants.O_RDWR);
    return accept({ request: (bytes) => addon.nsmRequest(descriptor, bytes) });
  } catch (error) {
    return refuseDevice(error);
  }
}
