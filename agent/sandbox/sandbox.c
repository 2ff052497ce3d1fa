/*
 * The order of the layers: capabilities first, since dropping them takes some; no_new_privs, which
 * the two others demand of whoever has no CAP_SYS_ADMIN; then Landlock, for which workers are
 * started before when they are to stay outside; and seccomp at last, which binds all threads and
 * forbids what came before.
 */
#include "agent/sandbox/sandbox.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "agent/loop/log.h"
#include "agent/sandbox/layers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHO "sandbox"

/* Sanitizers trace their own process when it ends, and map memory in ways of their own; counts of
 * coverage are written at the end, where the build was. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(TLY_COVERAGE)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

const char *const tly_layer_names[TLY_LAYERS] = {
    [TLY_LAYER_CAPABILITIES] = "capabilities",
    [TLY_LAYER_NO_NEW_PRIVS] = "no_new_privs",
    [TLY_LAYER_LANDLOCK] = "landlock",
    [TLY_LAYER_SECCOMP] = "seccomp",
};

void tly_sandbox_init(struct tly_sandbox *sandbox)
{
    *sandbox = (struct tly_sandbox){0};
    tly_needs_init(&sandbox->allowed);
    for (size_t i = 0; i < TLY_LAYERS; i++) {
        (void)snprintf(sandbox->layers[i].why, TLY_LAYER_WHY_MAX, "off by configuration");
    }
}

void tly_sandbox_done(struct tly_sandbox *sandbox)
{
    tly_needs_done(&sandbox->allowed);
}

static bool is_wanted(const struct tly_sandbox_settings *settings, enum tly_layer layer)
{
    for (size_t i = 0; settings->enabled && i < settings->layers.count; i++) {
        if (strcmp(settings->layers.at[i], tly_layer_names[layer]) == 0) {
            return true;
        }
    }
    return false;
}

#define RESOLV_FILE "/etc/resolv.conf"

/*
 * A file that was replaced is another one, which Landlock does not let be read; the C library would
 * then take a name server on this host for the only one. It keeps to the one that it knows instead
 * (resolv.conf(5)), unless the file is a link into a folder that may be read.
 */
static void keep_name_servers(const struct tly_needs *needs)
{
    TLY_AUTO_FREE char *file = realpath(RESOLV_FILE, NULL);
    char *slash = file != NULL ? strrchr(file, '/') : NULL;
    const char *given = getenv("RES_OPTIONS");
    char options[256];
    if (slash == NULL || slash == file) {
        return;
    }
    *slash = '\0';
    int len = snprintf(options, sizeof(options), "%s%sno-reload", given != NULL ? given : "",
                       given != NULL ? " " : "");
    if (!tly_needs_cover(needs, file, TLY_ACCESS_READ) && len > 0 &&
        (size_t)len < sizeof(options)) {
        (void)setenv("RES_OPTIONS", options, 1); /* without memory nothing else would work either */
    }
}

static int enter_layer(struct tly_sandbox *sandbox, enum tly_layer layer, struct tly_loop *loop)
{
    const struct tly_needs *needs = &sandbox->allowed;
    char *why = sandbox->layers[layer].why;
    int rc = 0;
    switch (layer) {
    case TLY_LAYER_CAPABILITIES:
        rc = tly_layer_capabilities(needs->capabilities, why);
        return rc < 0 || SANITIZED ? rc : tly_layer_no_dumps();
    case TLY_LAYER_NO_NEW_PRIVS:
        return tly_layer_no_new_privs(why);
    case TLY_LAYER_LANDLOCK:
        keep_name_servers(needs);
        rc = needs->looks_into_processes ? tly_loop_start_workers(loop) : 0;
        rc = rc < 0 ? rc : tly_layer_landlock(needs, why);
        if (rc == 0 && needs->looks_into_processes) {
            size_t len = strlen(why);
            (void)snprintf(why + len, TLY_LAYER_WHY_MAX - len, /* fits */
                           ", not for the workers, which look into processes");
        }
        return rc;
    default:
        return tly_layer_seccomp(why);
    }
}

