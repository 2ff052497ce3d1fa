/*
 * Amounts as text; see amount.h.
 */
#include "agent/top/amount.h"

#include <stdio.h>
#include <string.h>

#define DASH         "\u2013"
#define STEP         1024.0
#define STEP_AT      1000.0 /* "0.98 MiB" rather than "1004 KiB" */
#define SECONDS_DAY  86400.0
#define SECONDS_HOUR 3600.0
#define SECONDS_MIN  60.0
#define COUNT_MAX    1e15 /* a count beyond it is none */
#define PLURAL_MAX   24
#define SMALL_SPAN   3.0 /* of a unit: below it the next smaller one is told, too */
#define JUST_NOW     2.0

static struct tly_amount dash(void)
{
    return (struct tly_amount){DASH};
}

/* With so many digits behind the point, as browsers write it: to the nearest by the number's exact
 * value, where printf(3) agrees, and up where it lies in the middle, where printf takes the even.
 */
static void write_fixed(char to[TLY_AMOUNT_MAX], double number, int digits)
{
    const double parts[] = {1, 10, 100};
    const double product = number * parts[digits];
    bool exact = fma(number, parts[digits], -product) == 0;
    if (exact && product - floor(product) == 0.5) {
        number = (floor(product) + 1) / parts[digits];
    }
    (void)snprintf(to, TLY_AMOUNT_MAX, "%.*f", digits, number); /* cut where it is absurd */
}

struct tly_amount tly_amount_figures(double number)
{
    const double none_behind = 99.95; /* from here on, and for 0 */
    const double one_behind = 9.995;
    struct tly_amount amount;
    if (!tly_known(number)) {
        return dash();
    }
    if (number >= none_behind || number == 0) {
        write_fixed(amount.text, number, 0);
    } else if (number >= one_behind) {
        write_fixed(amount.text, number, 1);
    } else {
        write_fixed(amount.text, number, 2);
    }
    return amount;
}

struct tly_amount tly_amount_bytes(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    struct tly_amount amount;
    if (!tly_known(bytes)) {
        return dash();
    }
    while (bytes >= STEP_AT && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= STEP;
        unit++;
    }
    if (unit == 0) {
        char number[TLY_AMOUNT_MAX];
        write_fixed(number, bytes, 0);
        (void)snprintf(amount.text, sizeof(amount.text), "%.40s B", number);
    } else {
        (void)snprintf(amount.text, sizeof(amount.text), "%.24s %s", tly_amount_figures(bytes).text,
                       units[unit]);
    }
    return amount;
}

struct tly_amount tly_amount_rate(double bytes_per_s)
{
    struct tly_amount amount = {"0"};
    if (!tly_known(bytes_per_s)) {
        return dash();
    }
    if (bytes_per_s != 0) {
        (void)snprintf(amount.text, sizeof(amount.text), "%.40s/s",
                       tly_amount_bytes(bytes_per_s).text);
    }
    return amount;
}

struct tly_amount tly_amount_percent(double share)
{
    const double whole_from = 9.95;
    const double number = share * 100;
    struct tly_amount amount;
    if (!tly_known(share)) {
        return dash();
    }
    char figures[TLY_AMOUNT_MAX];
    write_fixed(figures, number, number >= whole_from || number == 0 ? 0 : 1);
    (void)snprintf(amount.text, sizeof(amount.text), "%.40s %%", figures);
    return amount;
}

struct tly_amount tly_amount_cpus(double cpus)
{
    const double hundredths = 100;
    struct tly_amount amount;
    if (!tly_known(cpus)) {
        return dash();
    }
    cpus = floor(cpus * hundredths + 0.5) / hundredths;
    (void)snprintf(amount.text, sizeof(amount.text), "%.10g CPU%s", cpus, cpus == 1 ? "" : "s");
    return amount;
}

struct tly_amount tly_amount_count(double number)
{
    const size_t group = 3; /* digits between commas */
    char digits[TLY_AMOUNT_MAX];
    struct tly_amount amount;
    size_t at = 0;
    if (!tly_known(number) || fabs(number) > COUNT_MAX) {
        return dash();
    }
    (void)snprintf(digits, sizeof(digits), "%.0f", fabs(number));
    if (number < 0) {
        amount.text[at++] = '-';
    }
    for (size_t i = 0, len = strlen(digits); i < len; i++) {
        if (i > 0 && (len - i) % group == 0) {
            amount.text[at++] = ',';
        }
        amount.text[at++] = digits[i];
    }
    amount.text[at] = '\0';
    return amount;
}

struct tly_amount tly_amount_many(double number, const char *word)
{
    struct tly_amount amount;
    if (!tly_known(number)) {
        return dash();
    }
    (void)snprintf(amount.text, sizeof(amount.text), "%.*s %.*s%s", TLY_AMOUNT_MAX - PLURAL_MAX,
                   tly_amount_count(number).text, PLURAL_MAX - 3, word, number == 1 ? "" : "s");
    return amount;
}

struct tly_amount tly_amount_span(double seconds)
{
    static const struct {
        double size;
        const char *name;
    } units[] = {{SECONDS_DAY, "d"}, {SECONDS_HOUR, "h"}, {SECONDS_MIN, "min"}, {1, "s"}};
    const size_t smallest = sizeof(units) / sizeof(units[0]) - 1;
    struct tly_amount amount;
    size_t at = 0;
    if (!tly_known(seconds)) {
        return dash();
    }
    if (seconds < 1) {
        return seconds > 0 ? (struct tly_amount){"< 1 s"} : (struct tly_amount){"0 s"};
    }
    while (at < smallest && seconds < units[at].size) {
        at++;
    }
    const double whole = floor(seconds / units[at].size);
    double rest = 0;
    if (at < smallest && whole < SMALL_SPAN) {
        rest = floor((seconds - whole * units[at].size) / units[at + 1].size);
    }
    if (rest > 0) {
        (void)snprintf(amount.text, sizeof(amount.text), "%.0f %s %.0f %s", whole, units[at].name,
                       rest, units[at + 1].name);
    } else {
        (void)snprintf(amount.text, sizeof(amount.text), "%.0f %s", fmin(whole, COUNT_MAX),
                       units[at].name);
    }
    return amount;
}

struct tly_amount tly_amount_ago(double seconds)
{
    struct tly_amount amount;
    if (!tly_known(seconds)) {
        return dash();
    }
    if (seconds < JUST_NOW) {
        return (struct tly_amount){"just now"};
    }
    (void)snprintf(amount.text, sizeof(amount.text), "%.40s ago", tly_amount_span(seconds).text);
    return amount;
}
