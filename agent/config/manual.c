/*
 * tallyman.yml(5), from the same rows as the parser and docs/configuration.md.
 */
#include "agent/config/reference.h"
#include "agent/config/roff.h"

#define LINE_MAX_BYTES 8192 /* of what stands for one option */

static const char head[] =
    ".\\\" Written by `tallyman check --print tallyman.yml.5` from the tables "
    "in the source.\n"
    ".Dd " TLY_ROFF_DATE "\n"
    ".Dt TALLYMAN.YML 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm tallyman.yml\n"
    ".Nd configuration of the Tallyman agent\n"
    ".Sh DESCRIPTION\n"
    ".Xr tallyman 8\n"
    "runs without any configuration.\n"
    "With one it reads a single file in YAML:\n"
    ".Pa " TLY_CONFIG_DIR "/tallyman.yml\n"
    "where that exists, or what\n"
    ".Fl -config\n"
    "names.\n"
    ".Ic tallyman check Ar FILE\n"
    "says what is wrong with a file, and where;\n"
    ".Ic tallyman check --print defaults\n"
    "prints a file with every option at its default.\n"
    ".Ss Values\n"
    ".Bl -tag -width duration\n";

static const char tail[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa " TLY_CONFIG_DIR "/tallyman.yml\n"
    "Used where\n"
    ".Fl -config\n"
    "is absent.\n"
    "It may hold secrets: then others than its owner and group must not be able\n"
    "to read it.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "Numbers for Prometheus on another host, behind TLS and passwords, and log\n"
    "lines to two receivers, of which the second is for when the first is away:\n"
    ".Bd -literal -offset indent\n"
    "web:\n"
    "  listen: [\"0.0.0.0:10191\"]\n"
    "  config_file: web.yml\n"
    "forward:\n"
    "  - name: central\n"
    "    servers:\n"
    "      - fluentd-1:24224\n"
    "      - {host: fluentd-2, port: 24224, standby: true}\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr tallyman 8\n";

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

static int put_kinds(struct tly_buf *buf)
{
    int rc = 0;
    for (const struct tly_reference_kind *kind = tly_reference_kinds; kind->name && rc == 0;
         kind++) {
        rc = tly_buf_printf(buf, ".It %s\n", kind->name);
        rc = rc < 0 ? rc : tly_roff_text(buf, tly_text_of(kind->written));
    }
    rc = rc < 0 ? rc : put(buf, ".El\n.Pp\n");
    rc = rc < 0 ? rc : tly_roff_text(buf, tly_text_of(tly_reference_values));
    rc = rc < 0 ? rc : put(buf, ".Pp\n");
    return rc < 0 ? rc : tly_roff_text(buf, tly_text_of(tly_reference_reload));
}

/* "(duration, 1s to 1h; 10s) How often ..." */
static int put_option(struct tly_buf *buf, const struct tly_option *row, const char *path,
                      bool restart)
{
    struct tly_buf said;
    tly_buf_init(&said, LINE_MAX_BYTES);
    int rc = put(&said, "(");
    rc = rc < 0 ? rc : tly_reference_put_kind(&said, row);
    if (rc == 0 && row->fallback) {
        rc = tly_buf_printf(&said, "; default `%s`", row->fallback);
    } else if (rc == 0 && row->required) {
        rc = put(&said, "; required");
    }
    rc = rc < 0 ? rc
                : tly_buf_printf(&said, ") %s%s", row->help ? row->help : "",
                                 restart ? TLY_REFERENCE_RESTART : "");
    rc = rc < 0 ? rc : put(buf, ".It Cm ");
    rc = rc < 0 ? rc : tly_roff_literal(buf, tly_text_of(path));
    rc = rc < 0 ? rc : put(buf, "\n");
    rc = rc < 0 ? rc : tly_roff_text(buf, tly_text_trim(tly_buf_text(&said)));
    tly_buf_done(&said);
    return rc;
}

static int put_section(struct tly_buf *buf, const struct tly_section *section)
{
    int rc = *section->key ? tly_buf_printf(buf, ".Ss Section %s\n", section->key)
                           : put(buf, ".Ss \\&At the top\n" /* else it is a macro */);
    if (rc == 0 && section->help) {
        rc = tly_roff_text(buf, tly_text_of(section->help));
    }
    if (rc == 0 && section->type == TLY_OPTION_LIST) {
        rc = section->shorthand
                 ? tly_buf_printf(buf,
                                  "It is a list: each item begins with a dash, and a text alone "
                                  "stands for\nits\n.Cm %s .\n",
                                  section->shorthand)
                 : put(buf, "It is a list: each item begins with a dash.\n");
    }
    rc = rc < 0 ? rc : put(buf, ".Bl -tag -width Ds\n");
    rc = rc < 0 ? rc : tly_reference_each(buf, section, put_option);
    return rc < 0 ? rc : put(buf, ".El\n");
}

int tly_reference_manual(const struct tly_section *const *sections, size_t count,
                         struct tly_buf *buf)
{
    int rc = put(buf, head);
    rc = rc < 0 ? rc : put_kinds(buf);
    rc = rc < 0 ? rc : put(buf, ".Sh SECTIONS\n");
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = put_section(buf, sections[i]);
    }
    return rc < 0 ? rc : put(buf, tail);
}
