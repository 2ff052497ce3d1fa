/*
 * The table of `sandbox:`.
 */
#include "agent/sandbox/settings.h"

#include "agent/sandbox/sandbox.h"

#include <errno.h>
#include <string.h>

static int verify_layer(const char *value, struct tly_error *err)
{
    for (size_t i = 0; i < TLY_LAYERS; i++) {
        if (strcmp(value, tly_layer_names[i]) == 0) {
            return 0;
        }
    }
    return tly_error_set(err, -EINVAL,
                         "`%.60s` is none of capabilities, no_new_privs, landlock, seccomp", value);
}

static int verify_folder(const char *value, struct tly_error *err)
{
    return *value == '/' ? 0 : tly_error_set(err, -EINVAL, "the path has to be absolute");
}

static const struct tly_option rows[] = {
    {.key = "enabled",
     .type = TLY_OPTION_BOOL,
     .offset = offsetof(struct tly_sandbox_settings, enabled),
     .fallback = "true",
     .help = "Whether the agent gives up, at its start, what this configuration does not need. "
             "What the kernel lacks is left out, and said in the log."},
    {.key = "layers",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_sandbox_settings, layers),
     .fallback = "[capabilities, no_new_privs, landlock, seccomp]",
     .verify = verify_layer,
     .help = "Which of them: `capabilities` that no feature needs are dropped; `no_new_privs` "
             "keeps them away for good; `landlock` bounds which files and TCP ports can be "
             "reached; `seccomp` which system calls can be made. See SECURITY.md."},
    {.key = "read",
     .type = TLY_OPTION_STRINGS,
     .offset = offsetof(struct tly_sandbox_settings, read),
     .verify = verify_folder,
     .help = "Folders and files that may be read beside those that the rest of the configuration "
             "names: what a later version of it will need without a new start, or a data root that "
             "only the engine knows."},
    {.key = NULL},
};

const struct tly_section tly_sandbox_section = {
    .key = "sandbox",
    .type = TLY_OPTION_SECTION,
    .restart = true,
    .options = rows,
    .size = sizeof(struct tly_sandbox_settings),
    .help = "What the agent keeps itself from doing, so that somebody who takes it over by what it "
            "reads gains little.",
};
