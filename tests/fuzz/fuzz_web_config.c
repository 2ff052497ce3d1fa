/*
 * Web configuration files: any bytes end in a policy or in complaints with a place inside the text,
 * and whatever TLS part was accepted makes a priority string.
 */
#include "agent/web/policy.h"
#include "agent/web/tls.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_complaints complaints; /* large, and overwritten each time */
    struct tly_web_policy *policy = NULL;
    /* Files that the text names are not to be read. */
    if (memmem(data, size, "_file", strlen("_file")) != NULL) {
        return 0;
    }
    int rc = tly_web_policy_parse((const char *)data, size, &complaints, &policy);
    if (rc < 0) {
        must(policy == NULL && (rc != TLY_E_MALFORMED || complaints.count > 0));
        for (size_t i = 0; i < tly_complaints_kept(&complaints); i++) {
            must(complaints.at[i].line <= size + 1 && *complaints.at[i].text != '\0');
        }
        return 0;
    }
    struct tly_buf priority;
    tly_buf_init(&priority, 4096);
    must(tly_web_tls_priority(policy->tls_settings, &priority) == 0);
    must((policy->users->count > 0) == (policy->dummy_hash != NULL));
    tly_buf_done(&priority);
    tly_web_policy_unref(policy);
    return 0;
}
