/*
 * The page on posture, from the table of checks; see reference.h.
 */
#include "collectors/posture/reference.h"

#include "collectors/posture/check.h"

#include <string.h>

static const char preamble[] =
    "# Posture\n"
    "\n"
    "<!-- Written by `tallyman check --print posture` from the table in the source. -->\n"
    "\n"
    "Is this container set up safely, and is its image? `tallyman audit` answers once, for a "
    "person\n"
    "or a CI job; `tallyman run` answers all the time: a container is judged again when it "
    "changes,\n"
    "and everything every `posture.sweep`. Nothing is executed, in containers or on the host: the\n"
    "agent asks the Docker API (GET only) and reads procfs.\n"
    "\n"
    "A check has one of five verdicts. **pass**; **fail**; **na**: the question makes no sense "
    "here;\n"
    "**unknown**: it could not be decided, and the message says why; **waived**: it fails, and "
    "the\n"
    "configuration says that it may. What the kernel enforces counts more than what was asked "
    "for:\n"
    "a program that gave up root after its start is not root, and a limit that the kernel does "
    "not\n"
    "know is none. Without rights to look into procfs (root, or CAP_SYS_PTRACE with\n"
    "CAP_DAC_READ_SEARCH) the checks that need it are unknown; all others go on.\n"
    "\n"
    "```sh\n"
    "tallyman audit                                  # everything on this host\n"
    "tallyman audit --container web                  # one container\n"
    "tallyman audit --image registry.example/app:1.2 # one image, for a CI job\n"
    "docker inspect web >web.json && tallyman audit --inspect web.json   # elsewhere\n"
    "tallyman audit --format sarif --fail-on high >posture.sarif\n"
    "```\n"
    "\n"
    "Exit codes: 0 nothing fails, 1 something fails with at least the severity of `--fail-on` "
    "(`low`\n"
    "without it; `info` never counts), 2 it could not look.\n"
    "\n"
    "## Waivers\n"
    "\n"
    "```yaml\n"
    "posture:\n"
    "  waivers:\n"
    "    - checks: [readonly_rootfs, user_nonroot]\n"
    "      containers: [legacy-*]\n"
    "      reason: replaced by the end of the year\n"
    "      expires: \"2026-12-31\"\n"
    "```\n"
    "\n"
    "What is waived stays in every report and metric, as `waived` with its reason, and fails again "
    "on\n"
    "the day after `expires`. `posture.waiver_label` names a container label that may waive "
    "checks,\n"
    "too; it is off, because who sets labels is who is audited.\n"
    "\n"
    "## What comes out\n"
    "\n"
    "`--format json` and `/api/v1/findings` are the same document: `version` (1; it grows when a\n"
    "member changes its meaning or goes), `tool`, `time`, `score`, `summary` (counts by status "
    "and\n"
    "severity) and `findings`, a row for each check and subject with `check`, `cis`, `severity`,\n"
    "`target` (container, image, daemon, host), `id`, `name`, `image`, `status`, `message`,\n"
    "`remediation`, `practices` and, where it is waived, `waiver` with `reason` and `expires`.\n"
    "`--format sarif` is SARIF 2.1.0, `--format junit` the XML that CI systems read.\n"
    "\n"
    "The score goes from 0 to 100: the share of what passes in all that could be decided, by "
    "weight\n"
    "(critical 10, high 5, medium 3, low 1, info 0).\n"
    "\n"
    "Secrets are found by the names of keys and the forms of tokens, and told by name and place. "
    "A\n"
    "value is never shown, stored or sent.\n";

static const char undecided[] =
    "\n## What is not decided\n"
    "\n"
    "- CIS 1.2.1, whether the host is hardened: another tool's work; kernel_hardening is a part.\n"
    "- CIS 4.2 without `posture.registries`: nobody but the operator knows whom they trust.\n"
    "- CIS 4.3, which packages are necessary: shells, package managers and build tools stand for "
    "it.\n"
    "- CIS 4.11 and 4.12, verified packages and artifacts: only what the history of the image "
    "shows.\n"
    "- CIS 5.9, which ports are needed: only whether they were declared.\n"
    "- CIS 5.28 against the registry: only against the images that are on the host.\n"
    "- CIS 7.3, encrypted overlay networks, and the rotation of keys and certificates (7.6, 7.8).\n"
    "- Audit rules that are loaded in the kernel: only the files that load them.\n"
    "- An image that no container runs: its file system is not looked into, so shells, "
    "set-user-id\n"
    "  files and the like are unknown.\n";

static const char *const target_titles[TLY_TARGET_COUNT] = {
    [TLY_TARGET_CONTAINER] = "Containers",
    [TLY_TARGET_IMAGE] = "Images",
    [TLY_TARGET_DAEMON] = "The engine",
    [TLY_TARGET_HOST] = "The host",
};

static int put(struct tly_buf *buf, const char *text)
{
    return tly_buf_append_text(buf, tly_text_of(text));
}

