/*
 * Files of rule tests, and the shorthand for series in them: what is read can be asked for, what is
 * not has a complaint. Shorthand such as `1+1x1000000000` unfolds to a bounded number of values.
 */
#include "agent/rules/rule_test_file.h"
#include "agent/rules/series_values.h"

#include <stdlib.h>

#define UNFOLDED_MAX 4 /* of a file: a million values each take their time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unfold(const struct tly_test_series *series)
{
    struct tly_error err;
    struct tly_series_value *values = NULL;
    size_t count = 0;
    if (tly_series_values_parse(series->values, &values, &count, &err) == 0) {
        if (count > TLY_SERIES_VALUES_MAX || (count > 0 && !values)) {
            abort();
        }
        free(values);
    }
    struct tly_symbols *symbols = tly_symbols_new(1 << 20);
    struct tly_labels labels;
    if (!symbols) {
        abort();
    }
    if (tly_series_labels_parse(symbols, series->series, &labels, &err) == 0) {
        tly_labels_drop(symbols, &labels);
    }
    tly_symbols_free(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tly_complaints complaints;
    struct tly_text text = {size > 0 ? (const char *)data : "", size};
    struct tly_test_file file;
    complaints.count = 0;
    int rc = tly_test_file_read(text, &complaints, &file);
    if (rc < 0) {
        if (rc == TLY_E_MALFORMED && complaints.count == 0) {
            abort();
        }
        return 0;
    }
    size_t unfolded = 0;
    for (size_t i = 0; i < file.test_count; i++) {
        for (size_t k = 0; k < file.tests[i].series_count && unfolded < UNFOLDED_MAX; k++) {
            unfold(&file.tests[i].series[k]);
            unfolded++;
        }
    }
    tly_test_file_done(&file);
    return 0;
}
