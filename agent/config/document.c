/*
 * libyaml's events, put together to a tree. One pass with a stack of the lists and maps that are
 * still open, so that hostile nesting costs no stack. The builder owns all nodes until the document
 * is finished; every text is wiped before it is freed, since some are secrets.
 */
#include "agent/config/document.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

#define CORE_TAG "tag:yaml.org,2002:" /* YAML's own types, which the tables decide anyway */

struct anchor {
    char *name; /* owned */
    struct tly_yaml_node *node;
};

struct builder {
    struct tly_complaints *complaints;
    struct tly_document document;
    struct tly_yaml_node *open[TLY_DEPTH_MAX];
    size_t depth;
    struct anchor anchors[TLY_ANCHORS_MAX];
    size_t anchor_count;
    size_t nodes; /* aliases unfolded */
    bool ended;   /* the first document is over */
};

/* libyaml names the grammar's rule that failed; these say what people did. */
static const struct {
    const char *problem, *advice;
} advices[] = {
    {"mapping values are not allowed in this context",
     "a `: ` in the middle of a text (put the text in quotes), or a line that is indented wrongly"},
    {"did not find expected key",
     "a line that is indented wrongly, or a key without `: ` behind it"},
    {"could not find expected ':'", "a key without `: ` behind it"},
    {"did not find expected '-' indicator",
     "a line that is indented wrongly, or an item of the list without `- `"},
    {"found unexpected end of stream", "a quote or a bracket that is never closed"},
    {"did not find expected ',' or ']'", "a `[` that is never closed, or an item without `,`"},
    {"did not find expected ',' or '}'", "a `{` that is never closed, or an entry without `,`"},
    {"found unknown escape character",
     "a backslash inside double quotes; write it twice or use single quotes"},
};

/* The byte that a position of libyaml's (from 0, columns in characters) points to; 0 if none. */
static char byte_at(struct tly_text text, size_t line, size_t column)
{
    size_t i = 0;
    for (; line > 0 && i < text.len; i++) {
        line -= text.at[i] == '\n';
    }
    for (; column > 0 && i < text.len && text.at[i] != '\n'; column--) {
        i++;
        while (i < text.len && ((unsigned char)text.at[i] & 0xC0) == 0x80) {
            i++;
        }
    }
    return i < text.len ? text.at[i] : '\0';
}

static void complain_encoding(struct tly_complaints *complaints, struct tly_text text,
                              const yaml_parser_t *parser)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < parser->problem_offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)text.at[i] & 0xC0) != 0x80;
        }
    }
    tly_complain(complaints, line, column,
                 "not valid text: %s; YAML is UTF-8 without control "
                 "characters",
                 parser->problem ? parser->problem : "bad bytes");
}

static int complain_syntax(struct tly_complaints *complaints, struct tly_text text,
                           const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return -ENOMEM;
    }
    if (parser->error == YAML_READER_ERROR) {
        complain_encoding(complaints, text, parser);
        return TLY_E_MALFORMED;
    }
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    size_t line = parser->problem_mark.line;
    size_t column = parser->problem_mark.column;
    char culprit = byte_at(text, line, column);
    const char *context = parser->context ? parser->context : "";
    if (strstr(problem, "cannot start any token") && culprit == '\t') {
        tly_complain(complaints, line + 1, column + 1,
                     "YAML: a tab cannot indent; use spaces instead");
    } else if (strstr(problem, "cannot start any token")) {
        tly_complain(complaints, line + 1, column + 1,
                     "YAML: `%c` cannot start a text; put the text in quotes", culprit);
    } else if (strstr(context, "anchor") || strstr(context, "alias")) {
        tly_complain(complaints, parser->context_mark.line + 1, parser->context_mark.column + 1,
                     "YAML: a text that starts with `*` or `&` needs quotes");
    } else {
        const char *advice = NULL;
        for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]) && !advice; i++) {
            advice = strcmp(problem, advices[i].problem) == 0 ? advices[i].advice : NULL;
        }
        tly_complain(complaints, line + 1, column + 1, "YAML: %s%s%s%s%s", problem,
                     *context ? " " : "", context, advice ? "; likely " : "", advice ? advice : "");
    }
    return TLY_E_MALFORMED;
}

