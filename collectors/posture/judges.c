/*
 * What the functions that judge share; see judges.h. Pure.
 */
#include "collectors/posture/judges.h"

#include <stdio.h>
#include <string.h>

/* ---- what there is to judge by ---- */

static bool has(const void *part, const char *what, struct tly_verdict *verdict)
{
    if (!part) {
        tly_verdict_unknown(verdict, "the engine did not tell: no %s", what);
    }
    return part != NULL;
}

bool tly_judge_has_container(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    return has(facts->container, "GET /containers/{id}/json", verdict);
}

bool tly_judge_has_image(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    return has(facts->image, "GET /images/{id}/json", verdict);
}

bool tly_judge_has_info(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    return has(facts->info, "GET /info", verdict);
}

bool tly_facts_live(const struct tly_posture_facts *facts)
{
    return facts->process && facts->process->seen;
}

bool tly_judge_has_process(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_facts_live(facts)) {
        tly_verdict_unknown(verdict, "its processes could not be looked at: %s",
                            facts->process ? facts->process->why : "nobody looked");
        return false;
    }
    return true;
}

bool tly_judge_has_rootfs(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->rootfs || !facts->rootfs->seen) {
        tly_verdict_unknown(verdict, "its file system could not be looked at: %s",
                            facts->rootfs ? facts->rootfs->why : "no container of it runs");
        return false;
    }
    return true;
}

bool tly_judge_has_host(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!facts->host || !facts->host->local) {
        tly_verdict_unknown(verdict, "%s",
                            facts->host ? "the engine is on another host" : "nobody looked");
        return false;
    }
    return true;
}

/* ---- security options ---- */

struct tly_text tly_facts_security(const struct tly_posture_facts *facts, const char *name)
{
    const json_t *options = tly_json_at(facts->info, "SecurityOptions");
    struct tly_text wanted = tly_text_of(name);
    for (size_t i = 0; i < tly_json_count(options); i++) {
        struct tly_text option = tly_json_string(tly_json_item(options, i));
        struct tly_text rest = option;
        struct tly_text first = option.at ? tly_text_cut(&rest, ',') : option;
        /* Engines before 1.13 wrote the bare name. */
        if (tly_text_starts(first, TLY_TEXT("name="))) {
            first = (struct tly_text){first.at + 5, first.len - 5};
        }
        if (option.at && tly_text_equal(first, wanted)) {
            return option;
        }
    }
    return (struct tly_text){NULL, 0};
}

bool tly_facts_option(const struct tly_posture_facts *facts, const char *name,
                      struct tly_text *ret_value)
{
    const json_t *options = tly_json_at(facts->container, "HostConfig.SecurityOpt");
    struct tly_text wanted = tly_text_of(name);
    for (size_t i = 0; i < tly_json_count(options); i++) {
        struct tly_text option = tly_json_string(tly_json_item(options, i));
        if (!option.at || !tly_text_starts(option, wanted)) {
            continue;
        }
        struct tly_text rest = {option.at + wanted.len, option.len - wanted.len};
        if (rest.len > 0 && rest.at[0] != '=' && rest.at[0] != ':') {
            continue;
        }
        *ret_value = rest.len > 0 ? (struct tly_text){rest.at + 1, rest.len - 1} : rest;
        return true;
    }
    return false;
}

/* ---- the daemon's settings ---- */

/* The value of "--key=value" or of "--key" with the value behind it. */
static struct tly_text argument(struct tly_text arguments, struct tly_text key)
{
    for (struct tly_text rest = arguments; rest.at && rest.len > 0;) {
        struct tly_text word = tly_text_cut(&rest, '\0');
        if (word.len < key.len + 2 || !tly_text_starts(word, TLY_TEXT("--"))) {
            continue;
        }
        struct tly_text name = {word.at + 2, word.len - 2};
        if (!tly_text_starts(name, key)) {
            continue;
        }
        if (name.len > key.len && name.at[key.len] == '=') {
            return (struct tly_text){name.at + key.len + 1, name.len - key.len - 1};
        }
        if (name.len == key.len) {
            struct tly_text value = rest.at ? tly_text_cut(&rest, '\0') : TLY_TEXT("");
            return value.len > 0 && value.at[0] != '-' ? value : TLY_TEXT("true");
        }
    }
    return (struct tly_text){NULL, 0};
}

