/*
 * Rule files of any bytes: what is read can be asked for everything; what is not has complaints
 * with places inside of the file.
 */
#include "agent/rules/rule_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* At most: YAML ends lines at \n, \r, and at three longer characters, which end in these bytes. */
static size_t lines_of(struct tly_text text)
{
    static const char ends[] = {'\n', '\r', '\x85', '\xa8', '\xa9'};
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += memchr(ends, text.at[i], sizeof(ends)) != NULL;
    }
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_complaints complaints;
    struct tly_text text = {size > 0 ? (const char *)data : "", size};
    struct tly_rule_file *file = NULL;
    (void)tly_shape_of(text); /* any answer will do */
    int rc = tly_rule_file_parse(text, "f", &complaints, &file);
    if (rc == 0) {
        for (size_t i = 0; i < file->count; i++) {
            for (size_t k = 0; k < file->groups[i].count; k++) {
                const struct tly_rule *rule = &file->groups[i].rules[k];
                if (!rule->expr || rule->query.len == 0 || rule->name.len == 0) {
                    abort();
                }
            }
        }
        tly_rule_file_free(file);
        return 0;
    }
    if (rc != TLY_E_MALFORMED || complaints.count == 0) {
        abort();
    }
    for (size_t i = 0; i < tly_complaints_kept(&complaints); i++) {
        if (complaints.at[i].text[0] == '\0' || complaints.at[i].line > lines_of(text) + 1) {
            abort();
        }
    }
    return 0;
}
