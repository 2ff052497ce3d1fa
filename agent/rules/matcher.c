/* Label matchers, applied. They belong to the expression that they were parsed from. */
#include "agent/rules/matcher.h"

const char *tly_match_text(enum tly_match kind)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[kind];
}

bool tly_matcher_accepts(const struct tly_matcher *matcher, struct tly_text value)
{
    switch (matcher->kind) {
    case TLY_MATCH_EQUAL:
        return tly_text_equal(matcher->value, value);
    case TLY_MATCH_NOT_EQUAL:
        return !tly_text_equal(matcher->value, value);
    case TLY_MATCH_REGEX:
        return tly_regex_matches(matcher->regex, value);
    case TLY_MATCH_NOT_REGEX:
        break;
    }
    return !tly_regex_matches(matcher->regex, value);
}

bool tly_matchers_accept(const struct tly_matcher *matchers, size_t count,
                         const struct tly_symbols *symbols, struct tly_labels labels)
{
    for (size_t i = 0; i < count; i++) {
        struct tly_text value = {"", 0};
        uint32_t name;
        if (tly_symbols_find(symbols, matchers[i].name, &name)) {
            value = tly_symbols_text(symbols, tly_labels_get(labels, name));
        }
        if (!tly_matcher_accepts(&matchers[i], value)) {
            return false;
        }
    }
    return true;
}
