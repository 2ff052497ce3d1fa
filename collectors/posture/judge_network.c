/*
 * Checks of a container: published ports, listeners and networks.
 */
#include "collectors/posture/judges.h"

#include <stdio.h>
#include <string.h>

#define NETWORKS_MANY   3
#define NETWORK_FANOUT  20
#define PORT_SYSTEM_END 1024 /* below are the ports of the system's services */

/* ---- published ports ---- */

struct published {
    struct tly_text inner; /* "80/tcp" */
    struct tly_text address;
    uint64_t port;
};

/* Calls for each published port: of the running container, else as asked for. */
static void each_published(const struct tly_posture_facts *facts,
                           void (*fn)(void *arg, const struct published *published), void *arg)
{
    const char *inner = NULL;
    const json_t *bindings = NULL;
    const json_t *ports = tly_json_at(facts->container, "NetworkSettings.Ports");
    bool live = tly_json_truth_at(facts->container, "State.Running") == 1 &&
                tly_json_count(ports) > 0;
    if (!live) {
        ports = tly_json_at(facts->container, "HostConfig.PortBindings");
    }
    for (void *at = NULL; tly_json_next(ports, &at, &inner, &bindings);) {
        for (size_t i = 0; i < tly_json_count(bindings); i++) {
            const json_t *binding = tly_json_item(bindings, i);
            struct published published = {
                .inner = tly_text_of(inner),
                .address = tly_json_text_at(binding, "HostIp"),
            };
            if (tly_text_u64(tly_json_text_at(binding, "HostPort"), &published.port) < 0) {
                published.port = 0; /* not chosen yet */
            }
            fn(arg, &published);
        }
    }
}

static bool is_wildcard(struct tly_text address)
{
    return address.len == 0 || tly_text_equal(address, TLY_TEXT("0.0.0.0")) ||
           tly_text_equal(address, TLY_TEXT("::")) || tly_text_equal(address, TLY_TEXT("[::]"));
}

/* "0.0.0.0:8080->80/tcp" */
static void add_port(struct tly_fact_names *names, const struct published *published)
{
    char text[TLY_FACT_NAME_MAX];
    bool v6 = published->address.len > 0 &&
              memchr(published->address.at, ':', published->address.len);
    (void)snprintf(text, sizeof(text), "%s%.*s%s:%llu->%.*s", v6 ? "[" : "",
                   published->address.len > 0 ? (int)published->address.len : 1,
                   published->address.len > 0 ? published->address.at : "*", v6 ? "]" : "",
                   (unsigned long long)published->port,
                   TLY_TEXT_ARGS(published->inner)); /* cut to fit */
    tly_names_add(names, tly_text_of(text));
}

static void add_wildcard(void *arg, const struct published *published)
{
    if (is_wildcard(published->address)) {
        add_port(arg, published);
    }
}

