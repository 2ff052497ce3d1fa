/*
 * Accept and Accept-Encoding. Both are lists of clauses `name; parameter=value; q=0.5`. What can't
 * be read is passed over: a header is a wish, and a wrong one must not cost the scrape.
 */
#include "agent/codec/accept.h"

#include <strings.h>

#define WEIGHT_MAX 1000 /* q has at most three decimals */

struct clause {
    struct tly_text name;    /* the media type or coding */
    struct tly_text version; /* empty: none given */
    unsigned weight;         /* in thousandths */
};

static bool same(struct tly_text text, const char *word)
{
    return text.len == strlen(word) && (text.len == 0 || strncasecmp(text.at, word, text.len) == 0);
}

/* "1", "0.5", "0.125" in thousandths; anything else counts as 0, so that the clause is unused. */
static unsigned weight_parse(struct tly_text text)
{
    if (text.len == 0 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.len > 1 && text.at[1] != '.')) {
        return 0;
    }
    unsigned weight = text.at[0] == '1' ? WEIGHT_MAX : 0;
    unsigned place = WEIGHT_MAX / 10;
    for (size_t i = 2; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return 0;
        }
        weight += place * (unsigned)(text.at[i] - '0');
        place /= 10;
    }
    return weight > WEIGHT_MAX ? WEIGHT_MAX : weight;
}

static struct tly_text unquoted(struct tly_text value)
{
    if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"') {
        return (struct tly_text){value.at + 1, value.len - 2};
    }
    return value;
}

/* Takes the next clause off `rest`. */
static struct clause clause_cut(struct tly_text *rest)
{
    struct tly_text parts = tly_text_cut(rest, ',');
    struct clause clause = {.weight = WEIGHT_MAX};
    clause.name = tly_text_trim(tly_text_cut(&parts, ';'));
    while (parts.at != NULL) {
        struct tly_text value = tly_text_cut(&parts, ';');
        struct tly_text name = tly_text_trim(tly_text_cut(&value, '='));
        if (value.at == NULL) {
            continue;
        }
        value = unquoted(tly_text_trim(value));
        if (same(name, "q")) {
            clause.weight = weight_parse(value);
        } else if (same(name, "version")) {
            clause.version = value;
        }
    }
    return clause;
}

static bool clause_format(const struct clause *clause, enum tly_exposition_format *ret_format)
{
    static const struct {
        const char *name, *version;
        enum tly_exposition_format format;
    } known[] = {
        {"application/openmetrics-text", "1.0.0", TLY_EXPOSITION_OPENMETRICS_1_0_0},
        {"application/openmetrics-text", "0.0.1", TLY_EXPOSITION_OPENMETRICS_0_0_1},
        {"application/openmetrics-text", "", TLY_EXPOSITION_OPENMETRICS_0_0_1},
        {"text/plain", "1.0.0", TLY_EXPOSITION_TEXT_1_0_0},
        {"text/plain", "0.0.4", TLY_EXPOSITION_TEXT_0_0_4},
        {"text/plain", "", TLY_EXPOSITION_TEXT_0_0_4},
        {"text/*", "", TLY_EXPOSITION_TEXT_0_0_4},
        {"*/*", "", TLY_EXPOSITION_TEXT_0_0_4},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (same(clause->name, known[i].name) && same(clause->version, known[i].version)) {
            *ret_format = known[i].format;
            return true;
        }
    }
    return false;
}

enum tly_exposition_format tly_accept_format(struct tly_text accept)
{
    enum tly_exposition_format best = TLY_EXPOSITION_TEXT_0_0_4;
    unsigned best_weight = 0;
    for (struct tly_text rest = accept; rest.at != NULL;) {
        struct clause clause = clause_cut(&rest);
        enum tly_exposition_format format;
        if (clause.weight > best_weight && clause_format(&clause, &format)) {
            best = format;
            best_weight = clause.weight;
        }
    }
    return best;
}

bool tly_accept_gzip(struct tly_text accept_encoding)
{
    bool wildcard = false;
    for (struct tly_text rest = accept_encoding; rest.at != NULL;) {
        struct clause clause = clause_cut(&rest);
        if (same(clause.name, "gzip") || same(clause.name, "x-gzip")) {
            return clause.weight > 0;
        }
        if (same(clause.name, "*")) {
            wildcard = clause.weight > 0;
        }
    }
    return wildcard;
}