/* Inside a table's cell a bar would end it. */
static int put_cell(struct tly_buf *buf, const char *text)
{
    int rc = 0;
    for (struct tly_text rest = tly_text_of(text); rest.at && rc == 0;) {
        rc = tly_buf_append_text(buf, tly_text_cut(&rest, '|'));
        if (rc == 0 && rest.at) {
            rc = put(buf, "\\|");
        }
    }
    return rc;
}

static int put_check(struct tly_buf *buf, const struct tly_posture_check *check)
{
    int rc = tly_buf_printf(buf, "| `%s` | %s | %s | %s | ", check->id,
                            *check->cis ? check->cis : "–", tly_severity_names[check->severity],
                            check->practices);
    rc = rc < 0 ? rc : put_cell(buf, check->passes);
    rc = rc < 0 ? rc : put(buf, ". ");
    rc = rc < 0 ? rc : put_cell(buf, check->why);
    rc = rc < 0 ? rc : put(buf, ". | ");
    rc = rc < 0 ? rc : put_cell(buf, check->mend);
    return rc < 0 ? rc : put(buf, ". |\n");
}

static int put_target(struct tly_buf *buf, enum tly_target target)
{
    int rc = tly_buf_printf(
        buf,
        "\n## %s\n\n"
        "| check | CIS | severity | practices | what passes, and why it matters "
        "| what to do |\n| --- | --- | --- | --- | --- | --- |\n",
        target_titles[target]);
    for (size_t i = 0; i < TLY_POSTURE_COUNT && rc == 0; i++) {
        if (tly_posture_checks[i].target == target) {
            rc = put_check(buf, &tly_posture_checks[i]);
        }
    }
    return rc;
}

/* ---- maps ---- */

static bool has_word(const char *words, const char *word)
{
    for (struct tly_text rest = tly_text_of(words); rest.at && rest.len > 0;) {
        if (tly_text_equal(tly_text_cut(&rest, ' '), tly_text_of(word))) {
            return true;
        }
    }
    return false;
}

static int put_practices(struct tly_buf *buf)
{
    int rc = put(buf, "\n## From practices to checks\n\n| practice | checks |\n| --- | --- |\n");
    for (const struct tly_practice *practice = tly_practices; practice->code && rc == 0;
         practice++) {
        const char *before = "";
        rc = tly_buf_printf(buf, "| %s: %s | ", practice->code, practice->text);
        for (size_t i = 0; i < TLY_POSTURE_COUNT && rc == 0; i++) {
            if (has_word(tly_posture_checks[i].practices, practice->code)) {
                rc = tly_buf_printf(buf, "%s`%s`", before, tly_posture_checks[i].id);
                before = ", ";
            }
        }
        rc = rc < 0 ? rc : put(buf, " |\n");
    }
    return rc;
}

static bool seen_before(size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(tly_posture_checks[i].cis, tly_posture_checks[at].cis) == 0) {
            return true;
        }
    }
    return false;
}

/* "5.5" before "5.26": by both numbers. */
static int compare_numbers(const char *a, const char *b)
{
    return strverscmp(a, b);
}

static const char *next_number(const char *after)
{
    const char *next = NULL;
    for (size_t i = 0; i < TLY_POSTURE_COUNT; i++) {
        const char *cis = tly_posture_checks[i].cis;
        if (*cis && !seen_before(i) && (!after || compare_numbers(cis, after) > 0) &&
            (!next || compare_numbers(cis, next) < 0)) {
            next = cis;
        }
    }
    return next;
}

static int put_numbers(struct tly_buf *buf)
{
    int rc = put(buf, "\n## From CIS numbers to checks\n\n"
                      "Numbers of the CIS Docker Benchmark 1.6.0.\n\n"
                      "| CIS | checks |\n| --- | --- |\n");
    for (const char *cis = next_number(NULL); cis && rc == 0; cis = next_number(cis)) {
        const char *before = "";
        rc = tly_buf_printf(buf, "| %s | ", cis);
        for (size_t i = 0; i < TLY_POSTURE_COUNT && rc == 0; i++) {
            if (strcmp(tly_posture_checks[i].cis, cis) == 0) {
                rc = tly_buf_printf(buf, "%s`%s`", before, tly_posture_checks[i].id);
                before = ", ";
            }
        }
        rc = rc < 0 ? rc : put(buf, " |\n");
    }
    return rc;
}

int tly_posture_reference(struct tly_buf *buf)
{
    int rc = put(buf, preamble);
    for (enum tly_target target = TLY_TARGET_CONTAINER; target < TLY_TARGET_COUNT && rc == 0;
         target++) {
        rc = put_target(buf, target);
    }
    rc = rc < 0 ? rc : put(buf, undecided);
    rc = rc < 0 ? rc : put_practices(buf);
    return rc < 0 ? rc : put_numbers(buf);
}
