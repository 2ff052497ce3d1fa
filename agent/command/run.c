/*
 * `tallyman run`: the agent itself, until a signal ends it.
 */
#include "agent/command/command.h"
#include "agent/config/settings.h"
#include "agent/footprint.h"
#include "agent/loop/log.h"
#include "agent/loop/loop.h"
#include "agent/reach.h"
#include "agent/registry.h"
#include "agent/rights.h"
#include "agent/runner.h"
#include "agent/sandbox/sandbox.h"
#include "agent/state_dir.h"
#include "agent/supervision.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kernel files are held open, a dozen for each container. Kernels allow far more than this, but
 * tables of descriptors cost memory. */
#define DESCRIPTORS_MAX 262144

/* Chunks and other large buffers are mapped one by one, and given back when they are freed. Left to
 * itself glibc stops doing so after the first that is freed, and then memory stays taken in the
 * heaps of all threads. */
#define MAPPED_BYTES_MIN (256 << 10)
#define HEAP_SPARE_BYTES (1 << 20)

struct agent {
    struct tly_loop *loop;
    struct tly_runner *runner;
    struct tly_supervision *supervision;
    struct tly_signal *terminate, *interrupt, *hangup;
    struct tly_timer *settle;
    struct tly_sandbox sandbox;
    const char *config_path; /* NULL: the default place */
    bool hung_up_again;      /* while a reload was under way */
    bool stopping;
    bool clean;
    int code;
};

static void bound_heaps(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN); /* else it stays as it was */
    (void)mallopt(M_ARENA_MAX, 1); /* workers allocate little; a heap for each costs more */
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_BYTES);
#endif
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return;
    }
    rlim_t most = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
    if (limit.rlim_cur < most) {
        limit.rlim_cur = most;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* then it stays at what it was */
    }
}

static void stopped(void *arg, bool clean)
{
    struct agent *agent = arg;
    agent->clean = clean;
    tly_loop_stop(agent->loop);
}

static void begin_stop(struct agent *agent, const char *reason)
{
    if (!agent->stopping) {
        agent->stopping = true;
        if (agent->settle != NULL) {
            tly_timer_stop(agent->settle);
        }
        tly_supervision_stopping(agent->supervision, reason);
        tly_runner_stop(agent->runner, stopped, agent);
    }
}

static void caught(void *arg, int signum)
{
    struct agent *agent = arg;
    const char *name = signum == SIGINT ? "SIGINT" : "SIGTERM";
    if (agent->stopping) {
        /* What is acknowledged is kept on disk already; the rest is sent once more. */
        tly_log_warn("agent", "%s again: stopping at once", name);
        _exit(TLY_EXIT_NO);
    }
    tly_log_info("agent", "%s: stopping", name);
    begin_stop(agent, "Delivering what is under way");
}

static void settled(void *arg)
{
    (void)arg;
    tly_footprint_shrink();
}

/* ---- another configuration ---- */

#define MISTAKES_SHOWN 5

/* Reads the file that the agent was started with, as the start would. Mistakes are said in the log,
 * the first of them also by `err`. */
static int read_again(const struct agent *agent, struct tly_config **ret_config,
                      struct tly_error *err)
{
    size_t count = 0;
    const struct tly_section *const *sections = tly_sections(&count);
    struct tly_complaints complaints;
    const char *file = tly_command_config_file(agent->config_path);
    int rc = file ? tly_config_load(sections, count, file, &complaints, ret_config, err)
                  : tly_config_parse(sections, count, "", 0, &complaints, ret_config);
    if (rc == TLY_E_MALFORMED) {
        size_t kept = tly_complaints_kept(&complaints);
        for (size_t i = 0; i < kept && i < MISTAKES_SHOWN; i++) {
            tly_log_error("reload", "%s:%zu:%zu: %s", file, complaints.at[i].line,
                          complaints.at[i].column, complaints.at[i].text);
        }
        return tly_error_set(err, rc, "%s:%zu:%zu: %s%s", file, complaints.at[0].line,
                             complaints.at[0].column, complaints.at[0].text,
                             kept > 1 ? " (`tallyman check` shows the other mistakes)" : "");
    }
    return rc < 0 && !file ? tly_error_set(err, rc, "%s", tly_error_name(rc)) : rc;
}

