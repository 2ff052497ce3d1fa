/*
 * Documents from the option tables. All walk the same rows as the parser, so that an option which
 * exists is documented, and a default which is documented is the real one.
 */
#include "agent/config/reference.h"

#include "agent/config/scalar.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS        100 /* of the YAML file's comments */
#define PATH_MAX_BYTES 128

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

/* ---- docs/configuration.md ---- */

static const char preamble[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by `tallyman check --print configuration` from the tables in the source. -->\n"
    "\n"
    "Tallyman runs without any configuration. `tallyman run --config FILE` reads one YAML file; "
    "without `--config` it reads `" TLY_CONFIG_DIR "/tallyman.yml` if that exists. `tallyman check "
    "FILE` says what is wrong with a file, and where. `tallyman check --print defaults` prints a "
    "file with every option at its default.\n"
    "\n"
    "| a value of kind | is written as |\n"
    "| --- | --- |\n";

const struct tly_reference_kind tly_reference_kinds[] = {
    {"duration", "digits and unit, `ms`, `s`, `m`, `h`, `d` or `w`: `250ms`, `10s`, `1h30m`"},
    {"size", "bytes, or digits and unit: `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `k`, `M`, "
             "`G`, `T`, also with `B`, of 1000"},
    {"switch", "`true` or `false`, also `yes`/`no` and `on`/`off`"},
    {"path", "a file or folder; a relative one starts from the configuration file's folder"},
    {"paths", "a list of them, as of texts; in some, patterns with `*` and `?`"},
    {"texts", "a list, `[a, b]` or a line `- a` for each; a single text stands for a list of one"},
    {"secret", "a text. The same key with `_file` behind it names a file that holds the secret "
               "instead; a file that everyone may read is refused, be it the secret's or, for a "
               "secret that stands in it, the configuration itself"},
    {NULL, NULL},
};

const char tly_reference_values[] =
    "In every value `${NAME}` is replaced from the environment, `${NAME:-text}` has a default for "
    "where the variable is not set or empty, and `$$` stands for a dollar. A variable that is not "
    "set and has no default is a mistake.";

const char tly_reference_reload[] =
    "A changed file is applied by a reload (`systemctl reload tallyman`, SIGHUP, or "
    "`POST /-/reload` where `web.reload` allows it), whole or not at all. An option that needs a "
    "restart says so: a reload that would change it is refused, with its name, and nothing of it "
    "applied.";

int tly_reference_put_kind(struct tly_buf *buf, const struct tly_option *row)
{
    static const char *const names[] = {
        [TLY_OPTION_BOOL] = "switch",     [TLY_OPTION_INT] = "number",
        [TLY_OPTION_SIZE] = "size",       [TLY_OPTION_DURATION] = "duration",
        [TLY_OPTION_STRING] = "text",     [TLY_OPTION_SECRET] = "secret",
        [TLY_OPTION_ENUM] = "",           [TLY_OPTION_STRINGS] = "texts",
        [TLY_OPTION_SECTION] = "section", [TLY_OPTION_LIST] = "list of sections",
        [TLY_OPTION_PATH] = "path",       [TLY_OPTION_PAIRS] = "names with texts",
        [TLY_OPTION_PATHS] = "paths",
    };
    int rc = put(buf, names[row->type]);
    for (size_t i = 0; rc == 0 && row->type == TLY_OPTION_ENUM && row->choices[i]; i++) {
        const char *between = i == 0 ? "" : row->choices[i + 1] ? ", " : " or ";
        rc = tly_buf_printf(buf, "%s`%s`", between, row->choices[i]);
    }
    if (rc == 0 && row->type == TLY_OPTION_LIST && row->shorthand) {
        rc = tly_buf_printf(buf, "; a text stands for its `%s`", row->shorthand);
    }
    if (row->type != TLY_OPTION_INT && row->type != TLY_OPTION_SIZE &&
        row->type != TLY_OPTION_DURATION) {
        return rc;
    }
    char least[TLY_SCALAR_TEXT_MAX];
    char most[TLY_SCALAR_TEXT_MAX];
    tly_option_number_format(row->type, row->min, least);
    tly_option_number_format(row->type, row->max, most);
    if (rc == 0 && row->max > row->min && row->max < INT64_MAX) {
        rc = tly_buf_printf(buf, ", %s to %s", least, most);
    } else if (rc == 0) {
        rc = tly_buf_printf(buf, ", %s or more", least);
    }
    return rc;
}

static int put_default(struct tly_buf *buf, const struct tly_option *row)
{
    if (row->fallback) {
        return tly_buf_printf(buf, "`%s`", row->fallback);
    }
    return put(buf, row->required ? "required" : "");
}

static int put_row(struct tly_buf *buf, const struct tly_option *row, const char *path,
                   bool restart)
{
    int rc = tly_buf_printf(buf, "| `%s` | ", path);
    rc = rc < 0 ? rc : tly_reference_put_kind(buf, row);
    rc = rc < 0 ? rc : put(buf, " | ");
    rc = rc < 0 ? rc : put_default(buf, row);
    return rc < 0 ? rc
                  : tly_buf_printf(buf, " | %s%s |\n", row->help ? row->help : "",
                                   restart ? TLY_REFERENCE_RESTART : "");
}

static int walk(struct tly_buf *buf, const struct tly_option *rows, const char *path, bool restart,
                tly_reference_fn write)
{
    int rc = 0;
    for (const struct tly_option *row = rows; row->key && rc == 0; row++) {
        const bool needs = row->restart || restart;
        char name[PATH_MAX_BYTES];
        (void)snprintf(name, sizeof(name), "%s%s", path, row->key); /* keys are short */
        rc = write(buf, row, name, needs);
        if (rc == 0 && row->inner) {
            char inner[PATH_MAX_BYTES];
            (void)snprintf(inner, sizeof(inner), "%.100s%s.", name,
                           row->type == TLY_OPTION_LIST ? "[]" : "");
            rc = walk(buf, row->inner, inner, needs, write);
        }
    }
    return rc;
}

int tly_reference_each(struct tly_buf *buf, const struct tly_section *section,
                       tly_reference_fn write)
{
    return walk(buf, section->options, "", section->restart, write);
}

static int put_section(struct tly_buf *buf, const struct tly_section *section)
{
    int rc = *section->key ? tly_buf_printf(buf, "\n## `%s`\n\n", section->key)
                           : put(buf, "\n## At the top\n\n");
    if (rc == 0 && section->help) {
        rc = tly_buf_printf(buf, "%s\n\n", section->help);
    }
    if (rc == 0 && section->type == TLY_OPTION_LIST) {
        rc = section->shorthand
                 ? tly_buf_printf(buf,
                                  "A list: each item begins with `- `; a text stands for its "
                                  "`%s`.\n\n",
                                  section->shorthand)
                 : put(buf, "A list: each item begins with `- `.\n\n");
    }
    rc = rc < 0 ? rc
                : put(buf, "| key | value | default | what it does |\n"
                           "| --- | --- | --- | --- |\n");
    return rc < 0 ? rc : tly_reference_each(buf, section, put_row);
}

int tly_reference_markdown(const struct tly_section *const *sections, size_t count,
                           struct tly_buf *buf)
{
    int rc = put(buf, preamble);
    for (const struct tly_reference_kind *kind = tly_reference_kinds; kind->name && rc == 0;
         kind++) {
        rc = tly_buf_printf(buf, "| %s | %s |\n", kind->name, kind->written);
    }
    rc = rc < 0 ? rc
                : tly_buf_printf(buf, "\n%s\n\n%s\n", tly_reference_values, tly_reference_reload);
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = put_section(buf, sections[i]);
    }
    return rc;
}

