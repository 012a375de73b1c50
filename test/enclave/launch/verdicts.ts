// What becomes of each system call under the launcher's filter, here and in a guest.

const EINVAL = 22;
const ENOTTY = 25;
const ENOSYS = 38;

/** What Node asks for and lives without; anything else that is not allowed ends the process. */
const REFUSED: Readonly<Record<string, number>> = {
  clone3: ENOSYS,
  io_uring_setup: ENOSYS,
  pkey_alloc: ENOSYS,
  ioctl: ENOTTY,
  'ioctl of the terminal': ENOTTY,
  'arch_prctl vdso': EINVAL,
  'arch_prctl gs': EINVAL,
  // Not the filter but the limit of descriptors.
  'allowed descriptor beyond the limit': EINVAL,
};

/** Calls of x86-64 that answer whatever their arguments are: all others of 512 end the process. */
export const OPEN_CALLS: readonly number[] = [
  // read write close fstat lseek mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl pread64
  0,
  1, 3, 5, 8, 10, 11, 12, 13, 14, 15, 16, 17,
  // access sched_yield mremap madvise getpid getsockname getsockopt exit uname
  21, 24, 25, 28, 39, 51, 55, 60, 63,
  // getcwd readlink gettimeofday getrusage sysinfo getuid getgid geteuid getegid getppid capget sigaltstack
  79,
  89, 96, 98, 99, 102, 104, 107, 108, 110, 125, 131,
  // sched_getparam sched_getscheduler arch_prctl gettid time futex sched_getaffinity set_tid_address restart_syscall
  143,
  145, 158, 186, 201, 202, 204, 218, 219,
  // clock_gettime clock_getres clock_nanosleep exit_group newfstatat readlinkat set_robust_list epoll_pwait
  228,
  229, 230, 231, 233, 262, 267, 273, 281,
  // eventfd2 epoll_create1 pipe2 getrandom membarrier pkey_alloc statx rseq io_uring_setup clone3
  290, 291, 293, 318, 324, 330, 332, 334, 425, 435,
];

/** uretprobe and uprobe: newer kernels let them pass every filter; without a probe they do nothing. */
const PAST_EVERY_FILTER: ReadonlySet<string> = new Set(['335', '336']);

/** Numbers to try. */
export const ALL_CALLS: readonly string[] = Array.from({ length: 512 }, (_, number) =>
  String(number),
);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

export function verdict({ code, signal, output }: Ended): string {
  if (signal === 'SIGSYS') return 'killed';
  if (signal !== null) return signal;
  const [, value = '', error = ''] = /^returned (-?\d+) (\d+)\n$/u.exec(output) ?? [];
  if (value === '') return `exit ${String(code)}`;
  return Number(value) < 0 ? `errno ${error}` : 'succeeded';
}

/** By name of the attempt (attempts.c). */
export function expectedVerdicts(names: readonly string[]): Readonly<Record<string, string>> {
  const expected = names.map((name) => {
    const error = REFUSED[name];
    if (error !== undefined) return [name, `errno ${String(error)}`] as const;
    return [name, name.startsWith('allowed ') ? 'succeeded' : 'killed'] as const;
  });
  return Object.fromEntries(expected);
}

/** Of `ALL_CALLS`, those that did not end the process. */
export function openCalls(found: Readonly<Record<string, string>>): readonly number[] {
  return ALL_CALLS.filter((number) => {
    return found[number] !== 'killed' && !PAST_EVERY_FILTER.has(number);
  }).map(Number);
}