static void collect_needs(const struct agent *agent, const struct tly_config *config,
                          struct tly_needs *ret_needs)
{
    const char *path = agent->config_path;
    tly_reach(config, path ? path : TLY_CONFIG_PATH_DEFAULT, ret_needs);
}

/* There is no way out of the sandbox: what the start did not ask for stays out of reach. */
static int check_sandbox(const struct agent *agent, const struct tly_config *config,
                         struct tly_error *err)
{
    struct tly_needs needs;
    collect_needs(agent, config, &needs);
    int rc = tly_sandbox_check(&agent->sandbox, &needs, err);
    tly_needs_done(&needs);
    return rc;
}

static int reload(void *arg, struct tly_error *err)
{
    struct agent *agent = arg;
    struct tly_config *config = NULL;
    tly_supervision_reloading(agent->supervision);
    int rc = read_again(agent, &config, err);
    rc = rc < 0 ? rc : check_sandbox(agent, config, err);
    if (rc < 0) {
        tly_runner_reload_failed(agent->runner);
    } else {
        rc = tly_runner_reload(agent->runner, config, err);
    }
    tly_config_free(config);
    if (rc < 0) {
        tly_log_error("reload", "%s; the agent goes on with the configuration that it had",
                      err->text);
        tly_supervision_reloaded(agent->supervision);
    }
    return rc;
}

static void settled_again(void *arg)
{
    struct agent *agent = arg;
    tly_log_info("reload", "the configuration is in force");
    tly_supervision_reloaded(agent->supervision);
    if (agent->hung_up_again) {
        struct tly_error err = {0};
        agent->hung_up_again = false;
        (void)reload(agent, &err); /* said in the log */
    }
}

/* Positions, states and queues are safe: whoever starts the agent again gets all of it. */
static void broken(void *arg, const struct tly_error *err)
{
    struct agent *agent = arg;
    tly_log_error("reload", "%s; the agent stops, to be started again", err->text);
    agent->code = TLY_EXIT_NO;
    begin_stop(agent, err->text);
}

static void hung_up(void *arg, int signum)
{
    struct agent *agent = arg;
    struct tly_error err = {0};
    (void)signum;
    tly_log_info("agent", "SIGHUP: reading the configuration anew");
    if (reload(agent, &err) == -EBUSY) {
        agent->hung_up_again = !agent->stopping;
    }
}

static const struct tly_runner_events runner_events = {
    .asked = reload,
    .settled = settled_again,
    .broken = broken,
};

/* ---- from start to end ---- */

static int start(struct agent *agent, struct tly_error *err)
{
    int rc = tly_signal_new(agent->loop, SIGTERM, caught, agent, &agent->terminate);
    if (rc == 0) {
        rc = tly_signal_new(agent->loop, SIGINT, caught, agent, &agent->interrupt);
    }
    if (rc == 0) {
        rc = tly_signal_new(agent->loop, SIGHUP, hung_up, agent, &agent->hangup);
    }
    if (rc < 0) {
        return tly_error_set(err, rc, "cannot wait for signals: %s", tly_error_name(rc));
    }
    rc = tly_timer_new(agent->loop, settled, agent, &agent->settle);
    if (rc < 0) {
        return tly_error_set(err, rc, "cannot make a timer: %s", tly_error_name(rc));
    }
    tly_runner_listen(agent->runner, &runner_events, agent);
    tly_timer_start(agent->settle, TLY_FOOTPRINT_AFTER_MS, TLY_FOOTPRINT_EVERY_MS);
    rc = tly_runner_start_outputs(agent->runner, err);
    return rc < 0 ? rc : tly_runner_start_collectors(agent->runner, err);
}

