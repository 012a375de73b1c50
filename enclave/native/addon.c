// The native addon: AF_VSOCK sockets as descriptors and the ioctl of /dev/nsm, which Node lacks. Streams,
// buffers and backpressure stay in Node. Loaded by the main thread only.

#include "addon.h"

#include <errno.h>
#include <uv.h>

napi_value system_error(napi_env env, const char *call, int number) {
  char name[64];
  napi_value code, message, error;
  uv_err_name_r(-number, name, sizeof name);
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code) != napi_ok ||
      napi_create_string_utf8(env, call, NAPI_AUTO_LENGTH, &message) != napi_ok ||
      napi_create_error(env, code, message, &error) != napi_ok)
    return NULL;
  return error;
}

napi_value throw_system(napi_env env, const char *call, int number) {
  napi_value error = system_error(env, call, number);
  if (error != NULL) napi_throw(env, error);
  return NULL;
}

bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given == count) return true;
  throw_system(env, "arguments", EINVAL);
  return false;
}

bool unsigned_of(napi_env env, napi_value value, uint32_t most, uint32_t *number) {
  double given;
  // The negation also refuses what is not a number.
  if (napi_get_value_double(env, value, &given) != napi_ok || !(given >= 0 && given <= most) ||
      given != (double)(uint32_t)given) {
    throw_system(env, "argument", EINVAL);
    return false;
  }
  *number = (uint32_t)given;
  return true;
}

napi_value number_of(napi_env env, uint32_t number) {
  napi_value value;
  return napi_create_uint32(env, number, &value) == napi_ok ? value : NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"connect", NULL, vsock_connect, NULL, NULL, NULL, napi_enumerable, NULL},
      {"connected", NULL, vsock_connected, NULL, NULL, NULL, napi_enumerable, NULL},
      {"bind", NULL, vsock_bind, NULL, NULL, NULL, napi_enumerable, NULL},
      {"peerCid", NULL, vsock_peer, NULL, NULL, NULL, napi_enumerable, NULL},
      {"nsmRequest", NULL, nsm_request, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  const size_t count = sizeof functions / sizeof functions[0];
  return napi_define_properties(env, exports, count, functions) == napi_ok ? exports : NULL;
}
