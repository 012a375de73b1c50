// What the files of the addon share: arguments in, errors out. Values come from our own JavaScript, which
// is trusted not to lie but not to be free of mistakes: each is checked before it is used.

#ifndef TRACKSEAL_ADDON_H
#define TRACKSEAL_ADDON_H

#define NAPI_VERSION 8

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An Error with the system's name of `number` as its `code`, such as ECONNREFUSED. */
napi_value system_error(napi_env env, const char *call, int number);

/** Throws it, and answers NULL. */
napi_value throw_system(napi_env env, const char *call, int number);

/** Exactly `count` arguments (at most 2), or an exception and false. */
bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);

/** An integer from 0 to `most`, or an exception and false. */
bool unsigned_of(napi_env env, napi_value value, uint32_t most, uint32_t *number);

/** A descriptor as a JavaScript number. */
napi_value number_of(napi_env env, uint32_t number);

napi_value vsock_connect(napi_env env, napi_callback_info info);
napi_value vsock_connected(napi_env env, napi_callback_info info);
napi_value vsock_bind(napi_env env, napi_callback_info info);
napi_value vsock_peer(napi_env env, napi_callback_info info);
napi_value nsm_request(napi_env env, napi_callback_info info);

#endif