int tly_sandbox_enter(struct tly_sandbox *sandbox, struct tly_loop *loop,
                      const struct tly_sandbox_settings *settings, struct tly_needs *needs,
                      struct tly_error *err)
{
    if (needs->failed < 0) {
        return tly_error_set(err, needs->failed, "cannot make the sandbox: %s",
                             tly_error_name(needs->failed));
    }
    sandbox->allowed = *needs;
    tly_needs_init(needs);
    for (enum tly_layer layer = 0; layer < TLY_LAYERS; layer++) {
        char *why = sandbox->layers[layer].why;
        if (!is_wanted(settings, layer)) {
            continue;
        }
        if (SANITIZED && layer >= TLY_LAYER_LANDLOCK) {
            (void)snprintf(why, TLY_LAYER_WHY_MAX,
                           "built with a sanitizer or counts of coverage"); /* fits */
            continue;
        }
        why[0] = '\0';
        int rc = enter_layer(sandbox, layer, loop);
        if (rc < 0 && rc != -ENOSYS) {
            return tly_error_set(err, rc,
                                 "cannot make the sandbox, layer %s: %s; leave it out in "
                                 "sandbox.layers, or switch it off by `sandbox: {enabled: false}`",
                                 tly_layer_names[layer], tly_error_name(rc));
        }
        sandbox->layers[layer].on = rc == 0;
    }
    return 0;
}

void tly_sandbox_say(const struct tly_sandbox *sandbox)
{
    struct tly_buf text[2];
    for (size_t i = 0; i < 2; i++) {
        tly_buf_init(&text[i], TLY_LAYERS * (TLY_LAYER_WHY_MAX + 32));
    }
    int rc = 0;
    for (enum tly_layer layer = 0; layer < TLY_LAYERS; layer++) {
        struct tly_buf *to = &text[sandbox->layers[layer].on ? 0 : 1];
        const char *why = sandbox->layers[layer].why;
        rc = rc < 0
                 ? rc
                 : tly_buf_printf(to, "%s%s%s%s%s", to->len > 0 ? ", " : "", tly_layer_names[layer],
                                  *why ? " (" : "", why, *why ? ")" : "");
    }
    if (rc == 0) {
        struct tly_text on = tly_buf_text(&text[0]);
        struct tly_text off = tly_buf_text(&text[1]);
        tly_log_info(WHO, "on: %.*s%s%.*s", on.len > 0 ? (int)on.len : 7,
                     on.len > 0 ? on.at : "nothing", off.len > 0 ? "; off: " : "", (int)off.len,
                     off.len > 0 ? off.at : "");
    }
    tly_buf_done(&text[0]);
    tly_buf_done(&text[1]);
}

bool tly_sandbox_allows(const struct tly_sandbox *sandbox, const char *path, unsigned access)
{
    return sandbox == NULL || !sandbox->layers[TLY_LAYER_LANDLOCK].on ||
           tly_needs_cover(&sandbox->allowed, path, access);
}

/* Capabilities alone are gone, also without Landlock. */
int tly_sandbox_check(const struct tly_sandbox *sandbox, const struct tly_needs *wanted,
                      struct tly_error *err)
{
    if (wanted->failed < 0) {
        return tly_error_set(err, wanted->failed, "%s", tly_error_name(wanted->failed));
    }
    if (sandbox->layers[TLY_LAYER_LANDLOCK].on) {
        return tly_needs_within(wanted, &sandbox->allowed, err);
    }
    if (sandbox->layers[TLY_LAYER_CAPABILITIES].on &&
        (wanted->capabilities & ~sandbox->allowed.capabilities) != 0) {
        return tly_error_set(err, -EPERM,
                             "it needs rights that the agent gave up, as the configuration at the "
                             "start did not need them; start the agent anew");
    }
    return 0;
}
