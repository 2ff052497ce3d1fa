/*
 * Where a running agent can be asked, for commands that ask one: its address, and what TLS and
 * passwords stand before it, from the configuration that the agent itself reads, or as the command
 * line says.
 */
#ifndef TLY_COMMAND_TARGET_H
#define TLY_COMMAND_TARGET_H

#include "agent/command/command.h"
#include "agent/loop/fetch.h"
#include "agent/loop/stream.h"

#include <stdbool.h>

#define TLY_TARGET_URL_MAX  512
#define TLY_TARGET_PATH_MAX 4096

/* What the command line says of it; borrowed from there. NULL: nothing. */
struct tly_target_options {
    const char *config, *url, *ca_file, *cert_file, *key_file, *user, *password_file;
};

/* The rows of a command's table of arguments for these options. */
/* clang-format off */
#define TLY_TARGET_ARGUMENTS                                                                       \
    {'c', "config", "FILE",                                                                        \
     "The agent's configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the " \
     "defaults."},                                                                                 \
    {'u', "url", "URL", "Ask this address instead of the configured one."},                        \
    {'A', "ca-file", "FILE",                                                                       \
     "Trust the authorities in this file; without it the certificate that the configuration "      \
     "names, else those that the system trusts."},                                                 \
    {'C', "cert-file", "FILE", "The certificate to show where the agent asks for one."},           \
    {'K', "key-file", "FILE", "Its key."},                                                         \
    {'U', "user", "NAME", "The name for basic authentication."},                                   \
    {'P', "password-file", "FILE", "Its password, in a file that others must not read."}
/* clang-format on */

/* Takes one of these options; false: it is none of them. */
bool tly_target_option(struct tly_target_options *options, int letter, const char *value);

struct tly_target {
    char base_url[TLY_TARGET_URL_MAX];
    char path[TLY_TARGET_URL_MAX]; /* what stood behind the address in --url, or empty */
    char unix_socket[sizeof(((struct tly_address *)NULL)->path)]; /* empty: none */
    /* The web configuration file's certificate: who has its key is the agent, under any name. */
    char own_certificate[TLY_TARGET_PATH_MAX];
    bool asks_password;
    bool asks_certificate;
    struct tly_target_options options;
    char *basic_auth; /* "user:password"; NULL: none is given */
};

/* Finds the address and reads the password. TLY_EXIT_DONE, after which `done` is due; else the exit
 * code to end with: what is wrong is said. */
int tly_target_find(const struct tly_command *command, const struct tly_target_options *options,
                    struct tly_target *ret_target) TLY_CHECK;
/* Wipes the password. */
void tly_target_done(struct tly_target *target);

/* For agent/loop/fetch.h; borrows from `target`. */
struct tly_endpoint tly_target_endpoint(const struct tly_target *target);
/* The address for a person; borrowed. */
const char *tly_target_place(const struct tly_target *target);
/* What may help where no answer came ("; it asks for ..."), or "". */
const char *tly_target_advice(const struct tly_target *target);

#endif
