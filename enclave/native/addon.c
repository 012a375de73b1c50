// The native addon: what Node lacks, AF_VSOCK sockets and the ioctl of /dev/nsm. Sockets are non-blocking
// descriptors for Node's own Pipe handles: nothing here reads or writes a peer's bytes, nothing is allocated
// by a number of anybody else, no thread waits for a connection. A descriptor is closed on every way that does
// not hand it to JavaScript. Loaded by the main thread only. Arguments come from our own JavaScript, which
// may be mistaken: they are checked, and a wrong call takes nothing.

#define NAPI_VERSION 8

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/vm_sockets.h>
#include <node_api.h>
#include <uv.h>

enum { MAX_ARGUMENTS = 2, MAX_REQUEST_BYTES = 0x1000, RESPONSE_BYTES = 0x3000 };

/** An Error whose `code` is the system's name of the number, such as ECONNREFUSED. */
static napi_value error_of(napi_env env, int number) {
  char name[64];
  napi_value code, error;
  uv_err_name_r(-number, name, sizeof name);
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_error(env, code, code, &error) != napi_ok)
    return NULL;
  return error;
}

static napi_value fail(napi_env env, int number) {
  napi_value error = error_of(env, number);
  if (error != NULL) napi_throw(env, error);
  return NULL;
}

static napi_value close_and_fail(napi_env env, int fd, int number) {
  close(fd);
  return fail(env, number);
}

/** Exactly `count` arguments, of which the first `integers` are from 0 to 2^32-1; or an exception. */
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values,
                      size_t integers, uint32_t *numbers) {
  size_t given = count;
  bool valid = napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count;
  for (size_t at = 0; valid && at < integers; at++) {
    double number;
    valid = napi_get_value_double(env, values[at], &number) == napi_ok && number >= 0 &&
            number <= UINT32_MAX && number == (double)(uint32_t)number;
    if (valid) numbers[at] = (uint32_t)number;
  }
  if (!valid) fail(env, EINVAL);
  return valid;
}

/** A socket for which `call`, connect or bind, has begun. */
static napi_value open_socket(napi_env env, uint32_t cid, uint32_t port,
                              int (*call)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
  napi_value descriptor;
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, errno);
  if (call(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
    return close_and_fail(env, fd, errno);
  if (napi_create_int32(env, fd, &descriptor) != napi_ok) return close_and_fail(env, fd, ENOMEM);
  return descriptor;
}

/** connect(cid, port) -> descriptor whose connection may still be under way. */
static napi_value vsock_connect(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS];
  uint32_t numbers[MAX_ARGUMENTS];
  if (!arguments(env, info, 2, values, 2, numbers)) return NULL;
  return open_socket(env, numbers[0], numbers[1], connect);
}

/** bind(port) -> descriptor, bound on all CIDs of this machine; Pipe.listen() listens. */
static napi_value vsock_bind(napi_env env, napi_callback_info info) {
  napi_value value;
  uint32_t port;
  if (!arguments(env, info, 1, &value, 1, &port)) return NULL;
  return open_socket(env, VMADDR_CID_ANY, port, bind);
}

/** peerCid(descriptor) -> CID of the other end. The descriptor stays the caller's. */
static napi_value vsock_peer(napi_env env, napi_callback_info info) {
  napi_value value, cid;
  uint32_t fd;
  struct sockaddr_vm address;
  socklen_t length = sizeof address;
  if (!arguments(env, info, 1, &value, 1, &fd)) return NULL;
  if (getpeername((int)fd, (struct sockaddr *)&address, &length) != 0) return fail(env, errno);
  if (length != sizeof address || address.svm_family != AF_VSOCK) return fail(env, EAFNOSUPPORT);
  return napi_create_uint32(env, address.svm_cid, &cid) == napi_ok ? cid : NULL;
}

/** A descriptor that waits to be connected. Freed when both handles are closed. */
struct wait {
  uv_poll_t poll;
  uv_timer_t timer;
  int open_handles;
  int fd;
  napi_env env;
  napi_async_context context;
  napi_deferred deferred;
};

static void on_handle_closed(uv_handle_t *handle) {
  struct wait *wait = handle->data;
  if (--wait->open_handles == 0) free(wait);
}

