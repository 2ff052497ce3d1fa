/*
 * The functions that judge, one for each row of checks.def, and what they share. Private to
 * collectors/posture.
 */
#ifndef TLY_POSTURE_JUDGES_H
#define TLY_POSTURE_JUDGES_H

#include "collectors/posture/check.h"
#include "collectors/posture/facts.h"

#define TLY_POSTURE(id, cis, severity, target, practices, passes, why, mend)                       \
    void tly_judge_##id(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
#include "collectors/posture/checks.def"
#undef TLY_POSTURE

/* ---- the API's words ---- */

/* False, with the verdict `unknown`, where the engine told nothing of the container. */
bool tly_judge_has_container(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
bool tly_judge_has_image(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
bool tly_judge_has_info(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
/* False, with `unknown` and the reason, where the processes could not be looked at. */
bool tly_judge_has_process(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
bool tly_judge_has_rootfs(const struct tly_posture_facts *facts, struct tly_verdict *verdict);
bool tly_judge_has_host(const struct tly_posture_facts *facts, struct tly_verdict *verdict);

/* Whether the processes were looked at. */
bool tly_facts_live(const struct tly_posture_facts *facts);

/* "name=seccomp,profile=builtin" of /info's SecurityOptions by its name; {NULL, 0} without. */
struct tly_text tly_facts_security(const struct tly_posture_facts *facts, const char *name);

/* The first of the container's SecurityOpt that starts with `name` (before "=" or ":"); `ret_value`
 * is what stands behind, empty without any. */
bool tly_facts_option(const struct tly_posture_facts *facts, const char *name,
                      struct tly_text *ret_value);

/* Any element of the array of strings equal to `word`, case set aside. */
bool tly_json_has_word(const json_t *array, const char *word);

/* A value of the daemon's settings: of its command line first ("--log-level=x", "--log-level x"),
 * else of daemon.json. For a key that is a list there, the first. */
struct tly_text tly_facts_daemon(const struct tly_posture_facts *facts, const char *key);

/* The container as named for messages. */
#define TLY_TEXT_ARGS(text) (int)((text).len > 200 ? 200 : (text).len), (text).len ? (text).at : ""

/* ---- more than one check asks ---- */

/* Names in a message: "a, b, c and 4 more". */
struct tly_names_text {
    char text[200];
};
struct tly_names_text tly_names_text(const struct tly_fact_names *names);

#define TLY_CAP_COUNT 41 /* as of Linux 5.9: the last is CHECKPOINT_RESTORE */
extern const char *const tly_cap_names[TLY_CAP_COUNT];
#define TLY_CAPS_ALL     ((UINT64_C(1) << TLY_CAP_COUNT) - 1)
#define TLY_CAPS_DEFAULT UINT64_C(0xa80425fb) /* what Docker gives a container */
/* Capabilities that lead out of a container. */
uint64_t tly_caps_escape(void);
/* The bit of "SYS_ADMIN", "CAP_SYS_ADMIN" or all of them for "ALL"; 0 for an unknown name. */
uint64_t tly_cap_bit(struct tly_text name);
struct tly_names_text tly_caps_text(uint64_t caps);

/* Root by name or number, in the form of `USER`. */
bool tly_user_is_root(struct tly_text user);

#endif
