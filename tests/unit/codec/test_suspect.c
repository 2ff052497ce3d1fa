/*
 * Names, command lines and executables that are suspicious, and those that only look like it.
 */
#include "agent/codec/suspect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_miners(void **state)
{
    (void)state;
    static const struct {
        struct tly_text comm, cmdline;
        bool miner;
    } rows[] = {
        {TLY_TEXT("xmrig"), TLY_TEXT(""), true},
        {TLY_TEXT("SRBMiner-MULTI"), TLY_TEXT(""), true},
        {TLY_TEXT("kworker"), TLY_TEXT("/tmp/.x/xmrig\0-o\0pool:3333"), true},
        {TLY_TEXT("kworker"), TLY_TEXT("xmrig"), true},
        {TLY_TEXT("sh"), TLY_TEXT("sh\0-c\0./a -o stratum+tcp://pool.example:3333"), true},
        {TLY_TEXT("a"), TLY_TEXT("a\0stratum+ssl://x"), true},
        {TLY_TEXT("nginx"), TLY_TEXT("nginx: worker process"), false},
        {TLY_TEXT("xmrig2"), TLY_TEXT("/opt/xmrig2"), false},
        {TLY_TEXT("sh"), TLY_TEXT("sh\0-c\0echo stratum"), false},
        {TLY_TEXT("cat"), TLY_TEXT("cat\0/tmp/xmrig"), false},
        {TLY_TEXT(""), TLY_TEXT(""), false},
        {TLY_TEXT("x"), TLY_TEXT("/"), false},
        {TLY_TEXT("x"), TLY_TEXT("\0xmrig"), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tly_suspect_is_miner(rows[i].comm, rows[i].cmdline), rows[i].miner);
    }
}

static void test_executables(void **state)
{
    (void)state;
    static const struct {
        struct tly_text exe;
        bool deleted;
    } rows[] = {
        {TLY_TEXT("/usr/bin/nginx"), false},          {TLY_TEXT("/tmp/x (deleted)"), true},
        {TLY_TEXT("/memfd:payload (deleted)"), true}, {TLY_TEXT("/memfd:"), true},
        {TLY_TEXT("/x (deleted) "), false},           {TLY_TEXT(""), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(tly_suspect_is_deleted(rows[i].exe), rows[i].deleted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_miners),
        cmocka_unit_test(test_executables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
