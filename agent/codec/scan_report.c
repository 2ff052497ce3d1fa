/*
 * Reading scanners' reports; see scan_report.h. The shapes are those that the tools document:
 * Trivy's types.Report, Grype's models.Document, claircore's VulnerabilityReport. All three are
 * looked for at once, by the path of keys; which one it was is decided at the end.
 */
#include "agent/codec/scan_report.h"

#include "agent/base/clock.h"
#include "agent/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tly_scanner_names[] = {"unknown", "trivy", "grype", "clair"};
const char *const tly_vulnerability_names[TLY_VULNERABILITY_SEVERITIES] = {
    "unknown", "negligible", "low", "medium", "high", "critical"};

/* The keys that lead to something of interest. */
#define KEYS(X)                                                                                    \
    X(SchemaVersion)                                                                               \
    X(ArtifactName)                                                                                \
    X(CreatedAt)                                                                                   \
    X(Metadata)                                                                                    \
    X(OS)                                                                                          \
    X(EOSL)                                                                                        \
    X(ImageID)                                                                                     \
    X(RepoTags)                                                                                    \
    X(RepoDigests)                                                                                 \
    X(Results)                                                                                     \
    X(Vulnerabilities)                                                                             \
    X(VulnerabilityID)                                                                             \
    X(Severity)                                                                                    \
    X(FixedVersion)                                                                                \
    X(Trivy)                                                                                       \
    X(Version)                                                                                     \
    X(matches)                                                                                     \
    X(vulnerability)                                                                               \
    X(id)                                                                                          \
    X(severity)                                                                                    \
    X(fix)                                                                                         \
    X(state)                                                                                       \
    X(source)                                                                                      \
    X(target)                                                                                      \
    X(userInput)                                                                                   \
    X(imageID)                                                                                     \
    X(manifestDigest)                                                                              \
    X(tags)                                                                                        \
    X(repoDigests)                                                                                 \
    X(descriptor)                                                                                  \
    X(name)                                                                                        \
    X(version)                                                                                     \
    X(timestamp)                                                                                   \
    X(manifest_hash)                                                                               \
    X(vulnerabilities) X(normalized_severity) X(fixed_in_version) X(package_vulnerabilities)

enum key {
    OTHER, /* a key without meaning here, or any member of a map */
    ITEM,  /* an element of an array */
#define ENTRY(name) K_##name,
    KEYS(ENTRY)
#undef ENTRY
};

#define PATH_MAX_KEYS 6 /* deeper values are of no interest */

struct unique {
    uint64_t hash; /* 0: free */
    uint8_t severity;
    bool fixable;
};

struct tly_scan_reader {
    struct tly_json_walk walk;
    struct tly_scan_report report;
    uint8_t path[TLY_JSON_WALK_DEPTH_MAX + 1]; /* path[d]: of the value at depth d */
    int64_t schema;
    bool array, results, matches, grype, manifest, known_vulnerabilities;
    /* The row under way. */
    char id[TLY_JSON_WALK_STRING_MAX];
    size_t id_len;
    enum tly_vulnerability_severity severity;
    bool fixable;
    struct unique *uniques; /* owned; an open table, a power of two */
    size_t unique_count, unique_cap;
    int rc;
};

/* ---- the set of different vulnerabilities ---- */

static uint64_t hash_of(const char *bytes, size_t len)
{
    uint64_t hash = tly_hash_add(TLY_HASH_FIRST, bytes, len);
    return hash ? hash : 1;
}

static struct unique *place_of(struct unique *table, size_t cap, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (cap - 1);
    while (table[at].hash && table[at].hash != hash) {
        at = (at + 1) & (cap - 1);
    }
    return &table[at];
}

static int grow(struct tly_scan_reader *reader)
{
    size_t cap = reader->unique_cap ? 2 * reader->unique_cap : 256;
    struct unique *table = calloc(cap, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < reader->unique_cap; i++) {
        if (reader->uniques[i].hash) {
            *place_of(table, cap, reader->uniques[i].hash) = reader->uniques[i];
        }
    }
    free(reader->uniques);
    reader->uniques = table;
    reader->unique_cap = cap;
    return 0;
}

