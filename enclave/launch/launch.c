// `launch UID PROGRAM ARGUMENT...` becomes the process of a strategy, a connector, the ledger, the desk or the tap: a user of its own,
// no capabilities, three descriptors, limits, and a filter that leaves the kernel's calls that Node needs for what
// the user is there for. It replaces itself, so the process id and the parent stay the same.
// Its arguments come from the enclave; hostile code runs only afterwards, and finds no way back: any
// call that is not named below ends the process. Any step that fails ends this program with 1.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif
#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "no table of system calls for this processor"
#endif

enum { FIRST_USER = 2000, FIRST_CONNECTOR = 2008, LAST_USER = 2015, DESK = 2100, TAP = 2101, LEDGER = 2102 };

// Who is the user? Each gets the rules of those before it, but the sockets of the desk's own are not the tap's.
enum { STRATEGY = 1, CONNECTOR = 2, OUTSIDE = 4, DESK_ALONE = 8 };

static int class_of(unsigned long user) {
    if (user == DESK) return CONNECTOR | OUTSIDE | DESK_ALONE;
    if (user == TAP) return CONNECTOR | OUTSIDE;
    if (user == LEDGER) return CONNECTOR;
    if (user < FIRST_USER || user > LAST_USER) return 0;
    return user < FIRST_CONNECTOR ? STRATEGY : CONNECTOR;
}

// NPROC counts threads, of which Node has up to ten. DATA is far above the resident set that the enclave ends
// a strategy for: it is what one can take between two looks. A connection of the desk's takes a descriptor.
static const struct { int resource; rlim_t limit, outside; } LIMITS[] = {
    {RLIMIT_CORE, 0, 0}, {RLIMIT_FSIZE, 0, 0}, {RLIMIT_MEMLOCK, 0, 0}, {RLIMIT_NOFILE, 64, 4096},
    {RLIMIT_NPROC, 32, 64}, {RLIMIT_STACK, 8 << 20, 8 << 20}, {RLIMIT_DATA, (rlim_t)2 << 30, (rlim_t)4 << 30},
};

// ALLOW_WHEN: only with (argument & mask) == value, in all 64 bits. A call may have several such rows.
struct rule { int call; enum { ALLOW, ALLOW_WHEN, FAIL } action; int argument; uint32_t mask, value; };

