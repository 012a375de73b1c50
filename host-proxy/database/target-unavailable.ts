/** What cannot be reached, in words for a person. */
export class TargetUnavailable extends Error {
  override readonly name = 'TargetUnavailable';
}