static int complain(struct builder *builder, const yaml_event_t *event, const char *text)
{
    tly_complain(builder->complaints, event->start_mark.line + 1, event->start_mark.column + 1,
                 "%s", text);
    return TLY_E_MALFORMED;
}

/* Makes a node that the document owns. */
static struct tly_yaml_node *node_new(struct builder *builder, enum tly_yaml_kind kind,
                                      const yaml_event_t *event)
{
    struct tly_yaml_node *node = calloc(1, sizeof(*node));
    if (node) {
        node->kind = kind;
        node->line = event->start_mark.line + 1;
        node->column = event->start_mark.column + 1;
        node->weight = 1;
        node->made_after = builder->document.made;
        builder->document.made = node;
    }
    return node;
}

static int node_append(struct tly_yaml_node *node, struct tly_yaml_node *item)
{
    if (node->count == node->cap) {
        size_t cap = node->cap > 0 ? node->cap * 2 : 8;
        struct tly_yaml_node **at = reallocarray(node->at, cap, sizeof(struct tly_yaml_node *));
        if (!at) {
            return -ENOMEM;
        }
        node->at = at;
        node->cap = cap;
    }
    node->at[node->count++] = item;
    return 0;
}

/* Hangs a node below the innermost open list or map. */
static int attach(struct builder *builder, const yaml_event_t *event, struct tly_yaml_node *node)
{
    builder->nodes += node->weight;
    if (builder->nodes > TLY_NODES_MAX) {
        return complain(builder, event,
                        "the file holds too many values, aliases counted as often "
                        "as they are used");
    }
    if (builder->depth == 0) {
        builder->document.root = node;
        return 0;
    }
    struct tly_yaml_node *parent = builder->open[builder->depth - 1];
    if (parent->kind == TLY_YAML_MAP && parent->count % 2 == 0 && node->kind != TLY_YAML_SCALAR) {
        return complain(builder, event, "a key must be a plain text, not a list or a section");
    }
    parent->weight += node->weight;
    return node_append(parent, node);
}

static int keep_anchor(struct builder *builder, const yaml_event_t *event, const yaml_char_t *name,
                       struct tly_yaml_node *node)
{
    if (!name) {
        return 0;
    }
    if (builder->anchor_count == TLY_ANCHORS_MAX) {
        return complain(builder, event, "too many anchors (`&name`)");
    }
    char *copy = strdup((const char *)name);
    if (!copy) {
        return -ENOMEM;
    }
    builder->anchors[builder->anchor_count++] = (struct anchor){copy, node};
    return 0;
}

static int add_alias(struct builder *builder, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = builder->anchor_count; i-- > 0;) {
        if (strcmp(builder->anchors[i].name, name) != 0) {
            continue;
        }
        if (builder->anchors[i].node->open) {
            return complain(builder, event, "an alias (`*name`) that contains itself");
        }
        return attach(builder, event, builder->anchors[i].node);
    }
    return complain(builder, event,
                    "an alias (`*name`) whose anchor (`&name`) does not stand "
                    "before it; a text that starts with `*` needs quotes");
}

/* A type of one's own, such as `!secret`, would be read as something else than its writer meant. */
static int check_tag(struct builder *builder, const yaml_event_t *event, const yaml_char_t *tag)
{
    const char *text = (const char *)tag;
    if (!text || strcmp(text, "!") == 0 || strncmp(text, CORE_TAG, strlen(CORE_TAG)) == 0) {
        return 0;
    }
    return complain(builder, event,
                    "tags (`!name`) have no meaning here; a text that starts with "
                    "`!` needs quotes");
}

