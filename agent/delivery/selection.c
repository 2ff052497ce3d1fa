/*
 * Patterns against tags and containers. Asked once per container and per run of records, never per
 * line.
 */
#include "agent/delivery/selection.h"

#include <string.h>

static bool fits_any(const struct tly_patterns *patterns, struct tly_text text)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (tly_text_glob(tly_text_of(patterns->at[i]), text)) {
            return true;
        }
    }
    return false;
}

/* What is not known fits nothing, not even `*`. */
static bool known_fits(const struct tly_patterns *patterns, const char *text)
{
    return text && fits_any(patterns, tly_text_of(text));
}

static bool label_fits(struct tly_text pattern, const struct tly_label *label)
{
    const char *equals = memchr(pattern.at, '=', pattern.len);
    struct tly_text key = {pattern.at, equals ? (size_t)(equals - pattern.at) : pattern.len};
    if (!tly_text_glob(key, tly_text_of(label->key))) {
        return false;
    }
    struct tly_text value = {equals ? equals + 1 : NULL, equals ? pattern.len - key.len - 1 : 0};
    return !equals || tly_text_glob(value, tly_text_of(label->value));
}

static bool labels_fit(const struct tly_patterns *patterns, const struct tly_container *container)
{
    for (size_t i = 0; i < patterns->count; i++) {
        for (size_t l = 0; l < container->label_count; l++) {
            if (label_fits(tly_text_of(patterns->at[i]), &container->labels[l])) {
                return true;
            }
        }
    }
    return false;
}

/* The answer of each kind of pattern; a kind without patterns answers `silent`. */
struct answers {
    bool tags, containers, images, labels;
};

static struct answers ask(const struct tly_selection_terms *terms, struct tly_text tag,
                          const struct tly_container *container, bool silent)
{
    return (struct answers){
        .tags = terms->tags.count ? fits_any(&terms->tags, tag) : silent,
        .containers = terms->containers.count
                          ? container && known_fits(&terms->containers, container->name)
                          : silent,
        .images = terms->images.count ? container && known_fits(&terms->images, container->image)
                                      : silent,
        .labels = terms->labels.count ? container && labels_fit(&terms->labels, container) : silent,
    };
}

bool tly_selection_takes(const struct tly_selection *selection, struct tly_text tag,
                         const struct tly_container *container)
{
    struct answers match = ask(&selection->match, tag, container, true);
    if (!match.tags || !match.containers || !match.images || !match.labels) {
        return false;
    }
    struct answers exclude = ask(&selection->exclude, tag, container, false);
    return !exclude.tags && !exclude.containers && !exclude.images && !exclude.labels;
}