/* ---- a file of defaults ---- */

/* `text` as comment lines, broken between words. */
static int put_comment(struct tly_buf *buf, const char *text, size_t indent)
{
    struct tly_text rest = tly_text_of(text);
    size_t column = COLUMNS; /* so that the first word opens a line */
    int rc = 0;
    while (rest.at && rest.len > 0 && rc == 0) {
        struct tly_text word = tly_text_cut(&rest, ' ');
        if (column + 1 + word.len > COLUMNS) {
            rc = tly_buf_printf(buf, "%s%*s#", column == COLUMNS && buf->len == 0 ? "" : "\n",
                                (int)indent, "");
            column = indent + 1;
        }
        rc = rc < 0 ? rc : tly_buf_printf(buf, " %.*s", (int)word.len, word.at);
        column += 1 + word.len;
    }
    return rc < 0 ? rc : put(buf, "\n");
}

/* `off`: the lines are comments, because the section is not there by default. */
static int put_yaml_rows(struct tly_buf *buf, const struct tly_option *rows, size_t indent,
                         const char *first, bool off)
{
    int rc = 0;
    for (const struct tly_option *row = rows; row->key && rc == 0; row++) {
        const char *lead = row == rows && first ? first : "";
        const size_t in = row == rows && first ? indent - strlen(first) : indent;
        const bool comment = off || (!row->fallback && row->type != TLY_OPTION_SECTION);
        rc = row->help ? put_comment(buf, row->help, in) : 0;
        if (rc == 0) {
            rc = tly_buf_printf(buf, "%*s%s%s%s:%s%s\n", (int)in, "", comment ? "# " : "", lead,
                                row->key, row->fallback ? " " : "",
                                row->fallback ? row->fallback : "");
        }
        if (rc == 0 && row->type == TLY_OPTION_SECTION) {
            rc = put_yaml_rows(buf, row->inner, indent + 2, NULL, off);
        } else if (rc == 0 && row->type == TLY_OPTION_LIST) {
            rc = put_yaml_rows(buf, row->inner, indent + 4, "- ", true);
        }
    }
    return rc;
}

int tly_reference_yaml(const struct tly_section *const *sections, size_t count, struct tly_buf *buf)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct tly_section *section = sections[i];
        const bool list = section->type == TLY_OPTION_LIST;
        if (*section->key) {
            rc = section->help ? put_comment(buf, section->help, 0) : 0;
            rc = rc < 0 ? rc : tly_buf_printf(buf, "%s%s:\n", list ? "# " : "", section->key);
        }
        if (rc == 0) {
            rc = put_yaml_rows(buf, section->options, *section->key ? (list ? 4 : 2) : 0,
                               list ? "- " : NULL, list);
        }
    }
    return rc;
}
