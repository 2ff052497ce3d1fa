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

bool tly_matchers_allow_name(const struct tly_matcher *matchers, size_t count, struct tly_text name)
{
    bool allowed = true;
    for (size_t i = 0; i < count && allowed; i++) {
        allowed = !tly_text_equal(matchers[i].name, TLY_TEXT("__name__")) ||
                  tly_matcher_accepts(&matchers[i], name);
    }
    return allowed;
}

void tly_matchers_bind(const struct tly_matcher *matchers, size_t count,
                       const struct tly_symbols *symbols, struct tly_bound_matchers *ret_bound)
{
    ret_bound->symbols = symbols;
    ret_bound->count = count < TLY_MATCHERS_MAX ? count : TLY_MATCHERS_MAX;
    for (size_t i = 0; i < ret_bound->count; i++) {
        ret_bound->at[i].matcher = &matchers[i];
        if (!tly_symbols_find(symbols, matchers[i].name, &ret_bound->at[i].name)) {
            ret_bound->at[i].name = TLY_SYMBOL_UNKNOWN;
        }
        if (!tly_symbols_find(symbols, matchers[i].value, &ret_bound->at[i].value)) {
            ret_bound->at[i].value = TLY_SYMBOL_UNKNOWN;
        }
    }
}

bool tly_matchers_accept(const struct tly_bound_matchers *bound, struct tly_labels labels)
{
    for (size_t i = 0; i < bound->count; i++) {
        const struct tly_matcher *matcher = bound->at[i].matcher;
        uint32_t value = tly_labels_get(labels, bound->at[i].name);
        bool accepted;
        if (matcher->kind == TLY_MATCH_EQUAL || matcher->kind == TLY_MATCH_NOT_EQUAL) {
            accepted = (value == bound->at[i].value) == (matcher->kind == TLY_MATCH_EQUAL);
        } else {
            accepted = tly_matcher_accepts(matcher, tly_symbols_text(bound->symbols, value));
        }
        if (!accepted) {
            return false;
        }
    }
    return true;
}
