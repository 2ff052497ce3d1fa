/*
 * Certificates for tests, made on the spot: an authority, and pairs of certificate and key that it
 * has signed, as PEM files.
 */
#ifndef TLY_TESTS_UNIT_LOOP_CERTIFICATES_H
#define TLY_TESTS_UNIT_LOOP_CERTIFICATES_H

struct authority; /* opaque */

/* Writes its own certificate to `ca_file`. */
struct authority *authority_new(const char *ca_file);
void authority_free(struct authority *authority);

/* Signs for one DNS name or IP address. `key_file` gets mode 0600. `days_left` below 0: expired. */
void authority_sign(struct authority *authority, const char *name, int days_left,
                    const char *cert_file, const char *key_file);

#endif
