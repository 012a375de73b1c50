// Stands where Node would: native code that has taken a strategy's process over. One attempt per process,
// because the answer to most is its end. Compiled static: it needs no file but itself.
//   attempts NAME          makes the call of that name; prints `returned VALUE ERRNO` if it lives
//   attempts number N      system call N with six arguments of all ones
//   attempts names         the names, one per line
//   attempts state         what it is: /proc/self/status, limits, and its open descriptors

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

typedef long word;

struct attempt {
    const char *name;
    long call;
    word arguments[6];
};

#define POINTER(object) ((word)(object))
static char own_path[4096];
static char text[] = "attempt";
static char *own_arguments[] = {text, text, NULL};
static char *no_environment[] = {NULL};
static char zeros[256];
static struct iovec vector = {text, 1};
static struct msghdr message;
static int pair[2];
static unsigned long limit[2] = {1 << 20, 1 << 20};

static const word THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                           CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

static struct attempt attempts[512];
static int count;

#define ADD(name, call, ...) attempts[count++] = (struct attempt){name, call, {__VA_ARGS__}}
#define TRY(name, call, ...) ADD(name, SYS_##call, __VA_ARGS__)
#define HERE AT_FDCWD, POINTER(own_path)
#define GONE AT_FDCWD, POINTER("/nonexistent/attempt")

