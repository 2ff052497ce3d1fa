/* Certificates for tests, by GnuTLS. */
#include "tests/unit/loop/certificates.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

struct authority {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    unsigned char serial;
};

static void write_file(const char *path, const gnutls_datum_t *datum)
{
    (void)unlink(path); /* a new inode, as who renews a certificate leaves it */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(datum->data, 1, datum->size, file), datum->size);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
}

static gnutls_x509_privkey_t make_key(void)
{
    gnutls_x509_privkey_t key;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    return key;
}

static gnutls_x509_crt_t begin(gnutls_x509_privkey_t key, const char *name, int days_left,
                               unsigned char serial)
{
    gnutls_x509_crt_t crt;
    time_t now = time(NULL);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(crt, &serial, 1), 0);
    assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(crt, now - 30 * DAY_S), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, now + days_left * DAY_S), 0);
    assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                   (unsigned)strlen(name)),
                     0);
    return crt;
}

static void write_certificate(gnutls_x509_crt_t crt, const char *path)
{
    gnutls_datum_t pem;
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_file(path, &pem);
    gnutls_free(pem.data);
}

struct authority *authority_new(const char *ca_file)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    assert_non_null(authority);
    authority->serial = 1;
    authority->key = make_key();
    authority->certificate = begin(authority->key, ca_file, 30, authority->serial);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(authority->certificate, 1, -1), 0);
    assert_int_equal(
        gnutls_x509_crt_set_key_usage(authority->certificate, GNUTLS_KEY_KEY_CERT_SIGN), 0);
    assert_int_equal(gnutls_x509_crt_sign2(authority->certificate, authority->certificate,
                                           authority->key, GNUTLS_DIG_SHA256, 0),
                     0);
    write_certificate(authority->certificate, ca_file);
    return authority;
}

void authority_free(struct authority *authority)
{
    gnutls_x509_crt_deinit(authority->certificate);
    gnutls_x509_privkey_deinit(authority->key);
    free(authority);
}

static void set_name(gnutls_x509_crt_t crt, const char *name)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, name, &v4) == 1) {
        assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &v4,
                                                              sizeof(v4), GNUTLS_FSAN_SET),
                         0);
        return;
    }
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                          (unsigned)strlen(name), GNUTLS_FSAN_SET),
                     0);
}

void authority_sign(struct authority *authority, const char *name, int days_left,
                    const char *cert_file, const char *key_file)
{
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t crt = begin(key, name, days_left, ++authority->serial);
    set_name(crt, name);
    assert_int_equal(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE), 0);
    assert_int_equal(
        gnutls_x509_crt_sign2(crt, authority->certificate, authority->key, GNUTLS_DIG_SHA256, 0),
        0);
    write_certificate(crt, cert_file);
    gnutls_datum_t pem;
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
    write_file(key_file, &pem);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}
