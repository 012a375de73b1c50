// For tests on a machine that must not open AF_VSOCK: linked into the addon with --wrap, so that its own
// code runs over Unix sockets. Port P of CID C is the abstract socket "\0<folder>/C/P", with the folder from
// TRACKSEAL_TEST_VSOCK. CID 1 is this machine, as with the kernel's loopback; TRACKSEAL_TEST_PEER_CID says who
// peers are. A connection is always "under way" first, as on vsock, and is refused the same way. Never
// part of an image.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

int __real_socket(int domain, int type, int protocol);
int __real_bind(int fd, const struct sockaddr *address, socklen_t length);
int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __real_getpeername(int fd, struct sockaddr *address, socklen_t *length);
int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *length);

enum { MAX_DESCRIPTORS = 65536 };

/** What SO_ERROR will say, by descriptor. */
static int pending[MAX_DESCRIPTORS];

static socklen_t translate(const struct sockaddr *from, unsigned cid, struct sockaddr_un *to) {
  const struct sockaddr_vm *vm = (const struct sockaddr_vm *)from;
  const char *folder = getenv("TRACKSEAL_TEST_VSOCK");
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  int length = snprintf(to->sun_path + 1, sizeof to->sun_path - 1, "%s/%u/%u",
                        folder == NULL ? "vsock" : folder, cid, vm->svm_port);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

int __wrap_socket(int domain, int type, int protocol) {
  if (domain != AF_VSOCK) abort();
  int fd = __real_socket(AF_UNIX, type, protocol);
  if (fd >= 0 && fd < MAX_DESCRIPTORS) pending[fd] = 0;
  return fd;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length) {
  struct sockaddr_un to;
  if (length != sizeof(struct sockaddr_vm)) abort();
  return __real_bind(fd, (struct sockaddr *)&to, translate(address, VMADDR_CID_LOCAL, &to));
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length) {
  struct sockaddr_un to;
  if (length != sizeof(struct sockaddr_vm) || fd >= MAX_DESCRIPTORS) abort();
  unsigned cid = ((const struct sockaddr_vm *)address)->svm_cid;
  // Nobody has an interface to this CID: known at once.
  if (cid == 9) {
    errno = ENODEV;
    return -1;
  }
  // CID 8 drops what it gets: a pipe that is full, so that it does not become writable.
  int ends[2];
  if (cid == 8) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) abort();
    char full[4096] = {0};
    while (write(ends[0], full, sizeof full) > 0) continue;
    if (dup3(ends[0], fd, O_CLOEXEC) != fd || close(ends[0]) != 0) abort();
  } else if (__real_connect(fd, (struct sockaddr *)&to, translate(address, cid, &to)) != 0) {
    pending[fd] = errno == EAGAIN ? EAGAIN : ECONNRESET;
  }
  errno = EINPROGRESS;
  return -1;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
  if (level == SOL_SOCKET && option == SO_ERROR && fd < MAX_DESCRIPTORS && pending[fd] != 0) {
    memcpy(value, &pending[fd], sizeof pending[fd]);
    pending[fd] = 0;
    return 0;
  }
  return __real_getsockopt(fd, level, option, value, length);
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *length) {
  struct sockaddr_un ignored;
  socklen_t size = sizeof ignored;
  if (__real_getpeername(fd, (struct sockaddr *)&ignored, &size) != 0) return -1;
  const char *peer = getenv("TRACKSEAL_TEST_PEER_CID");
  struct sockaddr_vm vm = {
      .svm_family = AF_VSOCK,
      .svm_cid = peer == NULL ? VMADDR_CID_LOCAL : (unsigned)strtoul(peer, NULL, 10),
  };
  if (*length > sizeof vm) *length = sizeof vm;
  memcpy(address, &vm, *length);
  return 0;
}