static void fill_table(int own_file) {
    word own = POINTER(own_path), arguments = POINTER(own_arguments), none = POINTER(no_environment);
    word self = getpid(), parent = getppid();
    // Another program.
    TRY("execve", execve, own, arguments, none);
    TRY("execve with a guess", execve, own, arguments, none, 0, 0, 0x0123456789abcdef);
    TRY("execve with ones", execve, own, arguments, none, -1, -1, -1);
    TRY("execveat of a path", execveat, AT_FDCWD, own, arguments, none);
    TRY("execveat of a descriptor", execveat, own_file, POINTER(""), arguments, none, AT_EMPTY_PATH);
    TRY("execveat of descriptor 1023", execveat, 1023, POINTER(""), arguments, none, AT_EMPTY_PATH);
    TRY("execveat of a path beside a descriptor", execveat, 1023, own, arguments, none, AT_EMPTY_PATH);
    TRY("fork", clone, SIGCHLD);
    TRY("clone into namespaces", clone, THREAD | CLONE_NEWUSER);
    TRY("clone of half a thread", clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
    TRY("clone with 64 bits", clone, THREAD | (1L << 32));
    TRY("clone3", clone3, POINTER(zeros), 88);
    // Another user, more rights.
    TRY("setuid", setuid, 0);
    TRY("setuid to the same", setuid, getuid());
    TRY("setgid", setgid, 0);
    TRY("setreuid", setreuid, 0);
    TRY("setresuid", setresuid, 0);
    TRY("setresgid", setresgid, 0);
    TRY("setgroups", setgroups, 0, POINTER(zeros));
    TRY("setfsuid", setfsuid, 0);
    TRY("capset", capset, POINTER(zeros), POINTER(zeros));
    TRY("prctl dumpable", prctl, PR_SET_DUMPABLE);
    TRY("prctl parent death signal", prctl, PR_SET_PDEATHSIG);
    TRY("prctl seccomp", prctl, PR_SET_SECCOMP, 2);
    TRY("prctl ptracer", prctl, 0x59616d61, -1);
    TRY("prctl with 64 bits", prctl, PR_SET_NAME | (1L << 32), POINTER(text));
    TRY("seccomp", seccomp, 0);
    TRY("personality", personality, 0x0040000);
    TRY("unshare", unshare, CLONE_NEWUSER);
    TRY("setns", setns, own_file);
    TRY("prlimit64", prlimit64, 0, 7, POINTER(limit));
    TRY("prlimit64 of the parent", prlimit64, parent, 7, POINTER(limit));
    TRY("setrlimit", setrlimit, 7, POINTER(limit));
    TRY("setpriority", setpriority, 0, 0, -5);
    TRY("setpriority of the parent", setpriority, 0, parent, 19);
    TRY("sched_setscheduler", sched_setscheduler, 0, 0, POINTER(zeros));
    TRY("sched_setaffinity", sched_setaffinity, 0, 8, POINTER(zeros));
    TRY("sched_setattr", sched_setattr, 0, POINTER(zeros));
    // Other processes.
    TRY("kill parent", kill, parent);
    TRY("kill everybody", kill, -1);
    TRY("kill group", kill, 0);
    TRY("kill with 64 bits", kill, self | (1L << 32));
    TRY("tkill", tkill, parent);
    TRY("tgkill parent", tgkill, parent, parent);
    TRY("rt_sigqueueinfo", rt_sigqueueinfo, parent, 0, POINTER(zeros));
    TRY("rt_tgsigqueueinfo", rt_tgsigqueueinfo, parent, parent);
    TRY("pidfd_open", pidfd_open, parent);
    TRY("pidfd_send_signal", pidfd_send_signal, own_file);
    TRY("pidfd_getfd", pidfd_getfd, own_file);
    TRY("ptrace", ptrace, 0x4206, parent);
    TRY("ptrace traceme", ptrace, 0);
    TRY("process_vm_readv", process_vm_readv, parent, POINTER(&vector), 1, POINTER(&vector), 1);
    TRY("process_vm_writev", process_vm_writev, parent, POINTER(&vector), 1, POINTER(&vector), 1);
    TRY("kcmp", kcmp, self, parent);
    TRY("wait4", wait4, -1, 0, 1);
    TRY("setsid", setsid, 0);
    TRY("setpgid", setpgid, 0);
    TRY("fcntl signals", fcntl, 0, F_SETOWN, parent);
    TRY("fcntl lease", fcntl, 0, F_SETLEASE);
    TRY("fcntl seals", fcntl, 0, 1033);
    // Messages: the filter ends each of these before the kernel looks at the family.
    TRY("socket unix", socket, AF_UNIX, SOCK_STREAM);
    TRY("socket inet", socket, AF_INET, SOCK_STREAM);
    TRY("socket inet6", socket, AF_INET6, SOCK_STREAM);
    TRY("socket vsock", socket, AF_VSOCK, SOCK_STREAM);
    TRY("socket netlink", socket, AF_NETLINK, SOCK_RAW);
    TRY("socket packet", socket, AF_PACKET, SOCK_RAW);
    TRY("socketpair", socketpair, AF_UNIX, SOCK_STREAM, 0, POINTER(pair));
    TRY("connect", connect, 0, POINTER(zeros), 16);
    TRY("bind", bind, 0, POINTER(zeros), 16);
    TRY("sendmsg", sendmsg, 1, POINTER(&message));
    TRY("recvmsg", recvmsg, 0, POINTER(&message), MSG_DONTWAIT);
    TRY("sendto", sendto, 1, POINTER(text), 1);
    TRY("setsockopt", setsockopt, 0, SOL_SOCKET, SO_KEEPALIVE, POINTER(zeros), 4);
    TRY("mq_open", mq_open, POINTER("attempt"), O_CREAT, 0600);
    TRY("msgget", msgget, 0, 01000);
    TRY("semget", semget, 0, 1, 01000);
    TRY("shmget", shmget, 0, 4096, 01000);
    TRY("ioctl", ioctl, 1, 0x5411, POINTER(zeros));
    TRY("ioctl of the terminal", ioctl, 1, 0x5412, POINTER(zeros));
    // Files.
    TRY("open for writing", openat, HERE, O_WRONLY);
    TRY("open for both", openat, HERE, O_RDWR);
    TRY("open and create", openat, GONE, O_CREAT, 0600);
    TRY("open and truncate", openat, HERE, O_TRUNC);
    TRY("open without a name", openat, AT_FDCWD, POINTER("/tmp"), __O_TMPFILE | O_DIRECTORY | O_RDWR, 0600);
    TRY("open a path only", openat, HERE, O_PATH);
    TRY("open with 64 bits", openat, HERE, 1L << 32);
    TRY("openat2", openat2, HERE, POINTER(zeros), 24);
    TRY("open_by_handle_at", open_by_handle_at, AT_FDCWD, POINTER(zeros));
    TRY("renameat2", renameat2, GONE, GONE);
    TRY("unlinkat", unlinkat, GONE);
    TRY("mkdirat", mkdirat, GONE, 0700);
    TRY("fchmodat", fchmodat, GONE, 0777);
    TRY("fchmod", fchmod, own_file, 0755);
    TRY("fchownat", fchownat, GONE, -1, -1);
    TRY("linkat", linkat, GONE, GONE);
    TRY("symlinkat", symlinkat, POINTER(own_path), GONE);
    TRY("mknodat", mknodat, GONE, 0010600);
    TRY("truncate", truncate, POINTER("/nonexistent/attempt"));
    TRY("ftruncate", ftruncate, own_file);
    TRY("fallocate", fallocate, own_file, 0, 0, 1);
    TRY("utimensat", utimensat, GONE);
    TRY("setxattr", setxattr, POINTER("/nonexistent/attempt"), POINTER("user.a"), POINTER(text), 1);
    TRY("getdents64", getdents64, own_file, POINTER(zeros), sizeof zeros);
    TRY("splice", splice, 0, 0, 1, 0, 1, 2);
    TRY("sendfile", sendfile, 1, own_file, 0, 1);
    TRY("copy_file_range", copy_file_range, own_file, 0, 1, 0, 1);
    TRY("dup3", dup3, 0, 40);
    TRY("dup", dup, 0);
    TRY("flock", flock, own_file, 2);
    TRY("chroot", chroot, POINTER("/nonexistent"));
    TRY("chdir", chdir, POINTER("/"));
    TRY("pivot_root", pivot_root, POINTER("/nonexistent"), POINTER("/nonexistent"));
    TRY("mount", mount, POINTER("none"), POINTER("/nonexistent"), POINTER("tmpfs"));
    TRY("umount2", umount2, POINTER("/nonexistent"));
    TRY("open_tree", open_tree, GONE);
    TRY("fsopen", fsopen, POINTER("tmpfs"));
    TRY("inotify_init1", inotify_init1, 0);
    TRY("fanotify_init", fanotify_init, 0);
    TRY("signalfd4", signalfd4, -1, POINTER(zeros), 8);
    TRY("timerfd_create", timerfd_create, 1);
    TRY("timer_create", timer_create, 1, 0, POINTER(zeros));
    // Memory.
    TRY("mmap shared", mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    TRY("mmap shared and validated", mmap, 0, 4096, PROT_READ, 3 | MAP_ANONYMOUS, -1);
    TRY("memfd_create", memfd_create, POINTER(text));
    TRY("memfd_secret", memfd_secret, 0);
    TRY("userfaultfd", userfaultfd, 1);
    TRY("remap_file_pages", remap_file_pages, 0);
    TRY("mlock", mlock, POINTER(zeros), 1);
    TRY("process_madvise", process_madvise, own_file, POINTER(&vector), 1, 4);
    TRY("pkey_alloc", pkey_alloc, 0);
    // The kernel.
    TRY("io_uring_setup", io_uring_setup, 1, POINTER(zeros));
    TRY("io_uring_enter", io_uring_enter, 3);
    TRY("io_uring_register", io_uring_register, 3);
    TRY("io_setup", io_setup, 1, POINTER(zeros));
    TRY("bpf", bpf, 0, POINTER(zeros));
    TRY("perf_event_open", perf_event_open, POINTER(zeros), 0, -1, -1);
    TRY("keyctl", keyctl, 0, -3);
    TRY("add_key", add_key, POINTER("user"), POINTER(text), POINTER(text), 1, -3);
    TRY("landlock_create_ruleset", landlock_create_ruleset, 0, 0, 1);
    TRY("init_module", init_module, POINTER(zeros), 0, POINTER(""));
    TRY("finit_module", finit_module, own_file, POINTER(""));
    TRY("delete_module", delete_module, POINTER("nonexistent"));
    TRY("kexec_load", kexec_load, 0);
    TRY("reboot", reboot, 0);
    TRY("swapon", swapon, POINTER("/nonexistent"));
    TRY("sethostname", sethostname, POINTER(text));
    TRY("clock_settime", clock_settime, 99, POINTER(zeros));
    TRY("clock_adjtime", clock_adjtime, 99, POINTER(zeros));
    TRY("syslog", syslog, 3, POINTER(zeros));
    TRY("acct", acct, POINTER("/nonexistent"));
    TRY("quotactl", quotactl, 0);
    TRY("vhangup", vhangup, 0);
#ifdef __x86_64__
    TRY("fork (own number)", fork, 0);
    TRY("vfork", vfork, 0);
    TRY("open (own number)", open, own, O_RDONLY);
    TRY("creat", creat, POINTER("/nonexistent/attempt"), 0600);
    TRY("rename", rename, POINTER("/nonexistent/a"), POINTER("/nonexistent/b"));
    TRY("unlink", unlink, POINTER("/nonexistent/attempt"));
    TRY("rmdir", rmdir, POINTER("/nonexistent/attempt"));
    TRY("chmod", chmod, POINTER("/nonexistent/attempt"), 0777);
    TRY("chown", chown, POINTER("/nonexistent/attempt"));
    TRY("link", link, own, POINTER("/nonexistent/attempt"));
    TRY("symlink", symlink, own, POINTER("/nonexistent/attempt"));
    TRY("mknod", mknod, POINTER("/nonexistent/attempt"), 0010600);
    TRY("dup2", dup2, 0, 1023);
    TRY("signalfd", signalfd, -1, POINTER(zeros), 8);
    TRY("arch_prctl vdso", arch_prctl, 0x2003);
    TRY("arch_prctl gs", arch_prctl, 0x1001, POINTER(zeros));
    TRY("iopl", iopl, 3);
    TRY("ioperm", ioperm, 0x70, 1, 1);
    TRY("modify_ldt", modify_ldt, 0, POINTER(zeros), 16);
    ADD("x32 getpid", SYS_getpid | 0x40000000, 0);
    ADD("x32 execve", 520 | 0x40000000, own, arguments, none);
#endif
    // What it may: positive controls of the filter.
    TRY("allowed kill of itself", kill, self);
    TRY("allowed tgkill of itself", tgkill, self, self);
    TRY("allowed open for reading", openat, HERE, O_RDONLY | O_CLOEXEC);
    TRY("allowed mmap", mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    TRY("allowed mmap of code", mmap, 0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    TRY("allowed prlimit64", prlimit64, 0, 7, 0, POINTER(zeros));
    TRY("allowed descriptor", fcntl, 0, F_DUPFD_CLOEXEC, 3);
    TRY("allowed descriptor beyond the limit", fcntl, 0, F_DUPFD_CLOEXEC, 1023);
}

static void copy_file(const char *path) {
    char buffer[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0)
        if (write(1, buffer, (size_t)length) != length) exit(3);
    close(fd);
}

static void print(const char *format, long value, long second) {
    char line[128];
    int length = snprintf(line, sizeof line, format, value, second);
    if (write(1, line, (size_t)length) != length) exit(3);
}

static int make(long call, const word *a) {
    errno = 0;
    long value = syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
    print("returned %ld %ld\n", value, errno);
    return 0;
}

int main(int argument_count, char **arguments) {
    if (argument_count < 2) return 2;
    const char *name = arguments[1];
    if (strcmp(name, "state") == 0) {
        for (int fd = 0; fd < 4096; fd++)
            if (fcntl(fd, F_GETFD) >= 0) print("Descriptor:\t%ld\n", fd, 0);
        copy_file("/proc/self/status");
        copy_file("/proc/self/limits");
        copy_file("/proc/self/oom_score_adj");
        return 0;
    }
    if (strcmp(name, "number") == 0 && argument_count > 2) {
        const word ones[6] = {-1, -1, -1, -1, -1, -1};
        return make(atol(arguments[2]), ones);
    }
#ifdef __x86_64__
    // As a call of 64 bits, the number would be sched_yield, which is allowed.
    if (strcmp(name, "getuid of 32 bits") == 0) {
        long value = 24;
        __asm__ volatile("int $0x80" : "+a"(value) : : "r8", "r9", "r10", "r11", "memory");
        print("returned %ld %ld\n", value, 0);
        return 0;
    }
#endif
    ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
    if (length < 1) return 3;
    fill_table(open(own_path, O_RDONLY | O_CLOEXEC));
    for (int at = 0; at < count; at++) {
        if (strcmp(name, "names") == 0) {
            if (dprintf(1, "%s\n", attempts[at].name) < 0) return 3;
        } else if (strcmp(name, attempts[at].name) == 0) {
            return make(attempts[at].call, attempts[at].arguments);
        }
    }
    return strcmp(name, "names") == 0 ? 0 : 2;
}
