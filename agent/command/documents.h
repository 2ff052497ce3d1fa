/*
 * Documents from the table of commands: tallyman(8) and the completions of three shells. Each
 * function appends to `buf`; the buffer's own errors.
 */
#ifndef TLY_COMMAND_DOCUMENTS_H
#define TLY_COMMAND_DOCUMENTS_H

#include "agent/base/buf.h"

int tly_command_manual(struct tly_buf *buf) TLY_CHECK;

int tly_completion_bash(struct tly_buf *buf) TLY_CHECK;
int tly_completion_zsh(struct tly_buf *buf) TLY_CHECK;
int tly_completion_fish(struct tly_buf *buf) TLY_CHECK;

#endif
