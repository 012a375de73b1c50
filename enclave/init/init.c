// The first process of the enclave. It prepares the machine, checks what only the kernel knows (clock source,
// source of randomness), starts the one program that the image names, with as few rights as that needs, and
// at its end tells the host why and resets the machine. Measured with the kernel in PCR1.
// It trusts the kernel and the ramdisks. Of the host it reads one byte, the answer to the heartbeat.
// Any step that fails ends the enclave with `refused STEP`: it never goes on in a weaker state.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/securebits.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { APP_ID = 1000, HEARTBEAT_PORT = 9000, HEARTBEAT = 0xB7, REASON_PORT = 7005 };

// To start strategies under users of their own, and to end them. Nothing else of root is left to the app.
static const unsigned APP_CAPABILITIES = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;

// Any other source (jiffies, a clock that the kernel gave up on) has steps of milliseconds, or drifts.
static const char *const CLOCK_SOURCES[] = {"kvm-clock\n", "tsc\n", "arch_sys_counter\n"};

// All that the app finds in /dev.
static const struct { const char *name; mode_t mode; uid_t owner; } DEVICES[] = {
    {"null", 0666, 0}, {"zero", 0444, 0}, {"random", 0444, 0}, {"urandom", 0444, 0},
    {"vsock", 0600, APP_ID}, {"nsm", 0600, APP_ID},
};

static unsigned parent_cid; // 0 until the parent has answered

// Connects to the parent: CID 3 on Nitro, 2 where the host itself is behind the device.
static int dial(unsigned port) {
    for (unsigned cid = 3; cid >= 2; cid--) {
        if (parent_cid != 0 && parent_cid != cid) continue;
        const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
        const struct timeval limit = {.tv_sec = 5};
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
            parent_cid = cid;
            return fd;
        }
        close(fd);
    }
    return -1;
}

// The end: one line for the console and for the host, then a reset. A power-off would need ACPI.
_Noreturn static void finish(const char *line) {
    char rest[16];
    kill(-1, SIGKILL);
    dprintf(2, "trackseal: %s\n", line);
    int fd = dial(REASON_PORT);
    dprintf(fd, "%s\n", line);
    shutdown(fd, SHUT_WR);
    while (read(fd, rest, sizeof rest) > 0) continue; // Until the host has taken it, or the time is up.
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}

static void require(int succeeded, const char *step) {
    char line[64];
    if (succeeded) return;
    dprintf(2, "trackseal: %s: last error: %s\n", step, strerror(errno));
    snprintf(line, sizeof line, "refused %s", step);
    finish(line);
}

// At most `size - 1` bytes, ended by a zero. -1 when the file is longer, or cannot be read.
static ssize_t read_file(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, size); // All of it: the files are in memory, or of one line.
    close(fd);
    if (length < 0 || (size_t)length == size) return -1;
    text[length] = 0;
    return length;
}

static void mount_at(const char *path, const char *type, unsigned long flags, const char *options) {
    require(mount(type, path, type, flags, options) == 0, "mount");
}

