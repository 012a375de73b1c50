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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { APP_ID = 1000, HEARTBEAT_PORT = 9000, HEARTBEAT = 0xB7, REASON_PORT = 7005 };

// To start strategies under users of their own, and to end them. Nothing else of root is left to the app.
static const unsigned APP_CAPABILITIES = 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;

// In the order in which they need each other. The image's own kernel has them built in.
static const char *const MODULES[] = {
    "/virtio_mmio.ko", "/vsock.ko", "/vmw_vsock_virtio_transport_common.ko",
    "/vmw_vsock_virtio_transport.ko", "/vsock_loopback.ko", "/nsm.ko",
};

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
    dprintf(2, "trackseal: %s: %s\n", step, strerror(errno));
    snprintf(line, sizeof line, "refused %s", step);
    finish(line);
}

// At most `size - 1` bytes, ended by a zero. -1 when the file is longer, or cannot be read.
static ssize_t read_file(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t count;
    while ((count = read(fd, text + length, size - length)) > 0) length += (size_t)count;
    close(fd);
    if (count < 0 || length == size) return -1;
    text[length] = 0;
    return (ssize_t)length;
}

static int write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int succeeded = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return succeeded;
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

static void load_modules(void) {
    for (size_t at = 0; at < COUNT(MODULES); at++) {
        int fd = open(MODULES[at], O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) continue;
        require(syscall(SYS_finit_module, fd, "", 0) == 0, "module");
        close(fd);
    }
    // Absent where the kernel has no modules.
    if (access("/proc/sys/kernel/modules_disabled", F_OK) == 0)
        require(write_file("/proc/sys/kernel/modules_disabled", "1"), "module");
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
    for (size_t have = 0; have < sizeof seed; have += (size_t)length)
        require((length = read(source, seed + have, sizeof seed - have)) > 0, "seed");
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
        require(mknod(to, S_IFCHR, device.st_rdev) == 0 && chmod(to, DEVICES[at].mode) == 0 &&
                chown(to, DEVICES[at].owner, DEVICES[at].owner) == 0, DEVICES[at].name);
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
static void read_words(const char *path, char *text, size_t size, char **words, size_t max_words) {
    ssize_t length = read_file(path, text, size);
    size_t count = 0;
    require(length >= 0 && strlen(text) == (size_t)length, "command");
    require(length == 0 || text[length - 1] == '\n', "command");
    for (char *word = strtok(text, "\n"); word != NULL; word = strtok(NULL, "\n")) {
        require(count + 1 < max_words, "command");
        words[count++] = word;
    }
}

static int is_kept(int capability) { return capability < 32 && (APP_CAPABILITIES >> capability & 1) != 0; }

static int set_capabilities(unsigned also) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const unsigned all = APP_CAPABILITIES | also;
    const struct __user_cap_data_struct data[2] = {{all, all, APP_CAPABILITIES}, {0, 0, 0}};
    return syscall(SYS_capset, &header, data) == 0;
}

// From root with everything to the app's user. Being user 0 would give it nothing: SECBIT_NOROOT.
static int drop_privileges(void) {
    const int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
    const int closed = bits | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    const struct rlimit files = {16384, 16384}, none = {0, 0};
    for (int at = 0; prctl(PR_CAPBSET_READ, at) >= 0; at++)
        if (!is_kept(at) && prctl(PR_CAPBSET_DROP, at) != 0) return 0;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &none) != 0) return 0;
    if (prctl(PR_SET_SECUREBITS, bits) != 0 || setgroups(0, NULL) != 0) return 0;
    if (setresgid(APP_ID, APP_ID, APP_ID) != 0 || setresuid(APP_ID, APP_ID, APP_ID) != 0) return 0;
    if (!set_capabilities(1u << CAP_SETPCAP)) return 0;
    for (int at = 0; at < 32; at++)
        if (is_kept(at) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, at, 0, 0) != 0) return 0;
    return prctl(PR_SET_SECUREBITS, closed) == 0 && set_capabilities(0) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

// Returns its process id once the program runs: the pipe ends with execve, or carries the step that failed.
static pid_t start_app(char **arguments, char **environment) {
    int failed[2];
    char step[16] = "";
    require(arguments[0] != NULL && pipe2(failed, O_CLOEXEC) == 0, "command");
    pid_t app = fork();
    if (app == 0) {
        const char *at = "root";
        if (chroot("/rootfs") == 0 && chdir("/") == 0 && setsid() > 0) {
            at = "privileges";
            if (drop_privileges()) execve(arguments[0], arguments, environment), at = "exec";
        }
        _exit(write(failed[1], at, strlen(at)) > 0 ? 127 : 126);
    }
    require(app > 0 && close(failed[1]) == 0, "fork");
    ssize_t length = read(failed[0], step, sizeof step - 1);
    require(length == 0, length > 0 ? step : "fork");
    close(failed[0]);
    return app;
}

int main(void) {
    static char command[65536], settings[65536], line[64];
    static char *arguments[64], *environment[64];
    int status;
    if (getpid() != 1) return 2; // It would end all processes of whoever tries it.
    mount_own();
    load_modules();
    bring_up_loopback();
    check_clock();
    check_randomness();
    require(write_file("/proc/sys/kernel/yama/ptrace_scope", "3"), "ptrace");
    prepare_root();
    read_words("/cmd", command, sizeof command, arguments, COUNT(arguments));
    read_words("/env", settings, sizeof settings, environment, COUNT(environment));
    beat_heart();
    pid_t app = start_app(arguments, environment);
    while (wait(&status) != app) continue;
    if (WIFSIGNALED(status)) snprintf(line, sizeof line, "exit signal %d", WTERMSIG(status));
    else snprintf(line, sizeof line, "exit code %d", WEXITSTATUS(status));
    finish(line);
}
