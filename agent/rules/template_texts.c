/*
 * The functions of templates on texts: printing, escaping, patterns, hosts, links.
 */
#include "agent/rules/regex.h"
#include "agent/rules/template_functions.h"

#include <errno.h>
#include <stdlib.h>

/* Go's Sprint puts blanks between operands where neither is a string, Sprintln everywhere. */
static int print_all(struct tly_template_run *run, const struct tly_template_value *args,
                     size_t count, bool line, struct tly_template_value *ret_value)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool texts = i > 0 &&
                     (args[i].kind == TLY_VALUE_STRING || args[i - 1].kind == TLY_VALUE_STRING);
        rc = i > 0 && (line || !texts) ? tly_buf_append(&buf, " ", 1) : 0;
        rc = rc < 0 ? rc : tly_template_print(&buf, &args[i]);
    }
    rc = rc < 0 || !line ? rc : tly_buf_append(&buf, "\n", 1);
    return tly_template_take(run, &buf, rc, ret_value);
}

TLY_TEMPLATE_CALL(sprint)
{
    return print_all(run, args, count, false, ret_value);
}

TLY_TEMPLATE_CALL(sprintln)
{
    return print_all(run, args, count, true, ret_value);
}

TLY_TEMPLATE_CALL(sprintf)
{
    struct tly_text format = {NULL, 0};
    int rc = tly_template_want_text(run, "printf", &args[0], &format);
    if (rc < 0) {
        return rc;
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    rc = tly_template_printf(run, format, args + 1, count - 1, &buf);
    if (rc < 0) {
        tly_buf_done(&buf);
        return rc;
    }
    return tly_template_take(run, &buf, 0, ret_value);
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* ASCII letters only: rules speak of names, and nothing else depends on a locale here. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int change_case(struct tly_template_run *run, const char *function,
                       const struct tly_template_value *arg, struct tly_template_value *ret_value)
{
    struct tly_text text = {NULL, 0};
    int rc = tly_template_want_text(run, function, arg, &text);
    char *to = rc < 0 ? NULL : tly_arena_alloc_raw(&run->arena, text.len + 1);
    if (!to) {
        return rc < 0 ? rc : tly_template_no_memory(run);
    }
    for (size_t i = 0; i < text.len; i++) {
        bool begins = i == 0 || !word_char(text.at[i - 1]);
        to[i] = *function == 't' && function[2] == 'L'   ? lower(text.at[i])
                : *function == 't' && function[1] == 'i' ? begins ? upper(text.at[i]) : text.at[i]
                                                         : upper(text.at[i]);
    }
    *ret_value = tly_template_string((struct tly_text){to, text.len});
    return 0;
}

TLY_TEMPLATE_CALL(title)
{
    (void)count;
    return change_case(run, "title", &args[0], ret_value);
}

TLY_TEMPLATE_CALL(to_upper)
{
    (void)count;
    return change_case(run, "toUpper", &args[0], ret_value);
}

TLY_TEMPLATE_CALL(to_lower)
{
    (void)count;
    return change_case(run, "toLower", &args[0], ret_value);
}

static int compile(struct tly_template_run *run, const char *function,
                   const struct tly_template_value *pattern, struct tly_regex **ret_regex)
{
    struct tly_text text = {NULL, 0};
    struct tly_error err = {0};
    int rc = tly_template_want_text(run, function, pattern, &text);
    if (rc == 0 && tly_regex_new_search(text, ret_regex, &err) < 0) {
        rc = tly_template_fail(run, TLY_E_MALFORMED, "%s: the pattern `%.*s`: %s", function,
                               (int)(text.len < 60 ? text.len : 60), text.at, err.text);
    }
    return rc;
}

TLY_TEMPLATE_CALL(match)
{
    struct tly_regex *regex = NULL;
    struct tly_text text = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "match", &args[1], &text);
    rc = rc < 0 ? rc : compile(run, "match", &args[0], &regex);
    if (rc == 0) {
        *ret_value = (struct tly_template_value){.kind = TLY_VALUE_BOOL,
                                                 .boolean = tly_regex_found(regex, text)};
    }
    tly_regex_free(regex);
    return rc;
}

TLY_TEMPLATE_CALL(replace_all)
{
    struct tly_regex *regex = NULL;
    struct tly_text replacement = {NULL, 0};
    struct tly_text text = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "reReplaceAll", &args[1], &replacement);
    rc = rc < 0 ? rc : tly_template_want_text(run, "reReplaceAll", &args[2], &text);
    rc = rc < 0 ? rc : compile(run, "reReplaceAll", &args[0], &regex);
    if (rc == 0) {
        struct tly_buf buf;
        tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
        rc = tly_regex_replace_all(regex, text, replacement, &buf);
        rc = tly_template_take(run, &buf, rc, ret_value);
    }
    tly_regex_free(regex);
    return rc;
}

/* The port of `host:port` and `[v6]:port`; none where there is no such form. */
static struct tly_text host_of(struct tly_text text, struct tly_text *ret_port)
{
    const char *colon = text.len > 0 ? memrchr(text.at, ':', text.len) : NULL;
    *ret_port = (struct tly_text){NULL, 0};
    if (!colon) {
        return text;
    }
    struct tly_text host = {text.at, (size_t)(colon - text.at)};
    bool brackets = host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (brackets) {
        host = (struct tly_text){host.at + 1, host.len - 2};
    } else if (host.len > 0 && memchr(host.at, ':', host.len)) {
        return text;
    }
    *ret_port = (struct tly_text){colon + 1, text.len - (size_t)(colon + 1 - text.at)};
    return host;
}