static int add_unique(struct tly_scan_reader *reader)
{
    uint64_t hash = hash_of(reader->id, reader->id_len);
    if (2 * reader->unique_count >= reader->unique_cap && grow(reader) < 0) {
        return -ENOMEM;
    }
    struct unique *place = place_of(reader->uniques, reader->unique_cap, hash);
    if (!place->hash) {
        if (reader->unique_count == TLY_SCAN_VULNERABILITIES_MAX) {
            return TLY_E_LIMIT;
        }
        reader->unique_count++;
        *place = (struct unique){.hash = hash};
    }
    if (reader->severity > place->severity) {
        place->severity = (uint8_t)reader->severity;
    }
    place->fixable = place->fixable || reader->fixable;
    return 0;
}

/* ---- values ---- */

static enum key key_of(struct tly_text text)
{
    static const char *const names[] = {
#define ENTRY(name) #name,
        KEYS(ENTRY)
#undef ENTRY
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tly_text_equal(text, tly_text_of(names[i]))) {
            return (enum key)(K_SchemaVersion + i);
        }
    }
    return OTHER;
}

/* Whether the value at hand stands at this path; ends in OTHER for a member of a map. */
static bool is_at(const struct tly_scan_reader *reader, size_t depth, const uint8_t *path,
                  size_t len)
{
    return depth == len && memcmp(reader->path + 1, path, len) == 0;
}
#define AT(...)                                                                                    \
    is_at(reader, depth, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void add_name(char (*names)[TLY_SCAN_NAME_MAX], size_t *count, struct tly_text text)
{
    if (text.len == 0 || text.len >= TLY_SCAN_NAME_MAX || *count == TLY_SCAN_NAMES_MAX) {
        return;
    }
    for (size_t i = 0; i < *count; i++) {
        if (tly_text_equal(text, tly_text_of(names[i]))) {
            return;
        }
    }
    memcpy(names[*count], text.at, text.len);
    names[*count][text.len] = '\0';
    ++*count;
}

static void take_name(struct tly_scan_reader *reader, struct tly_text text)
{
    add_name(reader->report.names, &reader->report.name_count, text);
}

static void take_digest(struct tly_scan_reader *reader, struct tly_text text)
{
    add_name(reader->report.digests, &reader->report.digest_count, text);
}

static void take_time(struct tly_scan_reader *reader, struct tly_text text)
{
    int64_t ns = 0;
    if (tly_time_parse(text, &ns) == 0) {
        reader->report.time_ns = ns;
    }
}

static void take_severity(struct tly_scan_reader *reader, struct tly_text text)
{
    for (size_t i = 0; i < TLY_VULNERABILITY_SEVERITIES; i++) {
        if (text.len == strlen(tly_vulnerability_names[i]) &&
            strncasecmp(text.at, tly_vulnerability_names[i], text.len) == 0) {
            reader->severity = (enum tly_vulnerability_severity)i;
        }
    }
}

static void take_id(struct tly_scan_reader *reader, struct tly_text text)
{
    memcpy(reader->id, text.at, text.len);
    reader->id_len = text.len;
}

static void take_version(struct tly_scan_reader *reader, struct tly_text text)
{
    (void)snprintf(reader->report.version, sizeof(reader->report.version), "%.*s", (int)text.len,
                   text.at); /* cut to fit */
}

static void take_trivy(struct tly_scan_reader *reader, size_t depth, struct tly_text text)
{
    if (AT(K_ArtifactName) || AT(K_Metadata, K_RepoTags, ITEM)) {
        take_name(reader, text);
    } else if (AT(K_Metadata, K_ImageID) || AT(K_Metadata, K_RepoDigests, ITEM)) {
        take_digest(reader, text);
    } else if (AT(K_CreatedAt)) {
        take_time(reader, text);
    } else if (AT(K_Trivy, K_Version)) {
        take_version(reader, text);
    } else if (AT(K_Results, ITEM, K_Vulnerabilities, ITEM, K_VulnerabilityID)) {
        take_id(reader, text);
    } else if (AT(K_Results, ITEM, K_Vulnerabilities, ITEM, K_Severity)) {
        take_severity(reader, text);
    } else if (AT(K_Results, ITEM, K_Vulnerabilities, ITEM, K_FixedVersion)) {
        reader->fixable = text.len > 0;
    }
}

static void take_grype(struct tly_scan_reader *reader, size_t depth, struct tly_text text)
{
    if (AT(K_source, K_target, K_userInput) || AT(K_source, K_target, K_tags, ITEM)) {
        take_name(reader, text);
    } else if (AT(K_source, K_target, K_imageID) || AT(K_source, K_target, K_manifestDigest) ||
               AT(K_source, K_target, K_repoDigests, ITEM)) {
        take_digest(reader, text);
    } else if (AT(K_descriptor, K_name)) {
        reader->grype = tly_text_equal(text, TLY_TEXT("grype"));
    } else if (AT(K_descriptor, K_version)) {
        take_version(reader, text);
    } else if (AT(K_descriptor, K_timestamp)) {
        take_time(reader, text);
    } else if (AT(K_matches, ITEM, K_vulnerability, K_id)) {
        take_id(reader, text);
    } else if (AT(K_matches, ITEM, K_vulnerability, K_severity)) {
        take_severity(reader, text);
    } else if (AT(K_matches, ITEM, K_vulnerability, K_fix, K_state)) {
        reader->fixable = tly_text_equal(text, TLY_TEXT("fixed"));
    }
}

static void take_clair(struct tly_scan_reader *reader, size_t depth, struct tly_text text)
{
    if (AT(K_manifest_hash)) {
        reader->manifest = true;
        take_digest(reader, text);
    } else if (AT(K_vulnerabilities, OTHER, K_name)) {
        take_id(reader, text);
    } else if (AT(K_vulnerabilities, OTHER, K_normalized_severity)) {
        take_severity(reader, text);
    } else if (AT(K_vulnerabilities, OTHER, K_fixed_in_version)) {
        reader->fixable = text.len > 0;
    }
}

/* ---- rows ---- */

static bool is_row(const struct tly_scan_reader *reader, size_t depth)
{
    return AT(K_Results, ITEM, K_Vulnerabilities, ITEM) || AT(K_matches, ITEM) ||
           AT(K_vulnerabilities, OTHER);
}

static void begin_row(struct tly_scan_reader *reader)
{
    reader->id_len = 0;
    reader->severity = TLY_VULNERABILITY_UNKNOWN;
    reader->fixable = false;
}

static void end_row(struct tly_scan_reader *reader)
{
    if (reader->id_len > 0) {
        reader->report.rows[reader->severity][reader->fixable]++;
        int rc = add_unique(reader);
        reader->rc = reader->rc < 0 ? reader->rc : rc;
    }
}

/* ---- the walk ---- */

static void see_shape(struct tly_scan_reader *reader, const struct tly_json_walk_event *event)
{
    size_t depth = event->depth;
    bool begins = event->type == TLY_JSON_WALK_ARRAY || event->type == TLY_JSON_WALK_OBJECT;
    reader->array = reader->array || (depth == 0 && event->type == TLY_JSON_WALK_ARRAY);
    if (depth == 1 && (begins || event->type == TLY_JSON_WALK_NULL)) {
        reader->results = reader->results || AT(K_Results);
        reader->matches = reader->matches || AT(K_matches);
        reader->known_vulnerabilities = reader->known_vulnerabilities || AT(K_vulnerabilities);
    }
}

static void take_scalar(struct tly_scan_reader *reader, const struct tly_json_walk_event *event)
{
    size_t depth = event->depth;
    if (event->type == TLY_JSON_WALK_STRING) {
        take_trivy(reader, depth, event->text);
        take_grype(reader, depth, event->text);
        take_clair(reader, depth, event->text);
    } else if (event->type == TLY_JSON_WALK_NUMBER && AT(K_SchemaVersion)) {
        if (tly_text_i64(event->text, &reader->schema) < 0) {
            reader->schema = -1;
        }
    } else if (AT(K_Metadata, K_OS, K_EOSL)) {
        reader->report.end_of_life = event->type == TLY_JSON_WALK_TRUE;
    }
}

static void saw(void *arg, const struct tly_json_walk_event *event)
{
    struct tly_scan_reader *reader = arg;
    if (event->type == TLY_JSON_WALK_KEY) {
        enum key key = event->depth <= PATH_MAX_KEYS ? key_of(event->text) : OTHER;
        /* The members of these two are ids, whatever they look like. */
        bool map = event->depth == 2 && (reader->path[1] == K_vulnerabilities ||
                                         reader->path[1] == K_package_vulnerabilities);
        reader->path[event->depth] = (uint8_t)(map ? OTHER : key);
        return;
    }
    see_shape(reader, event);
    switch (event->type) {
    case TLY_JSON_WALK_ARRAY:
        if (event->depth < TLY_JSON_WALK_DEPTH_MAX) {
            reader->path[event->depth + 1] = ITEM;
        }
        break;
    case TLY_JSON_WALK_OBJECT:
        if (is_row(reader, event->depth)) {
            begin_row(reader);
        }
        break;
    case TLY_JSON_WALK_OBJECT_END:
        if (is_row(reader, event->depth)) {
            end_row(reader);
        }
        /* The next element of an array has no key to say so. */
        break;
    case TLY_JSON_WALK_ARRAY_END:
        break;
    default:
        if (event->depth <= PATH_MAX_KEYS) {
            take_scalar(reader, event);
        }
    }
}

int tly_scan_reader_new(struct tly_scan_reader **ret_reader)
{
    struct tly_scan_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    reader->report.end_of_life = -1;
    tly_json_walk_init(&reader->walk, saw, reader);
    *ret_reader = reader;
    return 0;
}

void tly_scan_reader_free(struct tly_scan_reader *reader)
{
    if (reader) {
        free(reader->uniques);
        free(reader);
    }
}

static int say(const struct tly_scan_reader *reader, int rc, struct tly_error *err)
{
    const unsigned long long offset = reader->walk.offset;
    switch (rc) {
    case TLY_E_MALFORMED:
        return tly_error_set(err, rc, "not JSON at byte %llu", offset);
    case TLY_E_MORE:
        return tly_error_set(err, TLY_E_MALFORMED, "it ends in the middle, at byte %llu", offset);
    case TLY_E_LIMIT:
        return tly_error_set(err, rc, "nested deeper than %d at byte %llu", TLY_JSON_WALK_DEPTH_MAX,
                             offset);
    default:
        return tly_error_set(err, rc, "%s at byte %llu", tly_error_name(rc), offset);
    }
}

int tly_scan_reader_feed(struct tly_scan_reader *reader, struct tly_text bytes,
                         struct tly_error *err)
{
    int rc = tly_json_walk_feed(&reader->walk, bytes);
    if (rc < 0) {
        return say(reader, rc, err);
    }
    if (reader->rc == TLY_E_LIMIT) {
        return tly_error_set(err, TLY_E_LIMIT, "more than %d different vulnerabilities",
                             TLY_SCAN_VULNERABILITIES_MAX);
    }
    return reader->rc < 0 ? say(reader, reader->rc, err) : 0;
}

static int decide(struct tly_scan_reader *reader, struct tly_error *err)
{
    if (reader->array) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "an array, as Trivy wrote it before 0.20; scan with a newer Trivy");
    }
    if (reader->schema != 0 || reader->results) {
        if (reader->schema != 2) {
            return tly_error_set(err, TLY_E_MALFORMED,
                                 "a Trivy report of schema %lld; this agent reads schema 2",
                                 (long long)reader->schema);
        }
        reader->report.scanner = TLY_SCANNER_TRIVY;
    } else if (reader->matches && reader->grype) {
        reader->report.scanner = TLY_SCANNER_GRYPE;
    } else if (reader->manifest && reader->known_vulnerabilities) {
        reader->report.scanner = TLY_SCANNER_CLAIR;
    } else {
        return tly_error_set(err, TLY_E_MALFORMED, "no report of Trivy, Grype or Clair 4 in JSON");
    }
    return 0;
}

int tly_scan_reader_end(struct tly_scan_reader *reader, struct tly_scan_report *ret_report,
                        struct tly_error *err)
{
    int rc = tly_json_walk_end(&reader->walk);
    if (rc < 0) {
        return say(reader, rc, err);
    }
    rc = decide(reader, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < reader->unique_cap; i++) {
        const struct unique *unique = &reader->uniques[i];
        if (unique->hash) {
            reader->report.unique[unique->severity][unique->fixable]++;
        }
    }
    *ret_report = reader->report;
    return 0;
}
