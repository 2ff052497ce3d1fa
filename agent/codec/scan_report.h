/*
 * Reports of vulnerability scanners, read as a stream: Trivy (JSON, schema 2), Grype and Clair 4,
 * told apart by their shape. Only what identifies the image and the counts are kept, so that a
 * report of any size needs the same small memory; descriptions and references are passed over.
 */
#ifndef TLY_CODEC_SCAN_REPORT_H
#define TLY_CODEC_SCAN_REPORT_H

#include "agent/base/error.h"
#include "agent/base/text.h"
#include "agent/codec/json_walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tly_scanner { TLY_SCANNER_UNKNOWN, TLY_SCANNER_TRIVY, TLY_SCANNER_GRYPE, TLY_SCANNER_CLAIR };
extern const char *const tly_scanner_names[]; /* "trivy", ... */

enum tly_vulnerability_severity {
    TLY_VULNERABILITY_UNKNOWN,
    TLY_VULNERABILITY_NEGLIGIBLE,
    TLY_VULNERABILITY_LOW,
    TLY_VULNERABILITY_MEDIUM,
    TLY_VULNERABILITY_HIGH,
    TLY_VULNERABILITY_CRITICAL,
    TLY_VULNERABILITY_SEVERITIES
};
extern const char *const tly_vulnerability_names[TLY_VULNERABILITY_SEVERITIES];

#define TLY_SCAN_NAMES_MAX 16
#define TLY_SCAN_NAME_MAX  320 /* of a reference with a digest */
/* Different vulnerabilities of one image; more are refused. */
#define TLY_SCAN_VULNERABILITIES_MAX 262144

struct tly_scan_report {
    enum tly_scanner scanner;
    char version[64];                                  /* of the scanner, or "" */
    char names[TLY_SCAN_NAMES_MAX][TLY_SCAN_NAME_MAX]; /* of the image: references */
    size_t name_count;
    char digests[TLY_SCAN_NAMES_MAX][TLY_SCAN_NAME_MAX]; /* ids and "sha256:…" digests */
    size_t digest_count;
    int64_t time_ns; /* realtime; 0: the report does not tell */
    int end_of_life; /* of the distribution: 1, 0, -1 not told */
    /* Different vulnerabilities by severity, without and with a fix; one that occurs with both has
     * one. And rows: one for each package that has it. */
    uint64_t unique[TLY_VULNERABILITY_SEVERITIES][2];
    uint64_t rows[TLY_VULNERABILITY_SEVERITIES][2];
};

struct tly_scan_reader; /* about 20 KiB, and 16 bytes for each different vulnerability */

int tly_scan_reader_new(struct tly_scan_reader **ret_reader) TLY_CHECK; /* -ENOMEM */
void tly_scan_reader_free(struct tly_scan_reader *reader);              /* NULL is fine */

/* The next bytes. TLY_E_MALFORMED, TLY_E_LIMIT, -ENOMEM; `err` tells why and where. */
int tly_scan_reader_feed(struct tly_scan_reader *reader, struct tly_text bytes,
                         struct tly_error *err) TLY_CHECK;
/* The end of the report. Errors as above; also for what is no report of a known kind. */
int tly_scan_reader_end(struct tly_scan_reader *reader, struct tly_scan_report *ret_report,
                        struct tly_error *err) TLY_CHECK;

#endif