struct tly_text tly_facts_daemon(const struct tly_posture_facts *facts, const char *key)
{
    const struct tly_host_facts *host = facts->host;
    if (!host) {
        return (struct tly_text){NULL, 0};
    }
    struct tly_text given = argument(host->arguments, tly_text_of(key));
    if (given.at) {
        return given;
    }
    const json_t *value = tly_json_at(host->settings, key);
    if (tly_json_is_array(value)) {
        value = tly_json_item(value, 0);
    }
    switch (value ? tly_json_truth_at(host->settings, key) : -1) {
    case 1:
        return TLY_TEXT("true");
    case 0:
        return TLY_TEXT("false");
    default:
        return tly_json_string(value);
    }
}

/* ---- words and names ---- */

bool tly_json_has_word(const json_t *array, const char *word)
{
    for (size_t i = 0; i < tly_json_count(array); i++) {
        struct tly_text text = tly_json_string(tly_json_item(array, i));
        if (text.at && text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0) {
            return true;
        }
    }
    return false;
}

bool tly_text_globs(const struct tly_strings *patterns, struct tly_text text)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (tly_text_glob(tly_text_of(patterns->at[i]), text)) {
            return true;
        }
    }
    return false;
}

void tly_names_push(struct tly_fact_names *names, struct tly_text name)
{
    if (names->count < TLY_FACT_NAMES) {
        (void)snprintf(names->at[names->count], TLY_FACT_NAME_MAX, "%.*s", TLY_TEXT_ARGS(name));
    }
    names->count++;
}

void tly_names_add(struct tly_fact_names *names, struct tly_text name)
{
    for (size_t i = 0; i < names->count && i < TLY_FACT_NAMES; i++) {
        if (tly_text_equal(name, tly_text_of(names->at[i]))) {
            return;
        }
    }
    tly_names_push(names, name);
}

struct tly_names_text tly_names_text(const struct tly_fact_names *names)
{
    struct tly_names_text to = {""};
    size_t len = 0;
    size_t shown = 0;
    for (; shown < names->count && shown < TLY_FACT_NAMES; shown++) {
        size_t need = strlen(names->at[shown]) + 2 + sizeof(" and 99999 more");
        if (shown > 0 && len + need > sizeof(to.text)) {
            break;
        }
        len += (size_t)snprintf(to.text + len, sizeof(to.text) - len, "%s%s", shown > 0 ? ", " : "",
                                names->at[shown]);
    }
    if (shown < names->count && len < sizeof(to.text)) {
        (void)snprintf(to.text + len, sizeof(to.text) - len, " and %zu more",
                       names->count - shown); /* room was kept */
    }
    return to;
}

/* ---- capabilities ---- */

const char *const tly_cap_names[TLY_CAP_COUNT] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

uint64_t tly_caps_escape(void)
{
    static const char *const names[] = {"SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO",       "SYS_PTRACE",
                                        "SYS_BOOT",  "SYSLOG",     "DAC_READ_SEARCH", "NET_ADMIN",
                                        "BPF",       "PERFMON"};
    uint64_t caps = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        caps |= tly_cap_bit(tly_text_of(names[i]));
    }
    return caps;
}

uint64_t tly_cap_bit(struct tly_text name)
{
    if (name.len > 4 && strncasecmp(name.at, "CAP_", 4) == 0) {
        name = (struct tly_text){name.at + 4, name.len - 4};
    }
    if (name.len == 3 && strncasecmp(name.at, "ALL", 3) == 0) {
        return TLY_CAPS_ALL;
    }
    for (size_t i = 0; i < TLY_CAP_COUNT; i++) {
        if (name.len == strlen(tly_cap_names[i]) &&
            strncasecmp(name.at, tly_cap_names[i], name.len) == 0) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

struct tly_names_text tly_caps_text(uint64_t caps)
{
    struct tly_fact_names names = {0};
    if ((caps & TLY_CAPS_ALL) == TLY_CAPS_ALL) {
        return (struct tly_names_text){"all of them"};
    }
    for (size_t i = 0; i < TLY_CAP_COUNT; i++) {
        if (caps >> i & 1) {
            tly_names_add(&names, tly_text_of(tly_cap_names[i]));
        }
    }
    return tly_names_text(&names);
}

/* ---- users ---- */

bool tly_user_is_root(struct tly_text user)
{
    struct tly_text rest = user;
    struct tly_text name = user.len > 0 ? tly_text_cut(&rest, ':') : user;
    uint64_t number = 1;
    return name.len == 0 || tly_text_equal(name, TLY_TEXT("root")) ||
           (tly_text_u64(name, &number) == 0 && number == 0);
}
