/*
 * The list of what is reached for. Docker's folder is looked for where its configuration or its
 * command line says, since the engine itself can be asked only when the sandbox stands already.
 */
#include "agent/reach.h"

#include "agent/base/buf.h"
#include "agent/base/file.h"
#include "agent/codec/json.h"
#include "agent/config/settings.h"
#include "agent/group_settings.h"
#include "agent/judge/settings.h"
#include "agent/loop/stream.h"
#include "agent/registry.h"
#include "agent/rights.h"
#include "agent/sandbox/settings.h"
#include "agent/web/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_ROOT_DEFAULT "/var/lib/docker"
#define DAEMON_FILE       "/etc/docker/daemon.json"
#define DAEMON_BYTES_MAX  (1 << 20)
#define COMMAND_BYTES_MAX 65536
#define PRIVILEGED_PORTS  1024 /* below it takes CAP_NET_BIND_SERVICE */
#define DOCKER_PORT       2375 /* of tcp:// without one */

/* What the C library, GnuTLS, libcurl and the collectors of the host read. Names of hosts, times
 * and trust; libraries that are loaded at need; the kernel's own trees. */
static const char *const folders[] = {"/proc",
                                      "/sys",
                                      "/usr",
                                      "/lib",
                                      "/lib64",
                                      "/etc/ssl",
                                      "/etc/pki",
                                      "/etc/ca-certificates",
                                      "/etc/gnutls",
                                      "/etc/crypto-policies",
                                      "/run/systemd/resolve",
                                      "/run/resolvconf",
                                      "/run/NetworkManager",
                                      "/run/nscd"};
