// The ioctl of /dev/nsm (linux/nsm.h): one request, one response, on the thread pool, because the device
// may take seconds. Buffers have the sizes of the device, whatever a caller says. The device is trusted;
// its length is checked all the same. Requests and responses may hold secrets: they are wiped.

#include "addon.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { MAX_REQUEST_BYTES = 0x1000, RESPONSE_BYTES = 0x3000 };

struct nsm_message {
  struct iovec request;
  struct iovec response;
};

#define NSM_REQUEST _IOWR(0x0A, 0, struct nsm_message)

_Static_assert(sizeof(struct nsm_message) == 32, "the kernel's struct nsm_raw");

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

static void release(struct call *call) {
  explicit_bzero(call, sizeof *call);
  free(call);
}

/** In a thread of the pool: no JavaScript here. */
static void execute(napi_env env, void *data) {
  struct call *call = data;
  struct nsm_message message = {
      .request = {.iov_base = call->request, .iov_len = call->request_length},
      .response = {.iov_base = call->response, .iov_len = RESPONSE_BYTES},
  };
  int result;
  (void)env;
  do result = ioctl(call->fd, NSM_REQUEST, &message);
  while (result < 0 && errno == EINTR);
  if (result < 0) call->error = errno;
  else if (message.response.iov_len > RESPONSE_BYTES) call->error = EPROTO;
  else call->response_length = message.response.iov_len;
}

static napi_value bytes_of(napi_env env, const uint8_t *bytes, size_t length) {
  void *copy;
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, length, &copy, &buffer) != napi_ok ||
      napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &array) != napi_ok)
    return NULL;
  if (length > 0) memcpy(copy, bytes, length);
  return array;
}

static void complete(napi_env env, napi_status status, void *data) {
  struct call *call = data;
  napi_value bytes = NULL;
  if (status != napi_ok) call->error = ECANCELED;
  if (call->error == 0) {
    bytes = bytes_of(env, call->response, call->response_length);
    if (bytes == NULL) call->error = ENOMEM;
  }
  if (bytes != NULL) napi_resolve_deferred(env, call->deferred, bytes);
  else napi_reject_deferred(env, call->deferred, system_error(env, "ioctl", call->error));
  napi_delete_async_work(env, call->work);
  release(call);
}

/** nsmRequest(descriptor, Uint8Array of 1 to 4,096 bytes) -> promise of a Uint8Array of at most 12,288. */
napi_value nsm_request(napi_env env, napi_callback_info info) {
  napi_value values[2], promise, name;
  uint32_t fd;
  napi_typedarray_type type;
  size_t length;
  void *bytes;
  if (!arguments(env, info, 2, values) || !unsigned_of(env, values[0], INT_MAX, &fd)) return NULL;
  if (napi_get_typedarray_info(env, values[1], &type, &length, &bytes, NULL, NULL) != napi_ok ||
      type != napi_uint8_array)
    return throw_system(env, "request", EINVAL);
  if (length < 1 || length > MAX_REQUEST_BYTES) return throw_system(env, "request", EMSGSIZE);
  struct call *call = calloc(1, sizeof *call);
  if (call == NULL) return throw_system(env, "calloc", ENOMEM);
  call->fd = (int)fd;
  call->request_length = length;
  memcpy(call->request, bytes, length);
  if (napi_create_string_utf8(env, "nsm", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, execute, complete, call, &call->work) != napi_ok) {
    release(call);
    return throw_system(env, "work", ENOMEM);
  }
  if (napi_create_promise(env, &call->deferred, &promise) != napi_ok ||
      napi_queue_async_work(env, call->work) != napi_ok) {
    napi_delete_async_work(env, call->work);
    release(call);
    return throw_system(env, "work", ENOMEM);
  }
  return promise;
}
