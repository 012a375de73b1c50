// What a command may touch of the terminal: handed in, so that tests and the demo can listen.

export interface CommandIo {
  /** The result; nothing else goes there. */
  readonly stdout: (text: string) => void;
  /** Progress, hints and errors for people. */
  readonly stderr: (text: string) => void;
  /** Whether stderr is a terminal: progress bars are for terminals only. */
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}
