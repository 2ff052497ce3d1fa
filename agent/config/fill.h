/*
 * From nodes to structs, by option tables: the heart of the room, private to it. Nothing stops at
 * the first problem; each is added to the complaints, and the caller looks at their number.
 */
#ifndef TLY_CONFIG_FILL_H
#define TLY_CONFIG_FILL_H

#include "agent/config/document.h"
#include "agent/config/option.h"

struct tly_fill {
    struct tly_complaints *complaints;
    const char *folder; /* where relative paths start; NULL: the working directory */
    bool exposed;       /* others may read the file */
    /* While a default is being read: its row. A complaint then names it instead of a position. */
    const struct tly_option *defaulting;
    int failed;                /* 0 or -ENOMEM */
    struct tly_strings *files; /* every path that was read is added; NULL: nobody wants them */
};

/*
 * Reads `node` (NULL: not written, take the default) as the value of `row` and stores it at `to`,
 * which is zeroed. What was stored is to be freed whether or not there were complaints.
 */
void tly_fill_value(struct tly_fill *fill, const struct tly_option *row,
                    const struct tly_yaml_node *node, void *to);

/* The same for all rows of a table; keys of `map` that no row has are the caller's business. */
void tly_fill_rows(struct tly_fill *fill, const struct tly_option *rows,
                   const struct tly_yaml_node *map, char *to);

/* Whether `key` stands in the table, also as the `_file` of a secret. */
bool tly_fill_knows(const struct tly_option *rows, struct tly_text key);

#endif