#define READ_ONLY_FLAGS (uint32_t)(O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECTORY | O_NOFOLLOW)
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
                      CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define YES(name) {__NR_##name, ALLOW, 0, 0, 0}
#define WHEN(name, argument, mask, value) {__NR_##name, ALLOW_WHEN, argument, mask, value}
#define FAILS(name, error) {__NR_##name, FAIL, 0, 0, error}
#define ANY_BIT 0xffffffffu
#define OWN_PID 0 // stands in the table for the process id

static const struct rule RULES[] = {
    // Most frequent first: the kernel goes through them in order.
    YES(futex), YES(read), YES(write), YES(mprotect), YES(madvise), YES(munmap), YES(getpid), YES(brk),
    YES(mremap), WHEN(mmap, 3, MAP_TYPE, MAP_PRIVATE), YES(close), YES(clock_gettime), YES(epoll_pwait),
    YES(epoll_ctl), YES(epoll_create1), YES(eventfd2), YES(pipe2), YES(clock_nanosleep), YES(sched_yield), YES(membarrier),
    YES(getrandom), YES(getsockname), YES(getsockopt),
    // Files: opened for reading, their names and sizes. What it can reach is public.
    WHEN(openat, 2, ~READ_ONLY_FLAGS, O_RDONLY), YES(newfstatat), YES(fstat), YES(statx), YES(pread64), YES(lseek),
    YES(getcwd), YES(readlinkat),
    // Flags of its own descriptors; not F_SETOWN, which has the kernel send signals.
    WHEN(fcntl, 1, ANY_BIT, F_GETFD), WHEN(fcntl, 1, ANY_BIT, F_SETFD), WHEN(fcntl, 1, ANY_BIT, F_GETFL),
    WHEN(fcntl, 1, ANY_BIT, F_SETFL), WHEN(fcntl, 1, ANY_BIT, F_DUPFD_CLOEXEC),
    // Threads, with exactly the flags of the C library; signals, to itself alone.
    WHEN(clone, 0, ANY_BIT, THREAD_FLAGS), YES(set_robust_list), YES(rseq), YES(set_tid_address), YES(gettid),
    YES(exit), YES(exit_group), YES(sched_getaffinity), YES(sched_getscheduler), YES(sched_getparam),
    YES(rt_sigaction), YES(rt_sigprocmask), YES(rt_sigreturn), YES(sigaltstack), YES(restart_syscall),
    WHEN(kill, 0, ANY_BIT, OWN_PID), WHEN(tgkill, 0, ANY_BIT, OWN_PID), WHEN(prctl, 0, ANY_BIT, PR_SET_NAME),
    // What it may know about itself and the machine.
    YES(getppid), YES(getuid), YES(geteuid), YES(getgid), YES(getegid), YES(capget), YES(uname), YES(sysinfo),
    YES(getrusage), WHEN(prlimit64, 2, ANY_BIT, 0), YES(clock_getres),
#ifdef __x86_64__
    YES(access), YES(readlink), YES(gettimeofday), YES(time),
    WHEN(arch_prctl, 0, ANY_BIT, 0x1002 /* ARCH_SET_FS */), FAILS(arch_prctl, EINVAL),
#else
    YES(faccessat),
#endif
    // Node and the C library ask for these and go on without them. No terminal: ioctl never gets through.
    FAILS(ioctl, ENOTTY), FAILS(clone3, ENOSYS), FAILS(io_uring_setup, ENOSYS), FAILS(pkey_alloc, ENOSYS),
};

// Of the programs that wait for streams with an event loop, before the rules above.
static const struct { int classes; struct rule rule; } MORE_RULES[] = {
    {CONNECTOR, YES(writev)}, {CONNECTOR, YES(shutdown)}, {CONNECTOR, WHEN(ioctl, 1, ANY_BIT, FIONBIO)},
    // Streams to the host, and to connectors, which the core hands over at a socket of this machine.
    {OUTSIDE, WHEN(socket, 0, ANY_BIT, AF_VSOCK)}, {DESK_ALONE, WHEN(socket, 0, ANY_BIT, AF_UNIX)},
    {OUTSIDE, YES(connect)}, {OUTSIDE, YES(bind)}, {OUTSIDE, YES(listen)}, {OUTSIDE, YES(accept4)},
    {OUTSIDE, YES(getpeername)}, {OUTSIDE, YES(setsockopt)},
};

// At most eight instructions for a rule, and eleven around them.
enum { RULE_COUNT = sizeof RULES / sizeof *RULES, MORE_COUNT = sizeof MORE_RULES / sizeof *MORE_RULES };
static struct sock_filter program[(RULE_COUNT + MORE_COUNT) * 8 + 11];
static unsigned short instructions;

_Noreturn static void fail(const char *step) {
    dprintf(2, "launch: %s: %s\n", step, strerror(errno));
    _exit(1);
}

static void emit(uint16_t code, uint8_t when_true, uint8_t when_false, uint32_t k) {
    program[instructions++] = (struct sock_filter){code, when_true, when_false, k};
}

static void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset); }
static void answer(uint32_t verdict) { emit(BPF_RET | BPF_K, 0, 0, verdict); }
static void skip_unless(uint32_t value, uint8_t count) { emit(BPF_JMP | BPF_JEQ | BPF_K, 0, count, value); }

// Both halves of an argument: the kernel takes pointers and lengths in all 64 bits. Little-endian.
static size_t low_half(int argument) { return offsetof(struct seccomp_data, args[argument]); }
static size_t high_half(int argument) { return low_half(argument) + 4; }

