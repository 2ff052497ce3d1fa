/*
 * Secrets where none should be: told by the key's name, or by the form of the value. What is found
 * is reported by its key and place; the value is never copied.
 */
#ifndef TLY_CODEC_SECRET_H
#define TLY_CODEC_SECRET_H

#include "agent/base/error.h"
#include "agent/base/text.h"

#include <stdbool.h>

struct tly_secret_shapes; /* the compiled shapes; not for several threads at once */

/* -ENOMEM. */
int tly_secret_shapes_new(struct tly_secret_shapes **ret_shapes, struct tly_error *err) TLY_CHECK;
void tly_secret_shapes_free(struct tly_secret_shapes *shapes); /* NULL is fine */

enum tly_secret_kind {
    TLY_SECRET_NONE,
    TLY_SECRET_TOKEN,   /* the value has the form of a credential */
    TLY_SECRET_KEY,     /* the key is the name of a secret, and the value may be one */
    TLY_SECRET_DEFAULT, /* the same with a value that everybody knows: "changeme", "password" */
};

struct tly_secret {
    enum tly_secret_kind kind;
    const char *what; /* "GitHub token", "secret by its name", ...: a constant */
};

/* Judges `key`=`value`. A key may be empty: then only the form counts. */
struct tly_secret tly_secret_judge(struct tly_secret_shapes *shapes, struct tly_text key,
                                   struct tly_text value);

/*
 * Judges free text, such as a command line: words of the form key=value, `--key value` and tokens
 * anywhere. `ret_key` is where the key's name stands, empty for a bare token.
 */
struct tly_secret tly_secret_find(struct tly_secret_shapes *shapes, struct tly_text text,
                                  struct tly_text *ret_key);

/* Whether the name of a key is that of a secret: MYSQL_ROOT_PASSWORD, apiKey. */
bool tly_secret_key(struct tly_text key);

#endif
