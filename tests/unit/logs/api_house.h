/*
 * What the tests of logs that the engine tells share: the house with a pretended engine, containers
 * that write, and what the docker collector would tell of them.
 */
#ifndef TLY_TESTS_API_HOUSE_H
#define TLY_TESTS_API_HOUSE_H

#include "collectors/logs/feed.h"
#include "tests/unit/logs/house.h"
#include "tests/unit/logs/log_engine.h"

#define START_NS 1700000000000000000LL /* times of lines count from here */

extern struct log_engine api_engine;
extern const struct tly_log_pace api_pace;

/* cmocka's set-up and tear-down: an engine that is up, no agent yet. */
int api_set_up(void **state);
int api_tear_down(void **state);

/* The agent runs, and knows of every container. */
void api_start(struct house *house);
/* The inventory hears how the container is; of which driver. */
void api_tell(struct house *house, unsigned number);
void api_tell_as(struct house *house, unsigned number, const char *driver);
const char *api_id(unsigned number);

/* A line on stream 1 or 2; those of docker_lines, three at the same moment; a piece of a line. */
void api_line(unsigned number, int stream, int64_t at, const char *text);
void api_lines(unsigned number, unsigned from, unsigned until);
void api_piece(unsigned number, int stream, int64_t at, char fill, size_t len, bool last);

/* NULL: its log is not asked for. */
struct tly_log_feed *api_feed(const struct house *house, unsigned number, size_t target);
/* Of all reasons. */
int64_t api_gaps(const struct house *house);

#endif
