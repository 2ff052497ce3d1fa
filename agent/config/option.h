/*
 * Option tables: a module describes its configuration once, as an array of rows, and from that come
 * YAML parsing, range errors with line and column, "did you mean", default values and
 * docs/configuration.md. Values land in a plain struct at the row's offset.
 */
#ifndef TLY_CONFIG_OPTION_H
#define TLY_CONFIG_OPTION_H

#include "agent/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_option_type {
    TLY_OPTION_BOOL,     /* bool: true/false, yes/no, on/off */
    TLY_OPTION_INT,      /* int64_t */
    TLY_OPTION_SIZE,     /* int64_t bytes: 512, 64KiB, 10MiB, 1GiB, and k, M, G as decimal powers */
    TLY_OPTION_DURATION, /* int64_t milliseconds: 250ms, 10s, 5m, 1h, 7d, 1h30m */
    TLY_OPTION_STRING,   /* char *, NULL when absent and without default */
    TLY_OPTION_SECRET,  /* char *; `key_file` may name a file instead, which others must not read */
    TLY_OPTION_ENUM,    /* int: index into `choices` */
    TLY_OPTION_STRINGS, /* struct tly_strings; a single string stands for a list of one */
    TLY_OPTION_SECTION, /* a nested struct, in place, described by `inner` */
    TLY_OPTION_LIST,    /* struct tly_list of structs described by `inner` */
    TLY_OPTION_PAIRS,   /* struct tly_pairs: names of the user's choosing, each with a text; for a
                         * section, the first of its options verifies the texts */
    TLY_OPTION_PATH,    /* char *: a file or folder, not empty; a relative one starts from the
                         * folder of the configuration file */
    TLY_OPTION_PATHS,   /* struct tly_strings, each as a PATH */
};

struct tly_strings {
    char **at; /* owned */
    size_t count;
};

struct tly_pair {
    char *name, *value; /* owned; the value is wiped when it is freed */
};

struct tly_pairs {
    struct tly_pair *at; /* owned; no name stands twice */
    size_t count;
};

struct tly_list {
    void *at; /* owned array of `inner_size` structs */
    size_t count;
};

struct tly_option {
    const char *key;
    enum tly_option_type type;
    bool required; /* where the section or the list's item is written at all */
    bool restart;  /* a reload can't apply it: see tly_config_compare */
    size_t offset; /* offsetof(struct, member) */
    /* The default as written in YAML, read like the user's own text; NULL: none (empty list, NULL
     * string, 0). Never a secret. */
    const char *fallback;
    int64_t min, max;               /* for INT, SIZE, DURATION; max not above min: no upper bound */
    const char *const *choices;     /* for ENUM, ends in NULL */
    const struct tly_option *inner; /* for SECTION and LIST, ends in a row with key NULL */
    size_t inner_size;
    const char *shorthand; /* for LIST: a plain string as item stands for {shorthand: string} */
    /* For STRING, STRINGS and PATHS (each), SECRET and PATH: more than the type says. `err` names
     * what is allowed; the key stands before it already. */
    int (*verify)(const char *value, struct tly_error *err);
    const char *help; /* what it does, for a person, one or two sentences */
};

/* A section of the file: top-level key and its table. `type` SECTION or LIST; or, with key "", the
 * table's rows are top-level keys themselves. */
struct tly_section {
    const char *key;
    enum tly_option_type type; /* SECTION, LIST or PAIRS */
    const struct tly_option *options;
    bool restart;          /* true of every option in it */
    size_t size;           /* of the struct (for LIST: of one item; for PAIRS: of tly_pairs) */
    const char *shorthand; /* for LIST */
    /* More than rows can say: relations between values. `value` is the filled struct or tly_list.
     * Called also for a section that holds only defaults; not for one with complaints. */
    int (*verify)(const void *value, struct tly_error *err);
    const char *help;
};

/* Where something stands in a file, for messages: "file:line:column: text". */
struct tly_complaint {
    size_t line, column; /* from 1; 0: the file as a whole */
    char text[TLY_ERROR_TEXT_MAX];
};

#define TLY_COMPLAINTS_MAX 32
struct tly_complaints {
    struct tly_complaint at[TLY_COMPLAINTS_MAX];
    size_t count; /* may pass the maximum: the rest was only counted */
};

/* Adds one; counted only, when there is no room. */
void tly_complain(struct tly_complaints *complaints, size_t line, size_t column, const char *format,
                  ...) TLY_PRINTF(4, 5);
/* How many of `at` are there to be read. */
size_t tly_complaints_kept(const struct tly_complaints *complaints);
/* Into the order of lines and columns; equal ones keep theirs. */
void tly_complaints_sort(struct tly_complaints *complaints);

struct tly_config; /* the parsed file: one struct per section */

/* A longer file is refused: a configuration of 1 MiB is no configuration. */
#define TLY_CONFIG_BYTES_MAX (1024 * 1024)

/*
 * Parses YAML text (libyaml) against `sections`. `${VAR}` and `${VAR:-default}` in values come
 * from the environment, `$$` is a dollar. Every problem is collected, not only the first. Returns 0
 * with a config; TLY_E_MALFORMED, with complaints; -ENOMEM. Text "" gives the defaults.
 * `complaints` is overwritten. `sections` is borrowed for the life of the config.
 */
int tly_config_parse(const struct tly_section *const *sections, size_t section_count,
                     const char *text, size_t len, struct tly_complaints *complaints,
                     struct tly_config **ret_config) TLY_CHECK;
/* Reads the file first. -errno with err set when it can't be read; relative paths in it start from
 * its folder; and a secret that stands in a file which others may read is refused. */
int tly_config_load(const struct tly_section *const *sections, size_t section_count,
                    const char *path, struct tly_complaints *complaints,
                    struct tly_config **ret_config, struct tly_error *err) TLY_CHECK;
/* A configuration is shared by those who read from it: each holds a reference. The last one wipes
 * the secrets. For one thread; NULL is fine. */
struct tly_config *tly_config_ref(struct tly_config *config);
void tly_config_free(struct tly_config *config); /* gives up one reference */

/* The struct (SECTION), struct tly_list (LIST) or struct tly_pairs (PAIRS) of a section; never NULL
 * for one that was given to parse. Borrowed. */
const void *tly_config_section(const struct tly_config *config, const struct tly_section *section);

/* Every file and folder that the configuration names by an option of its own, or by the default of
 * one: those of secrets, too. Borrowed. */
const struct tly_strings *tly_config_files(const struct tly_config *config);

/* ---- what a reload changes ---- */

/* Whether two structs that these rows filled have the same values. */
bool tly_options_equal(const struct tly_option *rows, const void *a, const void *b);

/* One option whose value is another one now. `path` is its name as in docs/configuration.md, and of
 * a list the list's; borrowed. `restart`: its row, or one around it, says that only a new start
 * applies it. */
typedef void (*tly_config_differs_fn)(void *arg, const struct tly_section *section,
                                      const char *path, bool restart);
/* Calls for each, of two configurations that were both filled from these sections. */
void tly_config_compare(const struct tly_config *before, const struct tly_config *after,
                        const struct tly_section *const *sections, size_t count,
                        tly_config_differs_fn differs, void *arg);

#endif
