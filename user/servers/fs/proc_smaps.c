/* /proc/PID/smaps and smaps_rollup. Fields of what Cowbell does not have are there, and zero. */
#include <stdlib.h>
#include <string.h>
#include "proc.h"

#define SHARE_UNIT 4096u /* a share counts so many parts of a byte */

struct mnemonic {
    uint32_t flag;
    char name[3];
};

/* In Linux's order. */
static const struct mnemonic mnemonics[] = {
    {CB_VMA_READ, "rd"},          {CB_VMA_WRITE, "wr"},
    {CB_VMA_EXEC, "ex"},          {CB_VMA_SHARED_WRITABLE, "sh"},
    {CB_VMA_MAY_READ, "mr"},      {CB_VMA_MAY_WRITE, "mw"},
    {CB_VMA_MAY_EXEC, "me"},      {CB_VMA_SHARED, "ms"},
    {CB_VMA_GROWSDOWN, "gd"},     {CB_VMA_UFFD_MISSING, "um"},
    {CB_VMA_PFNMAP, "pf"},        {CB_VMA_UFFD_WP, "uw"},
    {CB_VMA_LOCKED, "lo"},        {CB_VMA_IO, "io"},
    {CB_VMA_SEQUENTIAL, "sr"},    {CB_VMA_RANDOM, "rr"},
    {CB_VMA_DONT_COPY, "dc"},     {CB_VMA_DONT_EXPAND, "de"},
    {CB_VMA_LOCK_ON_FAULT, "lf"}, {CB_VMA_ACCOUNT, "ac"},
    {CB_VMA_NO_RESERVE, "nr"},    {CB_VMA_HUGETLB, "ht"},
    {CB_VMA_SYNC, "sf"},          {CB_VMA_WIPE_ON_FORK, "wf"},
    {CB_VMA_DONT_DUMP, "dd"},     {CB_VMA_SOFT_DIRTY, "sd"},
    {CB_VMA_HUGEPAGE, "hg"},      {CB_VMA_NO_HUGEPAGE, "nh"},
    {CB_VMA_MERGEABLE, "mg"},     {CB_VMA_UFFD_MINOR, "ui"},
    {CB_VMA_SEALED, "sl"},
};

static void append_kib(struct text *text, const char *name, uint64_t bytes)
{
    text_printf(text, "%s%*lu kB\n", name, 24 - (int)strlen(name), (unsigned long)(bytes / 1024));
}

static void append_share(struct text *text, const char *name, uint64_t share)
{
    append_kib(text, name, share / SHARE_UNIT);
}

enum usage_of { USAGE_OF_VMA, USAGE_OF_ALL };

/* What smaps tells of a VMA and smaps_rollup of all of them. */
static void append_usage(struct text *text, const struct cb_vma_usage *usage, enum usage_of of,
                         uint64_t locked_share)
{
    append_kib(text, "Rss:", usage->rss);
    append_share(text, "Pss:", usage->share);
    append_share(text, "Pss_Dirty:", usage->share_dirty);
    if (of == USAGE_OF_ALL) {
        append_share(text, "Pss_Anon:", usage->share_anon);
        append_share(text, "Pss_File:", 0);
        append_share(text, "Pss_Shmem:", usage->share_shmem);
    }
    append_kib(text, "Shared_Clean:", usage->shared_clean);
    append_kib(text, "Shared_Dirty:", usage->shared_dirty);
    append_kib(text, "Private_Clean:", usage->private_clean);
    append_kib(text, "Private_Dirty:", usage->private_dirty);
    append_kib(text, "Referenced:", usage->referenced);
    append_kib(text, "Anonymous:", usage->anonymous);
    append_kib(text, "KSM:", 0);
    append_kib(text, "LazyFree:", usage->lazy_free);
    append_kib(text, "AnonHugePages:", 0);
    append_kib(text, "ShmemPmdMapped:", 0);
    append_kib(text, "FilePmdMapped:", 0);
    append_kib(text, "Shared_Hugetlb:", 0);
    append_kib(text, "Private_Hugetlb:", 0);
    append_kib(text, "Swap:", 0);
    append_kib(text, "SwapPss:", 0);
    append_share(text, "Locked:", locked_share);
}

static uint64_t locked_share(const struct cb_vma_usage *usage)
{
    return usage->vma.flags & CB_VMA_LOCKED ? usage->share : 0;
}

static void append_vma(struct text *text, const struct cb_vma_usage *usage)
{
    proc_append_mapping(text, &usage->vma);
    append_kib(text, "Size:", usage->vma.end - usage->vma.start);
    append_kib(text, "KernelPageSize:", FS_PAGE_SIZE);
    append_kib(text, "MMUPageSize:", FS_PAGE_SIZE);
    append_usage(text, usage, USAGE_OF_VMA, locked_share(usage));
    text_printf(text, "THPeligible:           0\nProtectionKey:         0\nVmFlags: ");
    for (size_t i = 0; i < sizeof(mnemonics) / sizeof(mnemonics[0]); i++) {
        if ((usage->vma.flags & mnemonics[i].flag) != 0) {
            text_printf(text, "%s ", mnemonics[i].name);
        }
    }
    text_append(text, "\n", 1);
}

static long take_snapshot(const struct proc_key *key, const struct caller *caller, void **records)
{
    int error = proc_may_inspect(key, caller);

    if (error != 0) {
        return error;
    }
    long len = proc_snapshot(CB_KINFO_SMAPS, key->pid, sizeof(struct cb_vma_usage), records);
    return len < 0 ? len : len / (long)sizeof(struct cb_vma_usage);
}

int proc_pid_smaps(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    void *records;
    long nr = take_snapshot(key, caller, &records);

    if (nr < 0) {
        return (int)nr;
    }
    for (long i = 0; i < nr; i++) {
        append_vma(text, (const struct cb_vma_usage *)records + i);
    }
    free(records);
    return 0;
}

static void add_usage(struct cb_vma_usage *sum, const struct cb_vma_usage *usage)
{
    sum->rss += usage->rss;
    sum->shared_clean += usage->shared_clean;
    sum->shared_dirty += usage->shared_dirty;
    sum->private_clean += usage->private_clean;
    sum->private_dirty += usage->private_dirty;
    sum->referenced += usage->referenced;
    sum->anonymous += usage->anonymous;
    sum->lazy_free += usage->lazy_free;
    sum->share += usage->share;
    sum->share_dirty += usage->share_dirty;
    sum->share_anon += usage->share_anon;
    sum->share_shmem += usage->share_shmem;
}

int proc_pid_smaps_rollup(const struct proc_key *key, const struct caller *caller,
                          struct text *text)
{
    struct cb_vma_usage sum = {.vma.name = "[rollup]"};
    uint64_t locked = 0;
    void *records;
    long nr = take_snapshot(key, caller, &records);

    if (nr < 0) {
        return (int)nr;
    }
    const struct cb_vma_usage *usages = records;
    for (long i = 0; i < nr; i++) {
        add_usage(&sum, &usages[i]);
        locked += locked_share(&usages[i]);
    }
    if (nr > 0) {
        sum.vma.start = usages[0].vma.start;
        sum.vma.end = usages[nr - 1].vma.end;
        proc_append_mapping(text, &sum.vma);
        append_usage(text, &sum, USAGE_OF_ALL, locked);
    }
    free(records);
    return 0;
}
