/*
 * The table of symbols and the label sets made of them. The table is a hash index (open addressing)
 * over an array; hashes are seeded, because label values come from containers. Symbols count the
 * kept label sets that hold them.
 */
#include "agent/rules/labels.h"

#include "agent/base/file.h"
#include "agent/base/random.h"

#include <errno.h>
#include <stdlib.h>

#define INDEX_FIRST 256
#define HEAP_SHARE  16
/* A set's pairs are sorted as texts on the stack: more labels than any sensible series has. */
#define LABELS_SORTED_MAX 256

struct symbol {
    char *at; /* owned; NULL for a free entry */
    uint32_t len;
    uint32_t refs; /* pairs of kept label sets; UINT32_MAX for the fixed ones */
    uint64_t hash;
};

struct tly_symbols {
    struct symbol *at;
    uint32_t count, cap;  /* entries ever used, room */
    uint32_t free_count;  /* free entries among them */
    uint32_t free_hint;   /* where to look for one */
    uint32_t *index;      /* symbol + 1, or 0; a power of two */
    uint32_t index_slots; /* at least twice the entries */
    size_t bytes, max_bytes;
    uint64_t seed;
};

static uint64_t text_hash(uint64_t seed, struct tly_text text)
{
    uint64_t hash = seed ^ text.len;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t word;
        memcpy(&word, text.at + i, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25U;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    if (text.len > i) {
        memcpy(&rest, text.at + i, text.len - i);
    }
    hash = (hash ^ rest) * 0x9fb21c651e98df25U;
    return hash ^ (hash >> 29);
}

/* With what the heap adds to a short text. */
static size_t symbol_cost(size_t len)
{
    return len + HEAP_SHARE + sizeof(struct symbol) + 2 * sizeof(uint32_t);
}

static void index_put(struct tly_symbols *symbols, uint32_t symbol)
{
    uint32_t mask = symbols->index_slots - 1;
    uint32_t slot = (uint32_t)symbols->at[symbol].hash & mask;
    while (symbols->index[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    symbols->index[slot] = symbol + 1;
}

/* Takes a symbol out of the index; what stands behind it moves up, so that it is still found. */
static void index_remove(struct tly_symbols *symbols, uint32_t symbol)
{
    uint32_t mask = symbols->index_slots - 1;
    uint32_t gap = (uint32_t)symbols->at[symbol].hash & mask;
    while (symbols->index[gap] != symbol + 1) {
        gap = (gap + 1) & mask;
    }
    for (uint32_t slot = (gap + 1) & mask; symbols->index[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t first = (uint32_t)symbols->at[symbols->index[slot] - 1].hash & mask;
        if (((slot - first) & mask) >= ((slot - gap) & mask)) {
            symbols->index[gap] = symbols->index[slot];
            gap = slot;
        }
    }
    symbols->index[gap] = 0;
}

/* Fills the index, which may have grown or lost entries, from the array. */
static void index_fill(struct tly_symbols *symbols)
{
    memset(symbols->index, 0, symbols->index_slots * sizeof(*symbols->index));
    for (uint32_t i = 0; i < symbols->count; i++) {
        if (symbols->at[i].at) {
            index_put(symbols, i);
        }
    }
}

static int grow(struct tly_symbols *symbols)
{
    uint32_t cap = symbols->cap * 2;
    struct symbol *at = realloc(symbols->at, cap * sizeof(*at));
    if (!at) {
        return -ENOMEM;
    }
    symbols->at = at;
    uint32_t *index = malloc((size_t)cap * 2 * sizeof(*index));
    if (!index) {
        return -ENOMEM;
    }
    free(symbols->index);
    symbols->index = index;
    symbols->index_slots = cap * 2;
    symbols->cap = cap;
    index_fill(symbols);
    return 0;
}

bool tly_symbols_find(const struct tly_symbols *symbols, struct tly_text text, uint32_t *ret_symbol)
{
    uint64_t hash = text_hash(symbols->seed, text);
    uint32_t mask = symbols->index_slots - 1;
    for (uint32_t slot = (uint32_t)hash & mask; symbols->index[slot] != 0;
         slot = (slot + 1) & mask) {
        const struct symbol *symbol = &symbols->at[symbols->index[slot] - 1];
        if (symbol->hash == hash && symbol->len == text.len &&
            (text.len == 0 || memcmp(symbol->at, text.at, text.len) == 0)) {
            *ret_symbol = symbols->index[slot] - 1;
            return true;
        }
    }
    return false;
}

static uint32_t entry_take(struct tly_symbols *symbols)
{
    if (symbols->free_count == 0) {
        return symbols->count++;
    }
    while (symbols->at[symbols->free_hint].at) {
        symbols->free_hint++;
    }
    symbols->free_count--;
    return symbols->free_hint++;
}

int tly_symbols_add(struct tly_symbols *symbols, struct tly_text text, uint32_t *ret_symbol)
{
    if (tly_symbols_find(symbols, text, ret_symbol)) {
        return 0;
    }
    size_t cost = symbol_cost(text.len);
    if (text.len >= UINT32_MAX || symbols->cap >= UINT32_MAX / 4 ||
        cost > symbols->max_bytes - symbols->bytes) {
        return TLY_E_LIMIT;
    }
    if (symbols->free_count == 0 && symbols->count == symbols->cap) {
        int rc = grow(symbols);
        if (rc < 0) {
            return rc;
        }
    }
    char *at = tly_text_dup(text);
    if (!at) {
        return -ENOMEM;
    }
    uint32_t symbol = entry_take(symbols);
    symbols->at[symbol] = (struct symbol){at, (uint32_t)text.len, 0,
                                          text_hash(symbols->seed, text)};
    symbols->bytes += cost;
    index_put(symbols, symbol);
    *ret_symbol = symbol;
    return 0;
}

struct tly_symbols *tly_symbols_new(size_t max_bytes)
{
    static const char *const fixed[TLY_SYMBOLS_FIXED] = {"", "__name__", "le"};
    struct tly_symbols *symbols = calloc(1, sizeof(*symbols));
    if (!symbols) {
        return NULL;
    }
    symbols->max_bytes = max_bytes;
    symbols->seed = tly_random_u64();
    symbols->cap = INDEX_FIRST / 2;
    symbols->index_slots = INDEX_FIRST;
    symbols->at = calloc(symbols->cap, sizeof(*symbols->at));
    symbols->index = calloc(INDEX_FIRST, sizeof(*symbols->index));
    for (uint32_t i = 0; symbols->at && symbols->index && i < TLY_SYMBOLS_FIXED; i++) {
        uint32_t symbol;
        if (tly_symbols_add(symbols, tly_text_of(fixed[i]), &symbol) < 0) {
            break;
        }
        symbols->at[symbol].refs = UINT32_MAX;
    }
    if (symbols->count < TLY_SYMBOLS_FIXED) {
        tly_symbols_free(symbols);
        return NULL;
    }
    return symbols;
}

void tly_symbols_free(struct tly_symbols *symbols)
{
    if (!symbols) {
        return;
    }
    for (uint32_t i = 0; i < symbols->count; i++) {
        free(symbols->at[i].at);
    }
    free(symbols->at);
    free(symbols->index);
    free(symbols);
}

struct tly_text tly_symbols_text(const struct tly_symbols *symbols, uint32_t symbol)
{
    return (struct tly_text){symbols->at[symbol].at, symbols->at[symbol].len};
}

size_t tly_symbols_count(const struct tly_symbols *symbols)
{
    return symbols->count - symbols->free_count;
}

size_t tly_symbols_bytes(const struct tly_symbols *symbols)
{
    return symbols->bytes;
}

static void entry_free(struct tly_symbols *symbols, struct symbol *symbol)
{
    symbols->bytes -= symbol_cost(symbol->len);
    tly_free(&symbol->at);
    symbols->free_count++;
}

void tly_symbols_forget(struct tly_symbols *symbols, uint32_t symbol)
{
    struct symbol *entry = &symbols->at[symbol];
    if (entry->at && entry->refs == 0) {
        index_remove(symbols, symbol);
        entry_free(symbols, entry);
        symbols->free_hint = symbol < symbols->free_hint ? symbol : symbols->free_hint;
    }
}

void tly_symbols_trim(struct tly_symbols *symbols)
{
    bool any = false;
    for (uint32_t i = TLY_SYMBOLS_FIXED; i < symbols->count; i++) {
        struct symbol *symbol = &symbols->at[i];
        if (!symbol->at || symbol->refs > 0) {
            continue;
        }
        entry_free(symbols, symbol);
        any = true;
    }
    if (any) {
        symbols->free_hint = TLY_SYMBOLS_FIXED;
        index_fill(symbols);
    }
}

/* ---- label sets ---- */

/* Insertion sort: sets are short, and mostly sorted already. Stable, so that of equal names the
 * last one given stands last. */
static void pairs_sort(struct tly_label_pair *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct tly_label_pair pair = pairs[i];
        size_t at = i;
        for (; at > 0 && pairs[at - 1].name > pair.name; at--) {
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = pair;
    }
}

struct tly_labels tly_labels_make(struct tly_label_pair *pairs, size_t count)
{
    pairs_sort(pairs, count);
    struct tly_labels labels = {pairs, 0, 0};
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count || pairs[i + 1].name != pairs[i].name;
        if (last && pairs[i].value != TLY_SYMBOL_EMPTY) {
            pairs[labels.count++] = pairs[i];
            labels.hash += tly_label_hash(pairs[i]);
        }
    }
    return labels;
}

static void symbol_ref(struct tly_symbols *symbols, uint32_t symbol, int by)
{
    if (symbols->at[symbol].refs != UINT32_MAX) {
        symbols->at[symbol].refs += (uint32_t)by;
    }
}

int tly_labels_keep(struct tly_symbols *symbols, struct tly_labels labels,
                    struct tly_labels *ret_kept)
{
    size_t bytes = labels.count * sizeof(*labels.at);
    struct tly_label_pair *at = malloc(bytes > 0 ? bytes : 1);
    if (!at) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < labels.count; i++) {
        at[i] = labels.at[i];
        symbol_ref(symbols, at[i].name, 1);
        symbol_ref(symbols, at[i].value, 1);
    }
    *ret_kept = (struct tly_labels){at, labels.count, labels.hash};
    return 0;
}

void tly_labels_drop(struct tly_symbols *symbols, struct tly_labels *kept)
{
    for (uint32_t i = 0; i < kept->count; i++) {
        symbol_ref(symbols, kept->at[i].name, -1);
        symbol_ref(symbols, kept->at[i].value, -1);
    }
    tly_free(&kept->at);
    *kept = (struct tly_labels){NULL, 0, 0};
}

static int text_compare(struct tly_text a, struct tly_text b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least > 0 ? memcmp(a.at, b.at, least) : 0;
    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* The pairs by their names as texts, as many as fit; the count. */
static size_t pairs_by_text(const struct tly_symbols *symbols, struct tly_labels labels,
                            struct tly_label_pair sorted[LABELS_SORTED_MAX])
{
    size_t count = labels.count < LABELS_SORTED_MAX ? labels.count : LABELS_SORTED_MAX;
    for (size_t i = 0; i < count; i++) {
        struct tly_label_pair pair = labels.at[i];
        struct tly_text name = tly_symbols_text(symbols, pair.name);
        size_t at = i;
        for (; at > 0; at--) {
            if (text_compare(tly_symbols_text(symbols, sorted[at - 1].name), name) <= 0) {
                break;
            }
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = pair;
    }
    return count;
}

int tly_labels_compare(const struct tly_symbols *symbols, struct tly_labels a, struct tly_labels b)
{
    struct tly_label_pair of_a[LABELS_SORTED_MAX];
    struct tly_label_pair of_b[LABELS_SORTED_MAX];
    size_t count_a = pairs_by_text(symbols, a, of_a);
    size_t count_b = pairs_by_text(symbols, b, of_b);
    for (size_t i = 0; i < count_a && i < count_b; i++) {
        if (of_a[i].name != of_b[i].name) {
            return text_compare(tly_symbols_text(symbols, of_a[i].name),
                                tly_symbols_text(symbols, of_b[i].name));
        }
        if (of_a[i].value != of_b[i].value) {
            return text_compare(tly_symbols_text(symbols, of_a[i].value),
                                tly_symbols_text(symbols, of_b[i].value));
        }
    }
    return (count_a > count_b) - (count_a < count_b);
}

bool tly_label_name_plain(struct tly_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len > 0;
}

int tly_quoted_append(struct tly_buf *buf, struct tly_text text)
{
    static const char letters[] = "abtnvfr"; /* for the bytes 7 to 13 */
    int rc = tly_buf_append(buf, "\"", 1);
    for (size_t i = 0; rc == 0 && i < text.len;) {
        unsigned char c = (unsigned char)text.at[i];
        size_t valid = 1;
        if (c >= 0x80) {
            /* One character at a time; what is no UTF-8 is written byte by byte. */
            size_t most = text.len - i < 4 ? text.len - i : 4;
            for (valid = 2; valid <= most; valid++) {
                if (tly_text_utf8_prefix((struct tly_text){text.at + i, valid}) == valid) {
                    break;
                }
            }
            valid = valid <= most ? valid : 0;
        }
        if (valid == 0 || c < 7 || (c > 13 && c < ' ') || c == 0x7f) {
            rc = tly_buf_printf(buf, "\\x%02x", c);
            valid = 1;
        } else if (c <= 13) {
            rc = tly_buf_printf(buf, "\\%c", letters[c - 7]);
        } else if (c == '"' || c == '\\') {
            rc = tly_buf_printf(buf, "\\%c", c);
        } else {
            rc = tly_buf_append(buf, text.at + i, valid);
        }
        i += valid;
    }
    return rc < 0 ? rc : tly_buf_append(buf, "\"", 1);
}

/* The name bare where the grammar takes it bare. A metric's name may have colons. */
static int name_append(struct tly_buf *buf, struct tly_text name)
{
    return tly_label_name_plain(name) ? tly_buf_append_text(buf, name)
                                      : tly_quoted_append(buf, name);
}

static bool metric_name_plain(struct tly_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] != ':' && !tly_label_name_plain((struct tly_text){name.at + i, 1}) &&
            (i == 0 || name.at[i] < '0' || name.at[i] > '9')) {
            return false;
        }
    }
    return name.len > 0;
}

int tly_labels_append(const struct tly_symbols *symbols, struct tly_labels labels,
                      struct tly_buf *buf)
{
    struct tly_label_pair sorted[LABELS_SORTED_MAX];
    size_t count = pairs_by_text(symbols, labels, sorted);
    struct tly_text metric = tly_symbols_text(symbols, tly_labels_get(labels, TLY_SYMBOL_NAME));
    bool outside = metric_name_plain(metric);
    int rc = outside ? tly_buf_append_text(buf, metric) : 0;
    size_t written = 0;
    if (rc == 0 && metric.len > 0 && !outside) {
        rc = tly_buf_append(buf, "{", 1);
        rc = rc < 0 ? rc : tly_quoted_append(buf, metric);
        written = 1;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (sorted[i].name == TLY_SYMBOL_NAME) {
            continue;
        }
        rc = tly_buf_append_text(buf, written++ > 0 ? TLY_TEXT(", ") : TLY_TEXT("{"));
        rc = rc < 0 ? rc : name_append(buf, tly_symbols_text(symbols, sorted[i].name));
        rc = rc < 0 ? rc : tly_buf_append(buf, "=", 1);
        rc = rc < 0 ? rc : tly_quoted_append(buf, tly_symbols_text(symbols, sorted[i].value));
    }
    if (rc < 0) {
        return rc;
    }
    if (written > 0) {
        return tly_buf_append(buf, "}", 1);
    }
    return metric.len == 0 ? tly_buf_append(buf, "{}", 2) : 0;
}
