// AF_VSOCK sockets, non-blocking and closed on exec, as plain descriptors for Node's Pipe handles. Nothing
// here reads or writes a peer's bytes. A wait for a connection lives in Node's own loop: no thread. Each
// descriptor is closed on every way that does not hand it to JavaScript.

#include "addon.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <linux/vm_sockets.h>

enum { MAX_WAIT_MS = 60 * 1000 };

static napi_value close_and_throw(napi_env env, int fd, const char *call) {
  int number = errno;
  if (fd >= 0) close(fd);
  return throw_system(env, call, number);
}

static int vsock_socket(void) {
  return socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/** connect(cid, port) -> descriptor whose connection may still be under way. */
napi_value vsock_connect(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct sockaddr_vm address = {.svm_family = AF_VSOCK};
  if (!arguments(env, info, 2, values) ||
      !unsigned_of(env, values[0], UINT32_MAX, &address.svm_cid) ||
      !unsigned_of(env, values[1], UINT32_MAX, &address.svm_port))
    return NULL;
  int fd = vsock_socket();
  if (fd < 0) return close_and_throw(env, fd, "socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
    return close_and_throw(env, fd, "connect");
  return number_of(env, (uint32_t)fd);
}

/** bind(port) -> descriptor, bound on all CIDs of this machine; Pipe.listen() listens. */
napi_value vsock_bind(napi_env env, napi_callback_info info) {
  napi_value value;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
  if (!arguments(env, info, 1, &value) || !unsigned_of(env, value, UINT32_MAX, &address.svm_port))
    return NULL;
  int fd = vsock_socket();
  if (fd < 0) return close_and_throw(env, fd, "socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return close_and_throw(env, fd, "bind");
  return number_of(env, (uint32_t)fd);
}

/** peerCid(descriptor) -> CID of the other end. The descriptor stays the caller's. */
napi_value vsock_peer(napi_env env, napi_callback_info info) {
  napi_value value;
  uint32_t fd;
  struct sockaddr_vm address;
  socklen_t length = sizeof address;
  if (!arguments(env, info, 1, &value) || !unsigned_of(env, value, INT_MAX, &fd)) return NULL;
  if (getpeername((int)fd, (struct sockaddr *)&address, &length) != 0)
    return throw_system(env, "getpeername", errno);
  if (length != sizeof address || address.svm_family != AF_VSOCK)
    return throw_system(env, "getpeername", EAFNOSUPPORT);
  return number_of(env, address.svm_cid);
}

/** A descriptor that waits to be connected. Freed when both handles are closed. */
struct wait {
  uv_poll_t poll;
  uv_timer_t timer;
  napi_env env;
  napi_async_context context;
  napi_deferred deferred;
  int fd;
  int open_handles;
};

static void on_handle_closed(uv_handle_t *handle) {
  struct wait *wait = handle->data;
  if (--wait->open_handles == 0) free(wait);
}

/** Nothing watches the descriptor any more when it is handed over or closed. */
static void stop_watching(struct wait *wait) {
  uv_close((uv_handle_t *)&wait->poll, on_handle_closed);
  uv_close((uv_handle_t *)&wait->timer, on_handle_closed);
}

static void settle(struct wait *wait, int error) {
  napi_env env = wait->env;
  napi_handle_scope handles;
  napi_callback_scope callback;
  stop_watching(wait);
  if (error != 0) close(wait->fd);
  if (napi_open_handle_scope(env, &handles) != napi_ok) return;
  if (napi_open_callback_scope(env, NULL, wait->context, &callback) == napi_ok) {
    if (error == 0) napi_resolve_deferred(env, wait->deferred, number_of(env, (uint32_t)wait->fd));
    else napi_reject_deferred(env, wait->deferred, system_error(env, "connect", error));
    napi_close_callback_scope(env, callback);
  }
  napi_async_destroy(env, wait->context);
  napi_close_handle_scope(env, handles);
}

static void on_writable(uv_poll_t *poll, int status, int events) {
  struct wait *wait = poll->data;
  int error = 0;
  socklen_t length = sizeof error;
  (void)events;
  if (getsockopt(wait->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  // libuv says EBADF for any error of a socket; SO_ERROR knows which.
  if (error == 0 && status != 0) error = -status;
  settle(wait, error);
}

static void on_timeout(uv_timer_t *timer) { settle(timer->data, ETIMEDOUT); }

/** Takes the descriptor: hands it back connected, or closes it and rejects with the system's error. */
napi_value vsock_connected(napi_env env, napi_callback_info info) {
  napi_value values[2], promise, name;
  uint32_t fd, timeout_ms;
  uv_loop_t *loop;
  if (!arguments(env, info, 2, values) || !unsigned_of(env, values[0], INT_MAX, &fd)) return NULL;
  errno = EINVAL;
  if (!unsigned_of(env, values[1], MAX_WAIT_MS, &timeout_ms)) {
    close((int)fd);
    return NULL;
  }
  struct wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) return close_and_throw(env, (int)fd, "calloc");
  wait->env = env;
  wait->fd = (int)fd;
  wait->poll.data = wait->timer.data = wait;
  int status = napi_get_uv_event_loop(env, &loop) == napi_ok ? 0 : UV_EINVAL;
  if (status == 0) status = uv_poll_init(loop, &wait->poll, wait->fd);
  if (status != 0) {
    free(wait);
    errno = -status;
    return close_and_throw(env, (int)fd, "poll");
  }
  uv_timer_init(loop, &wait->timer);
  wait->open_handles = 2;
  if (napi_create_string_utf8(env, "vsock", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &wait->context) != napi_ok ||
      napi_create_promise(env, &wait->deferred, &promise) != napi_ok) {
    stop_watching(wait);
    errno = ENOMEM;
    return close_and_throw(env, (int)fd, "promise");
  }
  uv_poll_start(&wait->poll, UV_WRITABLE, on_writable);
  uv_timer_start(&wait->timer, on_timeout, timeout_ms, 0);
  return promise;
}