static const char *const files[] = {
    "/etc/resolv.conf",   "/etc/hosts",    "/etc/host.conf", "/etc/gai.conf",
    "/etc/nsswitch.conf", "/etc/services", "/etc/protocols", "/etc/localtime",
    "/etc/ld.so.cache",   "/etc/passwd",   "/etc/group",     "/etc/os-release",
    "/etc/machine-id",    "/etc/hostname", "/dev/urandom",   "/dev/random"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void add_system(struct tly_needs *needs)
{
    struct stat status;
    for (size_t i = 0; i < COUNT(folders); i++) {
        if (stat(folders[i], &status) == 0) {
            tly_needs_folder(needs, folders[i], TLY_ACCESS_READ);
        }
    }
    for (size_t i = 0; i < COUNT(files); i++) {
        tly_needs_file(needs, files[i]);
    }
    tly_needs_folder(needs, "/dev/null", TLY_ACCESS_DEVICE);
}

/* ---- Docker's folder ---- */

static void add_daemon_file(struct tly_needs *needs)
{
    struct tly_buf buf;
    json_t *root = NULL;
    tly_buf_init(&buf, DAEMON_BYTES_MAX);
    if (tly_file_read(AT_FDCWD, DAEMON_FILE, &buf) == 0 &&
        tly_json_parse(tly_buf_text(&buf), &root, NULL) == 0) {
        TLY_AUTO_FREE char *path = tly_text_dup(tly_json_text_at(root, "data-root"));
        tly_needs_path(needs, path);
    }
    tly_json_free(root);
    tly_buf_done(&buf);
}

/* `--data-root X` or `--data-root=X` in a command line, whose arguments end in NUL. */
static void add_command_line(struct tly_needs *needs, struct tly_text line)
{
    const struct tly_text option = TLY_TEXT("--data-root");
    bool next = false;
    while (line.at != NULL) {
        struct tly_text argument = tly_text_cut(&line, '\0');
        struct tly_text value = {NULL, 0};
        if (next) {
            value = argument;
        } else if (tly_text_starts(argument, option) && argument.len > option.len &&
                   argument.at[option.len] == '=') {
            value = (struct tly_text){argument.at + option.len + 1, argument.len - option.len - 1};
        }
        next = tly_text_equal(argument, option);
        if (value.len > 0) {
            TLY_AUTO_FREE char *path = tly_text_dup(value);
            tly_needs_path(needs, path);
        }
    }
}

static void add_engines(struct tly_needs *needs)
{
    DIR *proc = opendir("/proc");
    for (const struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        char path[sizeof(entry->d_name) + 32];
        struct tly_buf buf;
        tly_buf_init(&buf, COMMAND_BYTES_MAX);
        (void)snprintf(path, sizeof(path), "%s/comm", entry->d_name); /* fits */
        bool engine = *entry->d_name >= '0' && *entry->d_name <= '9' &&
                      tly_file_read(dirfd(proc), path, &buf) == 0 &&
                      tly_text_equal(tly_text_trim(tly_buf_text(&buf)), TLY_TEXT("dockerd"));
        (void)snprintf(path, sizeof(path), "%s/cmdline", entry->d_name); /* fits */
        tly_buf_clear(&buf);
        if (engine && tly_file_read(dirfd(proc), path, &buf) == 0) {
            add_command_line(needs, tly_buf_text(&buf));
        }
        tly_buf_done(&buf);
    }
    if (proc != NULL) {
        (void)closedir(proc); /* nothing was written */
    }
}

static void add_docker(struct tly_needs *needs, const struct tly_docker_settings *docker)
{
    const struct tly_text tcp = TLY_TEXT("tcp://");
    struct tly_text host = tly_text_of(docker->host);
    struct tly_address address;
    if (tly_text_starts(host, tcp) &&
        tly_address_parse((struct tly_text){host.at + tcp.len, host.len - tcp.len}, DOCKER_PORT,
                          &address, NULL) == 0) {
        tly_needs_connect(needs, address.port);
    }
    if (docker->data_root == NULL) { /* else it is one of the configuration's files */
        tly_needs_folder(needs, DATA_ROOT_DEFAULT, TLY_ACCESS_READ);
        add_daemon_file(needs);
        add_engines(needs);
    }
}

/* ---- the other sections ---- */

/* The web server's own configuration names certificates. */
static void add_web(struct tly_needs *needs, const struct tly_web_settings *web)
{
    for (size_t i = 0; i < web->listen.count; i++) {
        struct tly_text text = tly_text_of(web->listen.at[i]);
        struct tly_address address;
        if (tly_text_starts(text, TLY_TEXT("systemd")) ||
            tly_address_parse(text, 0, &address, NULL) < 0) {
            continue;
        }
        if (address.path[0] != '\0') {
            tly_needs_socket(needs, address.path);
        } else {
            tly_needs_listen(needs, address.port);
        }
    }
    struct tly_web_policy *policy = NULL;
    struct tly_complaints complaints;
    if (web->config_file != NULL &&
        tly_web_policy_load(web->config_file, &complaints, &policy, NULL) == 0) {
        const struct tly_strings *named = tly_config_files(policy->config);
        for (size_t i = 0; i < named->count; i++) {
            tly_needs_path(needs, named->at[i]);
        }
    }
    tly_web_policy_unref(policy);
}

/* The folder in which a pattern begins to have wildcards. */
static void add_rules(struct tly_needs *needs, const struct tly_rules_settings *rules)
{
    for (size_t i = 0; i < rules->files.count; i++) {
        const char *pattern = rules->files.at[i];
        size_t plain = strcspn(pattern, "*?[");
        if (pattern[plain] == '\0') {
            tly_needs_file(needs, pattern);
            continue;
        }
        while (plain > 0 && pattern[plain] != '/') {
            plain--;
        }
        TLY_AUTO_FREE char *folder = plain > 0 ? strndup(pattern, plain) : strdup(".");
        if (folder == NULL) {
            needs->failed = -ENOMEM;
        } else {
            tly_needs_folder(needs, folder, TLY_ACCESS_READ);
        }
    }
}

static void add_modules(struct tly_needs *needs, const struct tly_config *config)
{
    for (size_t i = 0; tly_collectors[i] != NULL; i++) {
        if (tly_collectors[i]->needs != NULL) {
            tly_collectors[i]->needs(config, needs);
        }
    }
    for (size_t i = 0; tly_outputs[i] != NULL; i++) {
        if (tly_outputs[i]->needs != NULL) {
            tly_outputs[i]->needs(config, needs);
        }
    }
}

/* ---- capabilities ---- */

/* Whether groups of metrics are on that other processes are looked into for. */
static bool groups_look(const struct tly_config *config)
{
    static const char *const names[] = {"network",  "tcp",     "udp",   "advtcp", "tcp_losses",
                                        "suspects", "process", "sched", "cpuLoad"};
    struct tly_group_choice choice;
    tly_group_settings_choose(tly_config_section(config, &tly_group_section), &choice);
    for (size_t i = 0; i < COUNT(names); i++) {
        if (choice.on[tly_group_find(tly_text_of(names[i]))]) {
            return true;
        }
    }
    return false;
}

/* Root without CAP_DAC_OVERRIDE is a user like others, to whom a folder may be closed. */
static bool overrides(const struct tly_needs *needs)
{
    struct stat status;
    for (size_t i = 0; geteuid() == 0 && i < needs->path_count; i++) {
        if ((needs->paths[i].access & (TLY_ACCESS_WRITE | TLY_ACCESS_SOCKET)) != 0 &&
            stat(needs->paths[i].path, &status) == 0 && status.st_uid != 0) {
            return true;
        }
    }
    return false;
}

static void add_capabilities(struct tly_needs *needs)
{
    needs->capabilities = tly_rights_needed(needs->looks_into_processes);
    if (overrides(needs)) {
        needs->capabilities |= UINT64_C(1) << CAP_DAC_OVERRIDE;
    }
    for (uint16_t port = 1; port < PRIVILEGED_PORTS; port++) {
        if (tly_needs_has_port(needs->listen_ports, port)) {
            needs->capabilities |= UINT64_C(1) << CAP_NET_BIND_SERVICE;
        }
    }
}

void tly_reach(const struct tly_config *config, const char *config_path,
               struct tly_needs *ret_needs)
{
    const struct tly_settings *settings = tly_config_section(config, &tly_settings_section);
    const struct tly_sandbox_settings *sandbox = tly_config_section(config, &tly_sandbox_section);
    const struct tly_strings *named = tly_config_files(config);
    tly_needs_init(ret_needs);
    add_system(ret_needs);
    tly_needs_path(ret_needs, config_path);
    for (size_t i = 0; i < named->count; i++) {
        tly_needs_path(ret_needs, named->at[i]);
    }
    for (size_t i = 0; i < sandbox->read.count; i++) {
        tly_needs_path(ret_needs, sandbox->read.at[i]);
    }
    tly_needs_folder(ret_needs, settings->state_dir, TLY_ACCESS_READ | TLY_ACCESS_WRITE);
    add_docker(ret_needs, tly_config_section(config, &tly_docker_section));
    add_web(ret_needs, tly_config_section(config, &tly_web_section));
    add_rules(ret_needs, tly_config_section(config, &tly_rules_section));
    add_modules(ret_needs, config);
    ret_needs->looks_into_processes = ret_needs->looks_into_processes || groups_look(config);
    add_capabilities(ret_needs);
}