static void mount_own(void) {
    mkdir("/proc", 0555);
    mkdir("/sys", 0555);
    mount_at("/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, NULL);
    mount_at("/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
    mount_at("/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
    int console = open("/dev/console", O_WRONLY), nothing = open("/dev/null", O_RDONLY);
    require(dup2(console, 2) == 2 && dup2(console, 1) == 1 && dup2(nothing, 0) == 0, "console");
}

// Of a kernel that has no driver of the NSM built in.
static void load_module(void) {
    int fd = open("/nsm.ko", O_RDONLY | O_CLOEXEC);
    require((fd < 0 && errno == ENOENT) || syscall(SYS_finit_module, fd, "", 0) == 0, "module");
    close(fd);
}

// Yama's strictest setting, which cannot be taken back: nobody attaches to another process.
static void forbid_ptrace(void) {
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_WRONLY | O_CLOEXEC);
    require(write(fd, "3", 1) == 1, "ptrace");
    close(fd);
}

static void bring_up_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    require(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback");
    close(fd);
}

// The kernel may still be calibrating when it starts this process.
static void check_clock(void) {
    static const char path[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char name[64];
    for (int tries = 0; tries < 100; tries++, usleep(100 * 1000))
        for (size_t at = 0; at < COUNT(CLOCK_SOURCES) && read_file(path, name, sizeof name) > 0; at++)
            if (strcmp(name, CLOCK_SOURCES[at]) == 0) return;
    require(0, "clocksource");
}

// The kernel's generator starts from the processor's; the NSM's is mixed in before anybody makes a key.
static void check_randomness(void) {
    char name[64], seed[64];
    ssize_t length = read_file("/sys/class/misc/hw_random/rng_current", name, sizeof name);
    require(length > 0 && strcmp(name, "nsm-hwrng\n") == 0, "rng");
    int source = open("/dev/hwrng", O_RDONLY | O_CLOEXEC), pool = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    require(read(source, seed, sizeof seed) == sizeof seed, "seed");
    require(write(pool, seed, sizeof seed) == sizeof seed && ioctl(pool, RNDRESEEDCRNG) == 0, "seed");
    explicit_bzero(seed, sizeof seed);
    close(source);
    close(pool);
}

// The app's root: read-only, with six devices, and a /proc in which strategies see nobody but themselves.
static void prepare_root(void) {
    const unsigned long inert = MS_NOSUID | MS_NOEXEC;
    char from[32], to[32];
    struct stat device;
    require(mount("/rootfs", "/rootfs", NULL, MS_BIND, NULL) == 0, "mount");
    mount_at("/rootfs/dev", "tmpfs", inert, "mode=755,size=64k");
    for (size_t at = 0; at < COUNT(DEVICES); at++) {
        snprintf(from, sizeof from, "/dev/%s", DEVICES[at].name);
        snprintf(to, sizeof to, "/rootfs/dev/%s", DEVICES[at].name);
        require(stat(from, &device) == 0 && S_ISCHR(device.st_mode), DEVICES[at].name);
        require(mknod(to, S_IFCHR, device.st_rdev) == 0 && chmod(to, DEVICES[at].mode) == 0, DEVICES[at].name);
        require(chown(to, DEVICES[at].owner, DEVICES[at].owner) == 0, DEVICES[at].name);
    }
    mount_at("/rootfs/proc", "proc", inert | MS_NODEV, "hidepid=2,gid=1000"); // APP_ID
    mount_at("/rootfs/dev", NULL, inert | MS_REMOUNT | MS_RDONLY, NULL);
    mount_at("/rootfs", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

static void beat_heart(void) {
    unsigned char byte = HEARTBEAT;
    int fd = dial(HEARTBEAT_PORT);
    require(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 && byte == HEARTBEAT, "heartbeat");
    close(fd);
}

// One word per line, each with an end; `words` is ended by NULL.
static void read_words(const char *path, char *text, size_t size, char **words, ssize_t max_words) {
    ssize_t length = read_file(path, text, size), count = 0;
    require(length == 0 || (length > 0 && strlen(text) == (size_t)length && text[length - 1] == '\n'), "command");
    for (char *word = strtok(text, "\n"); word != NULL; word = strtok(NULL, "\n")) {
        require(count + 1 < max_words, "command");
        words[count++] = word;
    }
}

static int set_capabilities(unsigned also) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const unsigned all = APP_CAPABILITIES | also;
    const struct __user_cap_data_struct data[2] = {{all, all, APP_CAPABILITIES}, {0, 0, 0}};
    return syscall(SYS_capset, &header, data) == 0;
}

// From root with everything to the app's user. Being user 0 again would give it nothing: SECBIT_NOROOT.
static int drop_privileges(void) {
    const int closed = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                       SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                       SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setgroups(0, NULL) != 0) return 0;
    if (setresgid(APP_ID, APP_ID, APP_ID) != 0 || setresuid(APP_ID, APP_ID, APP_ID) != 0) return 0;
    if (!set_capabilities(1u << CAP_SETPCAP)) return 0;
    for (int at = 0; prctl(PR_CAPBSET_READ, at) >= 0; at++) {
        int is_kept = at < 32 && (APP_CAPABILITIES >> at & 1) != 0;
        if (is_kept && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, at, 0, 0) != 0) return 0;
        if (!is_kept && prctl(PR_CAPBSET_DROP, at) != 0) return 0;
    }
    return prctl(PR_SET_SECUREBITS, closed) == 0 && set_capabilities(0) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

// Returns its process id once the program runs: execve ends the pipe, a step that failed writes to it.
static pid_t start_app(char **arguments, char **environment) {
    int failed[2];
    require(arguments[0] != NULL && pipe2(failed, O_CLOEXEC) == 0, "command");
    pid_t app = fork();
    if (app == 0) {
        if (chroot("/rootfs") == 0 && chdir("/") == 0 && setsid() > 0 && drop_privileges())
            execve(arguments[0], arguments, environment);
        dprintf(2, "trackseal: start: %s\n", strerror(errno));
        _exit(write(failed[1], "x", 1) == 1 ? 127 : 126);
    }
    require(app > 0 && close(failed[1]) == 0 && read(failed[0], &(char){0}, 1) == 0, "start");
    close(failed[0]);
    return app;
}

int main(void) {
    static char command[65536], settings[65536], line[64], *arguments[64], *environment[64];
    int status;
    if (getpid() != 1) return 2; // It would end all processes of whoever tries it.
    mount_own();
    load_module();
    bring_up_loopback();
    check_clock();
    check_randomness();
    forbid_ptrace();
    prepare_root();
    read_words("/cmd", command, sizeof command, arguments, COUNT(arguments));
    read_words("/env", settings, sizeof settings, environment, COUNT(environment));
    beat_heart();
    pid_t app = start_app(arguments, environment);
    while (wait(&status) != app) continue;
    int killed = WIFSIGNALED(status), number = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    snprintf(line, sizeof line, "exit %s %d", killed ? "signal" : "code", number);
    finish(line);
}
