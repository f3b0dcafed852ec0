/*
 * What an address space owes: its size against the limits, and the memory promised to it.
 */
#ifndef MM_ACCOUNT_H
#define MM_ACCOUNT_H

#include <lib/compiler.h>
#include <lib/types.h>

struct mm;

/** mm_account_add() - pages with these VM_* flags were mapped. Context: mmap_lock (write). */
void mm_account_add(struct mm *mm, u64 vm_flags, u64 nr_pages);

/** mm_account_sub() - the opposite. */
void mm_account_sub(struct mm *mm, u64 vm_flags, u64 nr_pages);

/** mm_may_expand() - do RLIMIT_AS and RLIMIT_DATA allow so many more pages of this kind? */
bool mm_may_expand(const struct mm *mm, u64 vm_flags, u64 nr_pages);

/** mm_may_lock() - may the current process lock memory at all? (mlock(2): EPERM) */
bool mm_may_lock(void);

/** mm_may_lock_more() - does RLIMIT_MEMLOCK allow so many more locked pages? */
bool mm_may_lock_more(const struct mm *mm, u64 vm_flags, u64 nr_pages);

/** vm_flags_need_commit() - is memory with these flags promised when it is mapped? */
bool vm_flags_need_commit(u64 vm_flags);

/** vm_commit_force() - promise pages that a check has allowed before. */
void vm_commit_force(u64 nr_pages);

#endif
