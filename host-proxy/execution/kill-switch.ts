// Stops trading: by a call, or by a file that somebody creates (`touch`), which works without this
// process's help. Once on it stays on until the process is started again without the file.

import { existsSync } from 'node:fs';

export class KillSwitch {
  readonly #path: string | null;
  #on = false;

  /** `path`: the file that turns it on; null for none. */
  constructor(path: string | null) {
    this.#path = path;
  }

  turnOn(): void {
    this.#on = true;
  }

  /** Looks for the file. */
  isOn(): boolean {
    if (!this.#on && this.#path !== null && existsSync(this.#path)) this.#on = true;
    return this.#on;
  }
}