static void settle(struct wait *wait, int error) {
  napi_env env = wait->env;
  napi_handle_scope handles;
  napi_callback_scope callback;
  napi_value descriptor;
  // Nothing watches the descriptor any more when it is handed over or closed.
  uv_close((uv_handle_t *)&wait->poll, on_handle_closed);
  uv_close((uv_handle_t *)&wait->timer, on_handle_closed);
  if (error != 0) close(wait->fd);
  if (napi_open_handle_scope(env, &handles) != napi_ok) return;
  if (napi_open_callback_scope(env, NULL, wait->context, &callback) == napi_ok) {
    if (error == 0 && napi_create_int32(env, wait->fd, &descriptor) == napi_ok)
      napi_resolve_deferred(env, wait->deferred, descriptor);
    else napi_reject_deferred(env, wait->deferred, error_of(env, error));
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
  settle(wait, error != 0 ? error : -status);
}

static void on_timeout(uv_timer_t *timer) { settle(timer->data, ETIMEDOUT); }

/** connected(descriptor, timeoutMs): takes it, and resolves with it or closes it and rejects. */
static napi_value vsock_connected(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS], promise, name;
  uint32_t numbers[MAX_ARGUMENTS];
  uv_loop_t *loop;
  if (!arguments(env, info, 2, values, 2, numbers)) return NULL;
  int fd = (int)numbers[0];
  struct wait *wait = calloc(1, sizeof *wait);
  if (wait == NULL) return close_and_fail(env, fd, ENOMEM);
  wait->fd = fd;
  wait->env = env;
  wait->open_handles = 2;
  wait->poll.data = wait->timer.data = wait;
  int status = UV_ENOMEM;
  if (napi_get_uv_event_loop(env, &loop) == napi_ok &&
      napi_create_string_utf8(env, "vsock", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_async_init(env, NULL, name, &wait->context) == napi_ok &&
      napi_create_promise(env, &wait->deferred, &promise) == napi_ok)
    status = uv_poll_init(loop, &wait->poll, fd);
  if (status != 0) {
    if (wait->context != NULL) napi_async_destroy(env, wait->context);
    free(wait);
    return close_and_fail(env, fd, -status);
  }
  uv_timer_init(loop, &wait->timer);
  uv_poll_start(&wait->poll, UV_WRITABLE, on_writable);
  uv_timer_start(&wait->timer, on_timeout, numbers[1], 0);
  return promise;
}

/** linux/nsm.h: struct nsm_raw. */
struct nsm_message {
  struct iovec request;
  struct iovec response;
};

_Static_assert(sizeof(struct nsm_message) == 32, "the kernel's layout");

/** Buffers of the device's sizes, whatever a caller says. */
struct call {
  napi_async_work work;
  napi_deferred deferred;
  int fd;
  int error;
  size_t request_length;
  size_t response_length;
  uint8_t request[MAX_REQUEST_BYTES];
  uint8_t response[RESPONSE_BYTES];
};

/** Requests and responses may hold secrets. */
static void wipe_and_free(struct call *call) {
  explicit_bzero(call, sizeof *call);
  free(call);
}

/** In a thread of the pool, because the device may take seconds: no JavaScript here. */
static void nsm_execute(napi_env env, void *data) {
  struct call *call = data;
  struct nsm_message message = {
      .request = {.iov_base = call->request, .iov_len = call->request_length},
      .response = {.iov_base = call->response, .iov_len = RESPONSE_BYTES},
  };
  int result;
  (void)env;
  do result = ioctl(call->fd, _IOWR(0x0A, 0, struct nsm_message), &message);
  while (result < 0 && errno == EINTR);
  if (result < 0) call->error = errno;
  else if (message.response.iov_len > RESPONSE_BYTES) call->error = EPROTO;
  else call->response_length = message.response.iov_len;
}

static void nsm_complete(napi_env env, napi_status status, void *data) {
  struct call *call = data;
  napi_value buffer, bytes;
  void *copy;
  if (status != napi_ok) call->error = ECANCELED;
  if (call->error == 0 &&
      napi_create_arraybuffer(env, call->response_length, &copy, &buffer) == napi_ok &&
      napi_create_typedarray(env, napi_uint8_array, call->response_length, buffer, 0, &bytes) == napi_ok) {
    if (call->response_length > 0) memcpy(copy, call->response, call->response_length);
    napi_resolve_deferred(env, call->deferred, bytes);
  } else {
    napi_reject_deferred(env, call->deferred, error_of(env, call->error != 0 ? call->error : ENOMEM));
  }
  napi_delete_async_work(env, call->work);
  wipe_and_free(call);
}

/** nsmRequest(descriptor, Uint8Array of 1 to 4,096 bytes) -> promise of a Uint8Array of at most 12,288. */
static napi_value nsm_request(napi_env env, napi_callback_info info) {
  napi_value values[MAX_ARGUMENTS], promise, name;
  uint32_t fd;
  napi_typedarray_type type;
  size_t length;
  void *bytes;
  if (!arguments(env, info, 2, values, 1, &fd)) return NULL;
  if (napi_get_typedarray_info(env, values[1], &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_uint8_array)
    return fail(env, EINVAL);
  if (length < 1 || length > MAX_REQUEST_BYTES) return fail(env, EMSGSIZE);
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) return fail(env, ENOMEM);
  call->fd = (int)fd;
  call->request_length = length;
  memcpy(call->request, bytes, length);
  if (napi_create_string_utf8(env, "nsm", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_promise(env, &call->deferred, &promise) == napi_ok &&
      napi_create_async_work(env, NULL, name, nsm_execute, nsm_complete, call, &call->work) == napi_ok &&
      napi_queue_async_work(env, call->work) == napi_ok)
    return promise;
  if (call->work != NULL) napi_delete_async_work(env, call->work);
  wipe_and_free(call);
  return fail(env, ENOMEM);
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } functions[] = {{"connect", vsock_connect}, {"connected", vsock_connected}, {"bind", vsock_bind},
                   {"peerCid", vsock_peer},    {"nsmRequest", nsm_request}};
  for (size_t at = 0; at < sizeof functions / sizeof functions[0]; at++) {
    napi_value function;
    if (napi_create_function(env, functions[at].name, NAPI_AUTO_LENGTH, functions[at].call, NULL,
                             &function) != napi_ok ||
        napi_set_named_property(env, exports, functions[at].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
