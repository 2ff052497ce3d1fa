/*
 * YAML text as a tree of nodes that know where they stand. No types yet: a scalar is its text, and
 * what reads it decides what it means. Bounded in size, depth and number of nodes; aliases count as
 * often as they are used, so that a short text cannot unfold into a long one.
 */
#ifndef TLY_CONFIG_DOCUMENT_H
#define TLY_CONFIG_DOCUMENT_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/config/option.h"

#include <stdbool.h>
#include <stddef.h>

#define TLY_NODES_MAX   65536 /* aliases unfolded */
#define TLY_DEPTH_MAX   32    /* no table nests deeper than a handful */
#define TLY_ANCHORS_MAX 64

enum tly_yaml_kind { TLY_YAML_SCALAR, TLY_YAML_LIST, TLY_YAML_MAP };

struct tly_yaml_node {
    enum tly_yaml_kind kind;
    size_t line, column; /* from 1 */
    char *text;          /* of a scalar: NUL-terminated, without a NUL inside */
    size_t len;
    bool plain; /* of a scalar: without quotes, so that nothing or `~` means null */
    bool open;  /* of a list or map: its end has not come yet */
    /* The items of a list; the keys (always scalars) and values of a map in turn. Borrowed. */
    struct tly_yaml_node **at;
    size_t count, cap;
    size_t weight;                    /* nodes below and including this one */
    struct tly_yaml_node *made_after; /* the document's own list, for freeing */
};

struct tly_document {
    struct tly_yaml_node *root; /* NULL: the text holds nothing */
    struct tly_yaml_node *made; /* owns every node */
};

/* TLY_E_MALFORMED with one complaint; -ENOMEM. The document is to be done only after success. */
int tly_document_parse(struct tly_text text, struct tly_complaints *complaints,
                       struct tly_document *ret_document) TLY_CHECK;
/* Frees all nodes, and wipes their texts, which may be secrets. */
void tly_document_done(struct tly_document *document);

/* Where the byte `offset` of a scalar's value was written in the text, both from 1, the column in
 * characters: for faults inside of long texts, over folded lines, block scalars and escapes. */
void tly_yaml_locate(struct tly_text text, const struct tly_yaml_node *node, size_t offset,
                     size_t *ret_line, size_t *ret_column);

/* Whether the node stands for "no value": nothing, `~` or `null`, without quotes. */
bool tly_yaml_null(const struct tly_yaml_node *node);

#endif