static int add_scalar(struct builder *builder, const yaml_event_t *event)
{
    int rc = check_tag(builder, event, event->data.scalar.tag);
    if (rc < 0) {
        return rc;
    }
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (memchr(value, '\0', len)) {
        return complain(builder, event, "a text must not hold a NUL character");
    }
    struct tly_yaml_node *node = node_new(builder, TLY_YAML_SCALAR, event);
    if (!node) {
        return -ENOMEM;
    }
    node->text = tly_text_dup((struct tly_text){value, len});
    node->len = len;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!node->text) {
        return -ENOMEM;
    }
    rc = keep_anchor(builder, event, event->data.scalar.anchor, node);
    return rc < 0 ? rc : attach(builder, event, node);
}

static int begin(struct builder *builder, const yaml_event_t *event, enum tly_yaml_kind kind)
{
    bool map = kind == TLY_YAML_MAP;
    int rc = check_tag(builder, event,
                       map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (rc < 0) {
        return rc;
    }
    if (builder->depth == TLY_DEPTH_MAX) {
        return complain(builder, event, "lists and sections are nested too deeply");
    }
    struct tly_yaml_node *node = node_new(builder, kind, event);
    if (!node) {
        return -ENOMEM;
    }
    node->open = true;
    rc = keep_anchor(builder, event,
                     map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                     node);
    if (rc == 0) {
        rc = attach(builder, event, node);
    }
    if (rc == 0) {
        builder->open[builder->depth++] = node;
    }
    return rc;
}

static void end(struct builder *builder)
{
    struct tly_yaml_node *node = builder->open[--builder->depth];
    assert(node); /* libyaml's events are balanced */
    node->open = false;
    if (builder->depth > 0) {
        /* It counted as one when it began. */
        builder->open[builder->depth - 1]->weight += node->weight - 1;
    }
}

static int add_event(struct builder *builder, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->ended) {
            return complain(builder, event,
                            "a second YAML document starts here; one file holds "
                            "one configuration");
        }
        return 0;
    case YAML_DOCUMENT_END_EVENT:
        builder->ended = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return add_alias(builder, event);
    case YAML_SCALAR_EVENT:
        return add_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        return begin(builder, event, TLY_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return begin(builder, event, TLY_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        end(builder);
        return 0;
    default:
        return 0;
    }
}

static int build(struct builder *builder, yaml_parser_t *parser, struct tly_text text)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return complain_syntax(builder->complaints, text, parser);
        }
        more = event.type != YAML_STREAM_END_EVENT;
        int rc = add_event(builder, &event);
        if (event.type == YAML_SCALAR_EVENT) {
            explicit_bzero(event.data.scalar.value, event.data.scalar.length);
        }
        yaml_event_delete(&event);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* libyaml's working copies hold the whole text, secrets included. */
static void wipe_parser(const yaml_parser_t *parser)
{
    if (parser->raw_buffer.start) {
        explicit_bzero(parser->raw_buffer.start,
                       (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    }
    if (parser->buffer.start) {
        explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    }
}

int tly_document_parse(struct tly_text text, struct tly_complaints *complaints,
                       struct tly_document *ret_document)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.at ? text.at : ""),
                                 text.len);
    struct builder builder = {.complaints = complaints};
    int rc = build(&builder, &parser, text);
    wipe_parser(&parser);
    yaml_parser_delete(&parser);
    for (size_t i = 0; i < builder.anchor_count; i++) {
        free(builder.anchors[i].name);
    }
    if (rc < 0) {
        tly_document_done(&builder.document);
        return rc;
    }
    *ret_document = builder.document;
    return 0;
}

void tly_document_done(struct tly_document *document)
{
    while (document->made) {
        struct tly_yaml_node *node = document->made;
        document->made = node->made_after;
        if (node->text) {
            explicit_bzero(node->text, node->len);
        }
        free(node->text);
        free(node->at);
        free(node);
    }
    document->root = NULL;
}

bool tly_yaml_null(const struct tly_yaml_node *node)
{
    return node->kind == TLY_YAML_SCALAR && node->plain &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}