TLY_TEMPLATE_CALL(strip_port)
{
    struct tly_text text = {NULL, 0};
    struct tly_text port = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "stripPort", &args[0], &text);
    if (rc == 0) {
        *ret_value = tly_template_string(host_of(text, &port));
    }
    return rc;
}

static bool is_address(struct tly_text host)
{
    bool digits = host.len > 0;
    for (size_t i = 0; i < host.len; i++) {
        digits = digits && ((host.at[i] >= '0' && host.at[i] <= '9') || host.at[i] == '.');
    }
    return digits || (host.len > 0 && memchr(host.at, ':', host.len));
}

TLY_TEMPLATE_CALL(strip_domain)
{
    struct tly_text text = {NULL, 0};
    struct tly_text port = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "stripDomain", &args[0], &text);
    if (rc < 0) {
        return rc;
    }
    struct tly_text host = host_of(text, &port);
    if (is_address(host)) {
        *ret_value = args[0];
        return 0;
    }
    host = tly_text_cut(&host, '.');
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    rc = tly_buf_append_text(&buf, host);
    if (rc == 0 && port.at) {
        rc = tly_buf_printf(&buf, ":%.*s", (int)port.len, port.at);
    }
    return tly_template_take(run, &buf, rc, ret_value);
}

TLY_TEMPLATE_CALL(same)
{
    (void)run;
    (void)count;
    *ret_value = args[0];
    return 0;
}

TLY_TEMPLATE_CALL(html)
{
    struct tly_template_value plain;
    int rc = print_all(run, args, count, false, &plain);
    if (rc < 0) {
        return rc;
    }
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    for (size_t i = 0; rc == 0 && i < plain.string.len; i++) {
        char c = plain.string.at[i];
        const char *entity = c == '&'    ? "&amp;"
                             : c == '<'  ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '"'  ? "&#34;"
                             : c == '\'' ? "&#39;"
                                         : NULL;
        rc = entity ? tly_buf_append_text(&buf, tly_text_of(entity)) : tly_buf_append(&buf, &c, 1);
    }
    return tly_template_take(run, &buf, rc, ret_value);
}

int tly_query_escape(struct tly_buf *buf, struct tly_text text)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < text.len; i++) {
        char c = text.at[i];
        bool plain = (word_char(c) && (unsigned char)c < 0x80) || c == '-' || c == '.' || c == '~';
        rc = plain      ? tly_buf_append(buf, &c, 1)
             : c == ' ' ? tly_buf_append(buf, "+", 1)
                        : tly_buf_printf(buf, "%%%02X", (unsigned char)c);
    }
    return rc;
}

static int escaped(struct tly_template_run *run, const char *before, struct tly_text text,
                   const char *behind, struct tly_template_value *ret_value)
{
    struct tly_buf buf;
    tly_buf_init(&buf, TLY_TEMPLATE_OUT_MAX);
    int rc = tly_buf_append_text(&buf, tly_text_of(before));
    rc = rc < 0 ? rc : tly_query_escape(&buf, text);
    rc = rc < 0 ? rc : tly_buf_append_text(&buf, tly_text_of(behind));
    return tly_template_take(run, &buf, rc, ret_value);
}

TLY_TEMPLATE_CALL(urlquery)
{
    struct tly_template_value plain;
    int rc = print_all(run, args, count, false, &plain);
    return rc < 0 ? rc : escaped(run, "", plain.string, "", ret_value);
}

TLY_TEMPLATE_CALL(graph_link)
{
    struct tly_text text = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "graphLink", &args[0], &text);
    return rc < 0 ? rc : escaped(run, "/graph?g0.expr=", text, "&g0.tab=0", ret_value);
}

TLY_TEMPLATE_CALL(table_link)
{
    struct tly_text text = {NULL, 0};
    (void)count;
    int rc = tly_template_want_text(run, "tableLink", &args[0], &text);
    return rc < 0 ? rc : escaped(run, "/graph?g0.expr=", text, "&g0.tab=1", ret_value);
}

TLY_TEMPLATE_CALL(external_url)
{
    (void)args;
    (void)count;
    *ret_value = tly_template_string(run->data->external_url.at ? run->data->external_url
                                                                : TLY_TEXT(""));
    return 0;
}

TLY_TEMPLATE_CALL(path_prefix)
{
    struct tly_text url = run->data->external_url.at ? run->data->external_url : TLY_TEXT("");
    (void)args;
    (void)count;
    const char *scheme = url.len > 0 ? memmem(url.at, url.len, "://", 3) : NULL;
    size_t host = scheme ? (size_t)(scheme - url.at) + 3 : 0;
    const char *path = url.len > host ? memchr(url.at + host, '/', url.len - host) : NULL;
    *ret_value = tly_template_string(
        path ? (struct tly_text){path, url.len - (size_t)(path - url.at)} : TLY_TEXT(""));
    return 0;
}