void tly_judge_published_wildcard(const struct tly_posture_facts *facts,
                                  struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    each_published(facts, add_wildcard, &names);
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

static bool is_sensitive_port(struct tly_text inner)
{
    static const uint64_t ports[] = {22, 2375, 2376, 3306, 5432, 6379, 9200, 11211, 27017, 5900};
    struct tly_text rest = inner;
    uint64_t port = 0;
    if (inner.len == 0 || tly_text_u64(tly_text_cut(&rest, '/'), &port) < 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        if (ports[i] == port) {
            return true;
        }
    }
    return false;
}

static void add_sensitive(void *arg, const struct published *published)
{
    if (is_wildcard(published->address) && is_sensitive_port(published->inner)) {
        add_port(arg, published);
    }
}

void tly_judge_published_sensitive_port(const struct tly_posture_facts *facts,
                                        struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    each_published(facts, add_sensitive, &names);
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

static void add_system_port(void *arg, const struct published *published)
{
    if (published->port > 0 && published->port < PORT_SYSTEM_END && published->port != 80 &&
        published->port != 443) {
        add_port(arg, published);
    }
}

void tly_judge_privileged_ports(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    each_published(facts, add_system_port, &names);
    if (names.count > 0) {
        tly_verdict_fail(verdict, "%s", tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_publish_all(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    switch (tly_json_truth_at(facts->container, "HostConfig.PublishAllPorts")) {
    case 1:
        tly_verdict_fail(verdict, "all declared ports are published (-P)");
        return;
    case 0:
        tly_verdict_ok(verdict);
        return;
    default:
        tly_verdict_unknown(verdict, "this engine does not tell HostConfig.PublishAllPorts");
    }
}

/* ---- listeners ---- */

static bool is_declared(const struct tly_posture_facts *facts, const struct tly_listener *listener)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "%u/%s", listener->port, listener->udp ? "udp" : "tcp");
    return tly_json_at(tly_json_at(facts->container, "Config.ExposedPorts"), name) ||
           tly_json_at(tly_json_at(facts->container, "HostConfig.PortBindings"), name);
}

void tly_judge_undeclared_listener(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    struct tly_fact_names names = {0};
    if (!tly_judge_has_container(facts, verdict) || !tly_judge_has_process(facts, verdict)) {
        return;
    }
    const struct tly_process_facts *process = facts->process;
    if (process->shared[TLY_NS_NET] == 1) {
        tly_verdict_na(verdict, "it uses the network of the host");
        return;
    }
    if (tly_text_starts(tly_json_text_at(facts->container, "HostConfig.NetworkMode"),
                        TLY_TEXT("container:"))) {
        tly_verdict_na(verdict, "it uses the network of another container");
        return;
    }
    if (process->listeners_seen != 1) {
        tly_verdict_unknown(verdict, "its sockets could not be listed");
        return;
    }
    for (size_t i = 0; i < process->listener_count; i++) {
        char name[16];
        if (!is_declared(facts, &process->listeners[i])) {
            (void)snprintf(name, sizeof(name), "%u/%s", process->listeners[i].port,
                           process->listeners[i].udp ? "udp" : "tcp");
            tly_names_add(&names, tly_text_of(name));
        }
    }
    if (names.count > 0) {
        tly_verdict_fail(verdict, "listens on %s, which is not declared",
                         tly_names_text(&names).text);
    } else {
        tly_verdict_ok(verdict);
    }
}

/* ---- networks ---- */

static const json_t *networks_of(const struct tly_posture_facts *facts)
{
    return tly_json_at(facts->container, "NetworkSettings.Networks");
}

void tly_judge_default_bridge(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    struct tly_text mode = tly_json_text_at(facts->container, "HostConfig.NetworkMode");
    bool attached = tly_json_at(networks_of(facts), "bridge") != NULL;
    bool running = tly_json_truth_at(facts->container, "State.Running") == 1;
    bool asked = tly_text_equal(mode, TLY_TEXT("default")) ||
                 tly_text_equal(mode, TLY_TEXT("bridge"));
    /* One that runs may have been disconnected from what it was started with. */
    if (attached || (asked && !running && tly_json_count(networks_of(facts)) == 0)) {
        tly_verdict_fail(verdict, "attached to the network `bridge`");
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_legacy_links(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const json_t *links = tly_json_at(facts->container, "HostConfig.Links");
    if (tly_json_count(links) > 0) {
        tly_verdict_fail(verdict, "linked: %.*s",
                         TLY_TEXT_ARGS(tly_json_string(tly_json_item(links, 0))));
    } else {
        tly_verdict_ok(verdict);
    }
}

void tly_judge_network_multi_homed(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    size_t count = tly_json_count(networks_of(facts));
    if (count >= NETWORKS_MANY) {
        tly_verdict_fail(verdict, "on %zu networks", count);
    } else {
        tly_verdict_ok(verdict);
    }
}

static const struct tly_crowd_network *crowd_network(const struct tly_crowd *crowd,
                                                     const char *name)
{
    for (size_t i = 0; i < crowd->network_count; i++) {
        if (strcmp(crowd->networks[i].name, name) == 0) {
            return &crowd->networks[i];
        }
    }
    return NULL;
}

void tly_judge_network_fanout(const struct tly_posture_facts *facts, struct tly_verdict *verdict)
{
    const char *name = NULL;
    const json_t *network = NULL;
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    const struct tly_crowd *crowd = facts->crowd;
    if (!crowd || !crowd->whole) {
        tly_verdict_unknown(verdict, "not all containers were looked at");
        return;
    }
    for (void *at = NULL; tly_json_next(networks_of(facts), &at, &name, &network);) {
        const struct tly_crowd_network *found = crowd_network(crowd, name);
        if (!found || strcmp(name, "host") == 0 || strcmp(name, "none") == 0) {
            continue;
        }
        if (found->members > NETWORK_FANOUT) {
            tly_verdict_fail(verdict, "network %s has %zu members", name, found->members);
            return;
        }
        /* With a handful of containers one network may well be one application. */
        if (found->members == crowd->running && crowd->running > 5) {
            tly_verdict_fail(verdict, "network %s holds all %zu containers", name, crowd->running);
            return;
        }
    }
    tly_verdict_ok(verdict);
}

static bool is_database(struct tly_text image)
{
    static const char *const names[] = {"postgres", "mysql",         "mariadb",  "redis",
                                        "mongo",    "elasticsearch", "rabbitmq", "memcached"};
    struct tly_text rest = image;
    struct tly_text last = image;
    while (rest.at && rest.len > 0) {
        last = tly_text_cut(&rest, '/');
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tly_text name = tly_text_of(names[i]);
        if (last.at && tly_text_starts(last, name) &&
            (last.len == name.len || strchr(":@-", last.at[name.len]))) {
            return true;
        }
    }
    return false;
}

static void count_published(void *arg, const struct published *published)
{
    (void)published;
    ++*(size_t *)arg;
}

void tly_judge_network_internal_db(const struct tly_posture_facts *facts,
                                   struct tly_verdict *verdict)
{
    const char *name = NULL;
    const json_t *network = NULL;
    size_t published = 0;
    if (!tly_judge_has_container(facts, verdict)) {
        return;
    }
    if (!is_database(tly_json_text_at(facts->container, "Config.Image"))) {
        tly_verdict_na(verdict, "no image of a database");
        return;
    }
    each_published(facts, count_published, &published);
    if (published > 0) {
        tly_verdict_fail(verdict, "a database with a published port");
        return;
    }
    for (void *at = NULL;
         facts->crowd && tly_json_next(networks_of(facts), &at, &name, &network);) {
        const struct tly_crowd_network *found = crowd_network(facts->crowd, name);
        if (found && !found->internal && found->published > 0) {
            tly_verdict_fail(verdict, "network %s has %zu containers with published ports", name,
                             found->published);
            return;
        }
    }
    tly_verdict_ok(verdict);
}
