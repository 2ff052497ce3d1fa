/*
 * Loading the web configuration file, and telling when it has changed. Files are compared by their
 * stamps, not watched: what is mounted, or swapped in by a symbolic link, is noticed all the same.
 */
#include "agent/web/policy.h"

#include "agent/base/file.h"
#include "agent/base/hash.h"
#include "agent/base/random.h"
#include "agent/config/document.h"
#include "agent/web/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- life ---- */

struct tly_web_policy *tly_web_policy_ref(struct tly_web_policy *policy)
{
    policy->refs++;
    return policy;
}

void tly_web_policy_unref(struct tly_web_policy *policy)
{
    if (policy != NULL && --policy->refs == 0) {
        tly_web_tls_free(policy->tls);
        tly_config_free(policy->config);
        free(policy->dummy_hash);
        free(policy->path);
        free(policy);
    }
}

/* A hash with the highest cost among the users': for unknown names, so that the time for an answer
 * does not tell which names there are. No password has it, because its end is no result. */
static int make_dummy(struct tly_web_policy *policy)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { PREFIX_LEN = 7, SALT_LEN = 22 };
    if (policy->users->count == 0) {
        return 0;
    }
    int cost = 0;
    for (size_t i = 0; i < policy->users->count; i++) {
        int of_user = tly_bcrypt_cost(policy->users->at[i].value);
        cost = of_user > cost ? of_user : cost;
    }
    char hash[TLY_BCRYPT_LEN + 1];
    memset(hash, 'z', TLY_BCRYPT_LEN);
    hash[TLY_BCRYPT_LEN] = '\0';
    char prefix[16];
    (void)snprintf(prefix, sizeof(prefix), "$2b$%02d$", cost); /* two digits */
    memcpy(hash, prefix, PREFIX_LEN);
    unsigned char salt[SALT_LEN];
    tly_random_fill(salt, sizeof(salt));
    for (size_t i = 0; i + 1 < SALT_LEN; i++) {
        hash[PREFIX_LEN + i] = digits[salt[i] % 64];
    }
    hash[PREFIX_LEN + SALT_LEN - 1] = '.'; /* only two bits of the last digit count */
    policy->dummy_hash = strdup(hash);
    return policy->dummy_hash == NULL ? -ENOMEM : 0;
}

static int policy_finish(struct tly_web_policy *policy, struct tly_complaints *complaints)
{
    const struct tly_section *const *sections = tly_web_policy_sections;
    const struct tly_config *config = policy->config;
    policy->tls_settings = tly_config_section(config, sections[TLY_WEB_SECTION_TLS]);
    policy->http = tly_config_section(config, sections[TLY_WEB_SECTION_HTTP]);
    policy->users = tly_config_section(config, sections[TLY_WEB_SECTION_USERS]);
    policy->rate = tly_config_section(config, sections[TLY_WEB_SECTION_RATE]);
    int rc = make_dummy(policy);
    if (rc == 0 && policy->tls_settings->key != NULL) {
        struct tly_error err = {0};
        rc = tly_web_tls_new(policy->tls_settings, &policy->tls, &err);
        if (rc < 0 && rc != -ENOMEM) {
            tly_complain(complaints, 0, 0, "tls_server_config: %s", err.text);
            rc = TLY_E_MALFORMED;
        }
    }
    return rc;
}

/* Takes `config` over. */
static int policy_make(struct tly_config *config, const char *path,
                       struct tly_complaints *complaints, struct tly_web_policy **ret_policy)
{
    struct tly_web_policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL) {
        tly_config_free(config);
        return -ENOMEM;
    }
    policy->refs = 1;
    policy->config = config;
    policy->path = strdup(path);
    int rc = policy->path == NULL ? -ENOMEM : policy_finish(policy, complaints);
    if (rc < 0) {
        tly_web_policy_unref(policy);
        return rc;
    }
    *ret_policy = policy;
    return 0;
}

int tly_web_policy_parse(const char *text, size_t len, struct tly_complaints *complaints,
                         struct tly_web_policy **ret_policy)
{
    struct tly_config *config;
    int rc = tly_config_parse(tly_web_policy_sections, TLY_WEB_SECTIONS, text, len, complaints,
                              &config);
    return rc < 0 ? rc : policy_make(config, "", complaints, ret_policy);
}

static int say(const char *path, const struct tly_complaints *complaints, int rc,
               struct tly_error *err)
{
    if (rc != TLY_E_MALFORMED || complaints->count == 0) {
        return tly_error_set(err, rc, "%s: %s", path, tly_error_name(rc));
    }
    const struct tly_complaint *first = &complaints->at[0];
    char more[40] = "";
    char place[48] = "";
    if (complaints->count > 1) {
        (void)snprintf(more, sizeof(more), " (and %zu more)", complaints->count - 1);
    }
    if (first->line > 0) {
        (void)snprintf(place, sizeof(place), ":%zu:%zu", first->line, first->column);
    }
    return tly_error_set(err, rc, "%.150s%s: %.250s%s", path, place, first->text, more);
}

int tly_web_policy_load(const char *path, struct tly_complaints *complaints,
                        struct tly_web_policy **ret_policy, struct tly_error *err)
{
    struct tly_config *config;
    int rc = tly_config_load(tly_web_policy_sections, TLY_WEB_SECTIONS, path, complaints, &config,
                             err);
    if (rc == 0) {
        rc = policy_make(config, path, complaints, ret_policy);
    } else if (rc != TLY_E_MALFORMED) {
        return rc; /* said already */
    }
    return rc < 0 ? say(path, complaints, rc, err) : 0;
}

bool tly_web_policy_recognises(struct tly_text text)
{
    static struct tly_complaints complaints; /* large; what is said here is said again by `load` */
    struct tly_document document;
    complaints.count = 0;
    if (tly_document_parse(text, &complaints, &document) < 0) {
        return false;
    }
    bool found = false;
    const struct tly_yaml_node *root = document.root;
    for (size_t i = 0; root != NULL && root->kind == TLY_YAML_MAP && i < root->count; i += 2) {
        for (size_t j = 0; j < TLY_WEB_SECTIONS; j++) {
            found = found || strcmp(root->at[i]->text, tly_web_policy_sections[j]->key) == 0;
        }
    }
    tly_document_done(&document);
    return found;
}

bool tly_web_policy_authenticates(const struct tly_web_policy *policy)
{
    return policy->users->count > 0 ||
           (policy->tls != NULL &&
            policy->tls_settings->client_auth == TLY_WEB_REQUIRE_AND_VERIFY_CLIENT_CERT);
}

/* ---- change ---- */

static uint64_t mix_file(uint64_t sum, const char *path)
{
    struct stat status = {0};
    if (path == NULL) {
        return sum;
    }
    if (stat(path, &status) < 0) {
        return tly_hash_add(sum, "gone", 4);
    }
    int64_t parts[6] = {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec};
    parts[3] = status.st_ctim.tv_nsec;
    parts[4] = (int64_t)status.st_ino;
    parts[5] = status.st_size;
    return tly_hash_add(sum, parts, sizeof(parts));
}

uint64_t tly_web_policy_stamp(const char *path, const struct tly_web_policy *policy)
{
    uint64_t sum = mix_file(TLY_HASH_FIRST, path);
    if (policy != NULL) {
        sum = mix_file(sum, policy->tls_settings->cert_file);
        sum = mix_file(sum, policy->tls_settings->key_file);
        sum = mix_file(sum, policy->tls_settings->client_ca_file);
    }
    return sum;
}
