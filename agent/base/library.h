/*
 * Shared libraries that are loaded when something first needs them, not by the linker at each
 * start: what few commands and configurations use then costs the others neither memory nor time.
 * Functions are called through a table that the loader fills.
 */
#ifndef TLY_BASE_LIBRARY_H
#define TLY_BASE_LIBRARY_H

#include "agent/base/error.h"

#include <stdint.h>

struct tly_library {
    const char *name;         /* "libcurl" */
    const char *purpose;      /* what there is not without it: "HTTP requests" */
    const char *packages;     /* that bring it, for the error */
    const char *const *files; /* names as the loader knows them: the first that loads is taken */
    const char *const *functions; /* their names; both lists end in NULL */
};

/*
 * Loads the library and writes the address of each function to `ret_functions`, a struct or an
 * array of as many function pointers in the same order. It is never unloaded: threads and handlers
 * of the process's end may be its own. -ELIBACC: no file can be loaded or has all functions, and
 * `err` says why and what to install; a later call tries again.
 */
int tly_library_load(const struct tly_library *library, void *ret_functions,
                     struct tly_error *err) TLY_CHECK;

/*
 * The list of a library's files inside a JSON text: `TLY_LIBRARY_JSON("a.so.1", "b.so.1")` is
 * `["a.so.1", "b.so.1"]`.
 */
#define TLY_LIBRARY_JSON(...)      "[" TLY_LIBRARY_JSON_TEXT(__VA_ARGS__) "]"
#define TLY_LIBRARY_JSON_TEXT(...) #__VA_ARGS__

/*
 * Says in the program itself which libraries it loads, for who makes packages and images
 * (https://systemd.io/ELF_DLOPEN_METADATA/). Once in the .c file that loads them; `json` is a
 * literal.
 */
#define TLY_LIBRARY_NOTE(json)                                                                     \
    __attribute__((used, section(".note.dlopen"))) _Alignas(uint32_t) static const struct {        \
        uint32_t name_bytes, text_bytes, type;                                                     \
        char name[4];                                                                              \
        _Alignas(uint32_t) char text[sizeof(json)];                                                \
    } library_note = {sizeof("FDO"), sizeof(json), TLY_LIBRARY_NOTE_TYPE, "FDO", json}
#define TLY_LIBRARY_NOTE_TYPE UINT32_C(0x407c0c0a)

#endif