static void emit_rule(struct rule rule) {
    if (rule.action != ALLOW_WHEN) {
        skip_unless((uint32_t)rule.call, 1);
        answer(rule.action == ALLOW ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | rule.value);
        return;
    }
    int is_signal = rule.call == __NR_kill || rule.call == __NR_tgkill;
    skip_unless((uint32_t)rule.call, 7);
    load(high_half(rule.argument));
    skip_unless(0, 4);
    load(low_half(rule.argument));
    emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, rule.mask);
    skip_unless(is_signal ? (uint32_t)getpid() : rule.value, 1);
    answer(SECCOMP_RET_ALLOW);
    load(offsetof(struct seccomp_data, nr));
}

// The one execve that is left is known by a random number in its sixth argument, which the kernel does not
// read. It is lost with this program's memory and registers; whoever guesses wrong is killed.
static void build_filter(int class, uint64_t secret) {
    load(offsetof(struct seccomp_data, arch));
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCHITECTURE);
    answer(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(struct seccomp_data, nr)); // In all bits: those of x32 are other numbers.
    for (size_t at = 0; at < MORE_COUNT; at++)
        if (MORE_RULES[at].classes & class) emit_rule(MORE_RULES[at].rule);
    for (size_t at = 0; at < RULE_COUNT; at++) emit_rule(RULES[at]);
    skip_unless(__NR_execve, 5);
    load(high_half(5));
    skip_unless((uint32_t)(secret >> 32), 3);
    load(low_half(5));
    skip_unless((uint32_t)secret, 1);
    answer(SECCOMP_RET_ALLOW);
    answer(SECCOMP_RET_KILL_PROCESS);
}

static void lower_standing(int class) {
    // The desk goes after those it can do without, and before the core.
    int is_outside = (class & OUTSIDE) != 0, niceness = is_outside ? 1 : 5;
    const char *score = is_outside ? "500" : "1000";
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, score, strlen(score)) < 0) fail("oom_score_adj");
    if (syscall(__NR_close_range, 3u, ~0u, 0u) != 0) fail("descriptors");
    if (setsid() < 0 && getsid(0) != getpid()) fail("session");
    errno = 0;
    if (nice(niceness) == -1 && errno != 0) fail("priority");
    for (size_t at = 0; at < sizeof LIMITS / sizeof *LIMITS; at++) {
        rlim_t limit = is_outside ? LIMITS[at].outside : LIMITS[at].limit;
        const struct rlimit both = {limit, limit};
        if (setrlimit(LIMITS[at].resource, &both) != 0) fail("limits");
    }
}

static void become(uid_t user) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) fail("capabilities");
    // The enclave may not change its bounding set (EPERM); without new privileges, it means nothing.
    for (int at = 0; prctl(PR_CAPBSET_READ, at) >= 0; at++)
        if (prctl(PR_CAPBSET_DROP, at) != 0 && errno != EPERM) fail("capabilities");
    if (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0) fail("group");
    if (setresuid(user, user, user) != 0) fail("user");
    if (syscall(__NR_capset, &header, none) != 0) fail("capabilities");
    // After the change of user, which would undo it. The runner's watchdog looks as well.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("parent");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("privileges");
}

int main(int count, char **arguments) {
    char *end = NULL, *environment[] = {NULL};
    uint64_t secret;
    errno = EINVAL;
    if (count < 3) fail("usage: launch UID PROGRAM ARGUMENT...");
    unsigned long user = strtoul(arguments[1], &end, 10);
    int class = class_of(user);
    if (*end != 0 || class == 0) fail("uid");
    lower_standing(class);
    become((uid_t)user);
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret) fail("randomness");
    build_filter(class, secret);
    const struct sock_fprog filter = {instructions, program};
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) fail("filter");
    syscall(__NR_execve, arguments[2], arguments + 2, environment, 0, 0, secret);
    fail("exec");
}
