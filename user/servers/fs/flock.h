/* flock(2): advisory locks that belong to an open file. */
#ifndef FS_FLOCK_H
#define FS_FLOCK_H

#include "open_file.h"

/** flock_forget() - @file is being closed: its lock ends. */
void flock_forget(struct open_file *file);

#endif
