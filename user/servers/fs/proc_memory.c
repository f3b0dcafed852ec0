/* /proc/meminfo and vmstat. */
#include <errno.h>
#include "proc.h"

static int memory_info(struct cb_mem_info *info)
{
    return cb_kinfo(CB_KINFO_MEM, 0, info, sizeof(*info)) == (long)sizeof(*info) ? 0 : -EIO;
}

static void append_kib(struct text *text, const char *name, uint64_t bytes)
{
    text_printf(text, "%-15s %8lu kB\n", name, (unsigned long)(bytes / 1024));
}

int proc_meminfo(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_mem_info info;
    int error = memory_info(&info);

    (void)key;
    (void)caller;
    if (error != 0) {
        return error;
    }
    const struct {
        const char *name;
        uint64_t bytes;
    } lines[] = {
        {"MemTotal:", info.total},
        {"MemFree:", info.free},
        {"MemAvailable:", info.available},
        {"Buffers:", 0},
        {"Cached:", info.shmem},
        {"SwapCached:", 0},
        {"Active:", info.anon},
        {"Inactive:", info.shmem},
        {"Active(anon):", info.anon},
        {"Inactive(anon):", info.shmem},
        {"Active(file):", 0},
        {"Inactive(file):", 0},
        {"Unevictable:", 0},
        {"Mlocked:", 0},
        {"SwapTotal:", 0},
        {"SwapFree:", 0},
        {"Dirty:", 0},
        {"Writeback:", 0},
        {"AnonPages:", info.anon},
        {"Mapped:", 0},
        {"Shmem:", info.shmem},
        {"KReclaimable:", 0},
        {"Slab:", info.slab},
        {"SReclaimable:", 0},
        {"SUnreclaim:", info.slab},
        {"KernelStack:", info.kernel_stacks},
        {"PageTables:", info.page_tables},
        {"CommitLimit:", info.commit_limit},
        {"Committed_AS:", info.committed},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        append_kib(text, lines[i].name, lines[i].bytes);
    }
    text_printf(text, "VmallocTotal:   %8lu kB\nVmallocUsed:    %8lu kB\n", 1ul << 26,
                (unsigned long)(info.kernel_stacks / 1024));
    text_printf(text, "HugePages_Total:   %5lu\nHugePages_Free:    %5lu\n", 0ul, 0ul);
    text_printf(text, "HugePages_Rsvd:    %5lu\nHugePages_Surp:    %5lu\n", 0ul, 0ul);
    append_kib(text, "Hugepagesize:", 2048 * 1024);
    return 0;
}

static void append_events(struct text *text)
{
    struct cb_vm_events events;

    if (cb_kinfo(CB_KINFO_EVENTS, 0, &events, sizeof(events)) == (long)sizeof(events)) {
        text_printf(text, "pglazyfree %lu\npgfault %lu\npgmajfault %lu\npglazyfreed %lu\n",
                    (unsigned long)events.lazy_free, (unsigned long)events.faults,
                    (unsigned long)events.major_faults, (unsigned long)events.lazy_freed);
        text_printf(text, "oom_kill %lu\n", (unsigned long)events.oom_kills);
    }
}

int proc_vmstat(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_mem_info info;
    int error = memory_info(&info);

    (void)key;
    (void)caller;
    if (error != 0) {
        return error;
    }
    text_printf(
        text, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\nnr_shmem %lu\n",
        (unsigned long)(info.free / FS_PAGE_SIZE), (unsigned long)(info.anon / FS_PAGE_SIZE),
        (unsigned long)(info.shmem / FS_PAGE_SIZE), (unsigned long)(info.shmem / FS_PAGE_SIZE));
    text_printf(text, "nr_slab_unreclaimable %lu\nnr_kernel_stack %lu\nnr_page_table_pages %lu\n",
                (unsigned long)(info.slab / FS_PAGE_SIZE),
                (unsigned long)(info.kernel_stacks / 1024),
                (unsigned long)(info.page_tables / FS_PAGE_SIZE));
    text_printf(text, "pswpin 0\npswpout 0\n");
    append_events(text);
    return 0;
}
