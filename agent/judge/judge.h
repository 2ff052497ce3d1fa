/*
 * Rules at work: at each tick a snapshot goes to a worker, where the engine takes its samples and
 * evaluates what is due; what comes back is shown as metrics and over HTTP, told to those who
 * listen, and written into the log stream. One object per agent; for the loop's thread.
 */
#ifndef TLY_JUDGE_JUDGE_H
#define TLY_JUDGE_JUDGE_H

#include "agent/base/error.h"
#include "agent/delivery/delivery.h"
#include "agent/inventory/inventory.h"
#include "agent/judge/settings.h"
#include "agent/loop/loop.h"
#include "agent/model/alert.h"
#include "agent/web/route.h"

/* The file in the state directory. */
#define TLY_JUDGE_STATE_FILE "alerts"
/* The tag of alerts in the log stream. */
#define TLY_JUDGE_TAG "tallyman.alert"

struct tly_judge; /* opaque */

/* All borrowed, longer-lived than the judge. */
struct tly_judge_spec {
    struct tly_loop *loop;
    struct tly_inventory *inventory;
    struct tly_delivery *delivery;
    struct tly_alert_feed *feed;
    struct tly_config *config; /* of its settings the judge keeps a reference */
    int64_t tick_ms;           /* collect.interval */
    int state_dir_fd;          /* -1: states of alerts end with the process */
};

/* Reads the rule files: one with mistakes is left out, and said in the log. -ENOMEM, with `err`. */
int tly_judge_new(const struct tly_judge_spec *spec, struct tly_judge **ret_judge,
                  struct tly_error *err) TLY_CHECK;
/* Begins to tick. Not at all without rules. */
void tly_judge_start(struct tly_judge *judge);

/*
 * Another configuration, or the same with other rule files. `prepare` reads all of them and changes
 * nothing; a mistake in any is said in the log, and by `err`. `adopt` puts them in force as soon as
 * no evaluation is under way: the states of rules that are found again stay, and so does the
 * history that is still needed. `abandon` forgets them.
 */
struct tly_judge_plan;
int tly_judge_prepare(struct tly_judge *judge, struct tly_config *config, int64_t tick_ms,
                      struct tly_judge_plan **ret_plan, struct tly_error *err) TLY_CHECK;
void tly_judge_adopt(struct tly_judge *judge, struct tly_judge_plan *plan);
void tly_judge_abandon(struct tly_judge_plan *plan); /* NULL is fine */

/* Ends; `stopped` is called when nothing is under way any more, maybe from inside. */
void tly_judge_stop(struct tly_judge *judge, void (*stopped)(void *arg), void *arg);
/* After it has stopped, or without a start. NULL is fine. */
void tly_judge_free(struct tly_judge *judge);

/* /api/v1/rules and /api/v1/alerts; their `self` is the judge. Ends in a row with path NULL. */
extern const struct tly_route tly_judge_routes[];

#endif
