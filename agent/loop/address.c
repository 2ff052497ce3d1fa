/*
 * Addresses as people write them. Pure.
 */
#include "agent/loop/stream.h"

#include "agent/loop/stream_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define PORT_MAX 65535

static int parse_unix(struct tly_text path, struct tly_address *ret_address, struct tly_error *err)
{
    if (path.len == 0 || path.at[0] != '/' || memchr(path.at, '\0', path.len)) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "a Unix socket is written unix:///path, with an absolute path");
    }
    if (path.len >= sizeof(ret_address->path)) {
        return tly_error_set(err, -ENAMETOOLONG,
                             "the path of a Unix socket has at most %zu bytes, this one has %zu",
                             sizeof(ret_address->path) - 1, path.len);
    }
    *ret_address = (struct tly_address){.port = 0};
    memcpy(ret_address->path, path.at, path.len);
    return 0;
}

/* Splits "host:port", "[v6]:port", or either without port, for which `ret_port` gets at == NULL. */
static int split(struct tly_text text, struct tly_text *ret_host, struct tly_text *ret_port,
                 struct tly_error *err)
{
    struct tly_text rest = text;
    struct tly_text host;
    if (text.len > 0 && text.at[0] == '[') {
        rest.at++;
        rest.len--;
        host = tly_text_cut(&rest, ']');
        if (!rest.at || (rest.len > 0 && rest.at[0] != ':')) {
            return tly_error_set(err, TLY_E_MALFORMED, "an IPv6 address is written [address]:port");
        }
        if (rest.len == 0) {
            rest.at = NULL;
        } else {
            rest.at++;
            rest.len--;
        }
    } else {
        host = tly_text_cut(&rest, ':');
        if (rest.at && rest.len > 0 && memchr(rest.at, ':', rest.len)) {
            return tly_error_set(err, TLY_E_MALFORMED,
                                 "an IPv6 address needs brackets: [address]:port");
        }
    }
    *ret_host = host;
    *ret_port = rest;
    return 0;
}

static bool is_host(struct tly_text host)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (c <= ' ' || c == 0x7F || c == '/' || c == '[' || c == ']' || c == '@') {
            return false;
        }
    }
    return true;
}

/* Whether it begins with "unix:", which is no host of that name with a port; what stands behind,
 * and behind two slashes. */
static bool is_unix(struct tly_text text, struct tly_text *ret_path)
{
    const struct tly_text scheme = TLY_TEXT("unix:");
    const struct tly_text slashes = TLY_TEXT("//");
    uint64_t port;
    if (!tly_text_starts(text, scheme)) {
        return false;
    }
    struct tly_text path = {text.at + scheme.len, text.len - scheme.len};
    if (tly_text_u64(path, &port) == 0) {
        return false;
    }
    if (tly_text_starts(path, slashes)) {
        path.at += slashes.len;
        path.len -= slashes.len;
    }
    *ret_path = path;
    return true;
}

int tly_address_parse(struct tly_text text, uint16_t default_port, struct tly_address *ret_address,
                      struct tly_error *err)
{
    struct tly_text path;
    if (is_unix(text, &path)) {
        return parse_unix(path, ret_address, err);
    }
    if (text.len == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "the address is empty: write host:port");
    }
    struct tly_text host = {NULL, 0};
    struct tly_text port_text = {NULL, 0};
    int rc = split(text, &host, &port_text, err);
    if (rc < 0) {
        return rc;
    }
    struct tly_address address = {.port = default_port};
    if (host.len >= sizeof(address.host) || !is_host(host) ||
        (text.at[0] == '[' && host.len == 0)) {
        return tly_error_set(err, TLY_E_MALFORMED,
                             "not a host: write host:port, [address]:port or unix:///path");
    }
    if (port_text.at) {
        uint64_t port;
        if (tly_text_u64(port_text, &port) < 0 || port > PORT_MAX) {
            return tly_error_set(err, TLY_E_MALFORMED, "the port is a number from 0 to %d",
                                 PORT_MAX);
        }
        address.port = (uint16_t)port;
    } else if (default_port == 0) {
        return tly_error_set(err, TLY_E_MALFORMED, "the port is missing: write host:port");
    }
    if (host.len > 0) {
        memcpy(address.host, host.at, host.len);
    }
    *ret_address = address;
    return 0;
}

void tly_address_format(const struct tly_address *address, char to[TLY_ADDRESS_TEXT_MAX])
{
    /* Every form fits: the longest host has 255 bytes, the longest path 107. */
    if (address->path[0] != '\0') {
        (void)snprintf(to, TLY_ADDRESS_TEXT_MAX, "unix://%s", address->path);
    } else if (strchr(address->host, ':')) {
        (void)snprintf(to, TLY_ADDRESS_TEXT_MAX, "[%s]:%u", address->host, address->port);
    } else {
        (void)snprintf(to, TLY_ADDRESS_TEXT_MAX, "%s:%u", address->host, address->port);
    }
}

bool tly_address_literal(const struct tly_address *address, union tly_sockaddr *ret_address)
{
    union tly_sockaddr literal = {.v6 = {.sin6_family = AF_UNSPEC}};
    /* The former reads a zone too ("fe80::1%eth0"), as inet_pton does not. */
    if (uv_ip6_addr(address->host, address->port, &literal.v6) < 0 &&
        uv_ip4_addr(address->host, address->port, &literal.v4) < 0) {
        return false;
    }
    *ret_address = literal;
    return true;
}

void tly_sockaddr_format(const union tly_sockaddr *address, char to[TLY_ADDRESS_TEXT_MAX])
{
    struct tly_address plain = {.port = 0};
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    /* inet_ntop has room enough every time. */
    if (address->any.sa_family == AF_INET) {
        plain.port = ntohs(address->v4.sin_port);
        (void)inet_ntop(AF_INET, &address->v4.sin_addr, plain.host, sizeof(plain.host));
    } else if (IN6_IS_ADDR_V4MAPPED(v6)) {
        /* A dual-stack listener's IPv4 peer, as people know it. */
        plain.port = ntohs(address->v6.sin6_port);
        (void)inet_ntop(AF_INET, v6->s6_addr + 12, plain.host, sizeof(plain.host));
    } else {
        plain.port = ntohs(address->v6.sin6_port);
        (void)inet_ntop(AF_INET6, v6, plain.host, sizeof(plain.host));
    }
    tly_address_format(&plain, to);
}
