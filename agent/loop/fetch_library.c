/*
 * libcurl's table; see fetch_library.h.
 */
#include "agent/loop/fetch_library.h"

#include "agent/base/library.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* TLY_CURL_FILES, from the build: the library that it found, then that of other builds of curl. */
static const char *const files[] = {TLY_CURL_FILES, NULL};

#define FUNCTION_NAME(name) "curl_" #name,
static const char *const functions[] = {TLY_CURL_FUNCTIONS(FUNCTION_NAME) NULL};

TLY_LIBRARY_NOTE("[{\"feature\":\"http\",\"description\":\"Docker's API, Alertmanagers, webhooks, "
                 "healthcheck\",\"priority\":\"recommended\","
                 "\"soname\":" TLY_LIBRARY_JSON(TLY_CURL_FILES) "}]");

int tly_curl_load(const struct tly_curl **ret_curl, struct tly_error *err)
{
    static struct tly_curl curl;
    static bool loaded;
    static const struct tly_library library = {
        .name = "libcurl",
        .purpose = "HTTP requests",
        .packages = "libcurl3-gnutls or libcurl4",
        .files = files,
        .functions = functions,
    };
    _Static_assert(sizeof(curl) == sizeof(functions) - sizeof(functions[0]),
                   "a pointer for each name");
    if (!loaded) {
        int rc = tly_library_load(&library, &curl, err);
        if (rc < 0) {
            return rc;
        }
        /* For the process: what it sets up is never taken down again. */
        if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            return tly_error_set(err, -ENOMEM, "out of memory for HTTP requests");
        }
        loaded = true;
    }
    *ret_curl = &curl;
    return 0;
}
