/*
 * The web configuration file while the server runs: looked at when somebody connects or asks, at
 * most once a second, and loaded again when it, or a certificate that it names, has changed. The
 * listeners stay open; connections that began before end after their present answer.
 */
#include "agent/base/clock.h"
#include "agent/web/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000

/*
 * Twice, because only the first tells which files belong to it: a stamp that was taken between the
 * two belongs to what the second has read, or to something older, upon which it is loaded again.
 */
static int load(const char *path, struct tly_web_policy **ret_policy, uint64_t *ret_stamp,
                struct tly_error *err)
{
    static struct tly_complaints complaints; /* large; the loop's thread only */
    struct tly_web_policy *first;
    int rc = tly_web_policy_load(path, &complaints, &first, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t stamp = tly_web_policy_stamp(path, first);
    tly_web_policy_unref(first);
    rc = tly_web_policy_load(path, &complaints, ret_policy, err);
    if (rc == 0) {
        *ret_stamp = stamp;
    }
    return rc;
}

int tly_web_policy_begin(struct tly_web *web, const char *path, struct tly_error *err)
{
    web->policy_path = strdup(path);
    if (web->policy_path == NULL) {
        return tly_error_set(err, -ENOMEM, "no memory for the web server");
    }
    int rc = load(path, &web->policy, &web->policy_stamp, err);
    if (rc < 0) {
        tly_error_prefix(err, "web.config_file");
        return rc;
    }
    web->policy_looked_ms = tly_loop_now_ms(web->loop);
    web->policy_loaded_s = tly_clock_realtime_ns() / TLY_NS_PER_S;
    return 0;
}

/* Waiting connections end at once, so that they come again under the new rules. */
static void policy_replace(struct tly_web *web, struct tly_web_policy *policy)
{
    struct tly_web_policy *old = web->policy;
    web->policy = policy;
    bool changed = (old->tls != NULL) != (policy->tls != NULL) ||
                   tly_web_policy_authenticates(old) != tly_web_policy_authenticates(policy);
    struct tly_web_connection *at;
    TAILQ_FOREACH(at, &web->connections, link)
    {
        if (at->phase == TLY_WEB_WAITING && at->served && at->request == NULL) {
            tly_web_connection_cut(at);
        }
    }
    tly_timer_start(web->run_timer, 0, 0);
    tly_web_policy_unref(old);
    if (changed) {
        tly_web_warn_exposed(web);
    }
}

static int policy_reload(struct tly_web *web, struct tly_error *err)
{
    struct tly_web_policy *policy;
    uint64_t stamp = 0;
    int rc = load(web->policy_path, &policy, &stamp, err);
    if (rc < 0) {
        return rc;
    }
    if (policy->tls != NULL && web->daemons[TLY_WEB_TLS].mhd == NULL) {
        rc = tly_web_daemon_start(web, TLY_WEB_TLS);
    }
    if (rc < 0) {
        tly_web_policy_unref(policy);
        return tly_error_set(err, rc, "can't begin with TLS: %s", tly_error_name(rc));
    }
    web->policy_stamp = stamp;
    web->policy_loaded_s = tly_clock_realtime_ns() / TLY_NS_PER_S;
    policy_replace(web, policy);
    return 0;
}

void tly_web_policy_look(struct tly_web *web)
{
    int64_t now_ms = tly_loop_now_ms(web->loop);
    if (web->policy_path == NULL || now_ms - web->policy_looked_ms < LOOK_MS) {
        return;
    }
    web->policy_looked_ms = now_ms;
    if (tly_web_policy_stamp(web->policy_path, web->policy) == web->policy_stamp &&
        !web->policy_failed) {
        return;
    }
    struct tly_error err = {0};
    if (policy_reload(web, &err) == 0) {
        web->policy_failed = false;
        web->policy_problem[0] = '\0';
        tly_log_info("web", "loaded again: %s", web->policy_path);
        return;
    }
    web->policy_failed = true;
    if (strcmp(web->policy_problem, err.text) != 0) {
        web->policy_failures++;
        memcpy(web->policy_problem, err.text, sizeof(web->policy_problem));
        tly_log_error("web", "%s; what was loaded before stays in use until that is mended",
                      err.text);
    }
}

int tly_web_policy_check(struct tly_web *web, struct tly_error *err)
{
    if (web->policy_path == NULL) {
        return 0;
    }
    if (tly_web_policy_stamp(web->policy_path, web->policy) == web->policy_stamp &&
        !web->policy_failed) {
        return 0; /* connections go on */
    }
    int rc = policy_reload(web, err);
    if (rc == 0) {
        web->policy_failed = false;
        web->policy_problem[0] = '\0';
    } else {
        tly_error_prefix(err, "web.config_file");
    }
    return rc;
}

void tly_web_warn_exposed(const struct tly_web *web)
{
    bool tls = web->policy != NULL && web->policy->tls != NULL;
    bool known = web->policy != NULL && tly_web_policy_authenticates(web->policy);
    char first[TLY_ADDRESS_TEXT_MAX] = "";
    char more[40] = "";
    size_t count = 0;
    for (size_t i = 0; i < web->listener_count; i++) {
        if (!tly_web_is_local(web->listeners[i].fd) && count++ == 0) {
            tly_web_socket_name(web->listeners[i].fd, first);
        }
    }
    if (count == 0 || (tls && known)) {
        return;
    }
    if (count > 1) {
        (void)snprintf(more, sizeof(more), " (and %zu more)", count - 1);
    }
    if (!known) {
        tly_log_warn("web",
                     "%s%s can be reached from other hosts, %s and without authentication: whoever "
                     "connects can read the names, images and figures of all containers; name a "
                     "web.config_file with tls_server_config and basic_auth_users, or listen on "
                     "127.0.0.1 only",
                     first, more, tls ? "with TLS" : "without TLS");
    } else {
        tly_log_warn("web",
                     "%s%s can be reached from other hosts without TLS: passwords and figures go "
                     "over the network in the clear; add tls_server_config to %s, or listen on "
                     "127.0.0.1 only",
                     first, more, web->policy_path);
    }
}
