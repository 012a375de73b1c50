// The NSM of the machine. Reaching /dev/nsm takes an ioctl, and so the native addon of the image, which
// this version does not have yet: there is no device, and nothing stands in for it.

import type { Result } from '../../wire/result.ts';
import { refuse } from '../../wire/result.ts';
import type { NsmDevice } from './nsm.ts';

/** Refuses `nsm_unavailable`. */
export function openNsmDevice(): Result<NsmDevice> {
  return refuse('nsm_unavailable', { device: '/dev/nsm', addon: 'not in this build' });
}