/* From the first start to the last stop; the exit code. */
static int serve(const struct tly_command *command, struct agent *agent, const char *state_dir)
{
    struct tly_error err = {0};
    agent->code = TLY_EXIT_DONE;
    if (start(agent, &err) < 0) {
        agent->code = tly_command_fail(command, "%s", err.text);
        begin_stop(agent, err.text);
    } else {
        tly_supervision_started(agent->supervision, agent->runner);
        tly_log_info("agent", "tallyman %s runs; its state is in %s", TLY_VERSION, state_dir);
    }
    tly_loop_run(agent->loop);
    if (!agent->clean) {
        /* Something still runs and holds what would have to be freed. */
        _exit(agent->code == TLY_EXIT_DONE ? TLY_EXIT_NO : agent->code);
    }
    if (agent->code == TLY_EXIT_DONE) {
        tly_log_info("agent", "stopped");
    }
    return agent->code;
}

/* From here on the agent can do what its configuration needs. */
static int enter_sandbox(struct agent *agent, const struct tly_config *config,
                         struct tly_error *err)
{
    struct tly_needs needs;
    collect_needs(agent, config, &needs);
    int rc = tly_sandbox_enter(&agent->sandbox, agent->loop,
                               tly_config_section(config, &tly_sandbox_section), &needs, err);
    tly_needs_done(&needs);
    if (rc == 0) {
        tly_sandbox_say(&agent->sandbox);
    }
    return rc;
}

static int run_agent(const struct tly_command *command, struct tly_config *config, const char *path)
{
    const struct tly_settings *settings = tly_config_section(config, &tly_settings_section);
    const struct tly_log_settings *log = tly_config_section(config, &tly_log_section);
    struct tly_error err = {0};
    struct tly_state_dir state = TLY_STATE_DIR_NONE;
    tly_log_set_level((enum tly_log_level)log->level);
    (void)umask(027); /* returns the old one, and never fails */
    raise_descriptor_limit();
    bound_heaps();
    tly_rights_raise();
    tly_rights_say();
    if (tly_state_dir_open(settings->state_dir, &state, &err) < 0) {
        return tly_command_fail(command, "%s", err.text);
    }
    struct agent agent = {.config_path = path};
    tly_sandbox_init(&agent.sandbox);
    int code;
    int rc = tly_loop_new(&agent.loop);
    if (rc < 0) {
        code = tly_command_fail(command, "cannot make the event loop: %s", tly_error_name(rc));
    } else if (enter_sandbox(&agent, config, &err) < 0 ||
               tly_supervision_new(agent.loop, &agent.supervision, &err) < 0 ||
               tly_runner_new(agent.loop, config, state.dir_fd, &agent.sandbox, &agent.runner,
                              &err) < 0) {
        code = tly_command_fail(command, "%s", err.text);
    } else {
        code = serve(command, &agent, settings->state_dir);
    }
    tly_timer_free(agent.settle);
    tly_signal_free(agent.terminate);
    tly_signal_free(agent.interrupt);
    tly_signal_free(agent.hangup);
    tly_supervision_free(agent.supervision);
    tly_runner_free(agent.runner);
    tly_loop_free(agent.loop);
    tly_sandbox_done(&agent.sandbox);
    tly_state_dir_close(&state);
    return code;
}

static const struct tly_argument arguments[] = {
    {'c', "config", "FILE",
     "The configuration; without it " TLY_CONFIG_PATH_DEFAULT " if that exists, else the "
     "defaults."},
    {0},
};

static int run(const struct tly_command *command, int argc, char **argv)
{
    const char *path = NULL;
    for (int letter; (letter = tly_arguments_next(command, argc, argv)) != TLY_ARGUMENTS_END;) {
        switch (letter) {
        case 'c':
            path = optarg;
            break;
        default:
            return tly_arguments_exit(letter);
        }
    }
    struct tly_config *config = NULL;
    int code = tly_command_config(command, path, &config);
    if (code == TLY_EXIT_DONE) {
        code = run_agent(command, config, path);
        tly_config_free(config);
    }
    return code;
}

const struct tly_command tly_command_run = {
    .name = "run",
    .summary = "Run the agent in the foreground",
    .help = "Watches the containers of this host until SIGTERM or SIGINT. Then logs under way get\n"
            "5 seconds to be delivered; a second signal ends it at once. SIGHUP applies a changed\n"
            "configuration, and rule files, whole or not at all.",
    .arguments = arguments,
    .run = run,
};
