/*
 * libcurl, loaded for the first fetcher: an agent that asks nobody over HTTP has neither it nor the
 * many libraries behind it in memory. Private to fetch.c and fetch_request.c, which call it by
 * this table alone.
 */
#ifndef TLY_LOOP_FETCH_LIBRARY_H
#define TLY_LOOP_FETCH_LIBRARY_H

#include "agent/base/error.h"

#include <curl/curl.h>

#define TLY_CURL_FUNCTIONS(X)                                                                      \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_pause)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_assign)                                                                                \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(multi_setopt)                                                                                \
    X(multi_socket_action)                                                                         \
    X(slist_append)                                                                                \
    X(slist_free_all)

/* Each has its type from libcurl's header, and its name without "curl_". */
struct tly_curl {
#define TLY_CURL_MEMBER(name) __typeof__ (&curl_##name)(name);
    TLY_CURL_FUNCTIONS(TLY_CURL_MEMBER)
#undef TLY_CURL_MEMBER
};

/*
 * The library, loaded and set up by the first call; later ones return the same table, which lives
 * as long as the process. On the loop's thread. -ELIBACC or -ENOMEM, with `err` for a person; the
 * next call tries again.
 */
int tly_curl_load(const struct tly_curl **ret_curl, struct tly_error *err) TLY_CHECK;

/*
 * Calls easy_setopt or easy_getinfo with the check of the value's type that libcurl's header has: a
 * macro that ends in a call of curl_easy_…(), under which name it finds the loaded function here.
 */
#define TLY_CURL_CHECKED(curl, function, ...)                                                      \
    __extension__({                                                                                \
        _Pragma("GCC diagnostic push");                                                            \
        _Pragma("GCC diagnostic ignored \"-Wshadow\"");                                            \
        __typeof__(&curl_##function) curl_##function = (curl)->function;                           \
        _Pragma("GCC diagnostic pop");                                                             \
        curl_##function(__VA_ARGS__);                                                              \
    })

#endif
