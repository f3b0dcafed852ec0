/* /proc/sys: what programs ask for. Values that Cowbell cannot change are read-only. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "proc.h"
#include "sysctl.h"

static void append_uuid(struct text *text, const uint8_t *bytes)
{
    for (int i = 0; i < 16; i++) {
        text_printf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", bytes[i]);
    }
}

static void make_uuid(uint8_t *bytes)
{
    if (getrandom(bytes, 16, 0) != 16) {
        memset(bytes, 0, 16);
    }
    /* RFC 4122: version 4, variant 1. */
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
}

static void read_boot_id(struct text *text)
{
    static uint8_t bytes[16];

    if (bytes[6] == 0) {
        make_uuid(bytes);
    }
    append_uuid(text, bytes);
}

static void read_uuid(struct text *text)
{
    uint8_t bytes[16];

    make_uuid(bytes);
    append_uuid(text, bytes);
}

static void read_hostname(struct text *text)
{
    struct utsname name;

    text_printf(text, "%s", uname(&name) == 0 ? name.nodename : "(none)");
}

static long write_hostname(const char *line)
{
    return sethostname(line, strlen(line)) == 0 ? 0 : -errno;
}

/* What can be dropped goes by itself when memory is short. */
static long write_drop_caches(const char *line)
{
    char *end;
    long what = strtol(line, &end, 10);

    return end != line && *end == '\0' && what >= 1 && what <= 4 ? 0 : -EINVAL;
}

static void read_release(struct text *text)
{
    struct utsname name;

    text_printf(text, "%s", uname(&name) == 0 ? name.release : "");
}

static void read_version(struct text *text)
{
    struct utsname name;

    text_printf(text, "%s", uname(&name) == 0 ? name.version : "");
}

static void read_threads_max(struct text *text)
{
    struct cb_mem_info info;
    uint64_t total = 0;

    if (cb_kinfo(CB_KINFO_MEM, 0, &info, sizeof(info)) == (long)sizeof(info)) {
        total = info.total;
    }
    /* An eighth of memory may become kernel stacks of 16 KiB. */
    text_printf(text, "%lu", (unsigned long)(total / 8 / 16384));
}

static const struct sysctl boot_id = {.read = read_boot_id};
static const struct sysctl uuid = {.read = read_uuid};
static const struct sysctl entropy = {.value = "256"};
static const struct sysctl hostname = {.read = read_hostname, .write = write_hostname};
static const struct sysctl domainname = {.value = "(none)"};
static const struct sysctl ostype = {.value = "Linux"};
static const struct sysctl osrelease = {.read = read_release};
static const struct sysctl version = {.read = read_version};
static const struct sysctl pid_max = {.value = "32768"};
static const struct sysctl threads_max = {.read = read_threads_max};
static const struct sysctl zero = {.value = "0"};
static const struct sysctl one = {.value = "1"};
static const struct sysctl two = {.value = "2"};
static const struct sysctl overflow_id = {.value = "65534"};
static const struct sysctl last_cap = {.value = "40"};
static const struct sysctl groups_max = {.value = "65536"};
static const struct sysctl core_pattern = {.value = "core"};
static const struct sysctl map_count = {.file = CB_KERNEL_FILE_SYSCTL,
                                        .number = CB_SYSCTL_MAX_MAP_COUNT};
static const struct sysctl min_addr = {.value = "65536"};
static const struct sysctl overcommit_memory = {.file = CB_KERNEL_FILE_SYSCTL,
                                                .number = CB_SYSCTL_OVERCOMMIT_MEMORY};
static const struct sysctl overcommit_ratio = {.file = CB_KERNEL_FILE_SYSCTL,
                                               .number = CB_SYSCTL_OVERCOMMIT_RATIO};
static const struct sysctl overcommit_kbytes = {.file = CB_KERNEL_FILE_SYSCTL,
                                                .number = CB_SYSCTL_OVERCOMMIT_KBYTES};
static const struct sysctl memfd_noexec = {.file = CB_KERNEL_FILE_SYSCTL,
                                           .number = CB_SYSCTL_MEMFD_NOEXEC};
static const struct sysctl drop_caches = {.value = "0", .write = write_drop_caches};
static const struct sysctl unprivileged_uffd = {.file = CB_KERNEL_FILE_USERFAULTFD_SYSCTL};
static const struct sysctl file_max = {.value = "9223372036854775807"};
static const struct sysctl nr_open = {.value = "1048576"};
static const struct sysctl pipe_max = {.value = "1048576"};

#define SYSCTL(file, value)                                                                        \
    {                                                                                              \
        .name = (file), .kind = PROC_FILE, .mode = 0444, .sysctl = &(value),                       \
        .generate = proc_sysctl_read, .accept = proc_sysctl_write                                  \
    }
#define SYSCTL_RW(file, value)                                                                     \
    {                                                                                              \
        .name = (file), .kind = PROC_FILE, .mode = 0644, .sysctl = &(value),                       \
        .generate = proc_sysctl_read, .accept = proc_sysctl_write                                  \
    }
#define FOLDER(file, table)                                                                        \
    {                                                                                              \
        .name = (file), .kind = PROC_DIR, .mode = 0555, .children = (table)                        \
    }

static const struct proc_entry random_entries[] = {
    SYSCTL("boot_id", boot_id),
    SYSCTL("entropy_avail", entropy),
    SYSCTL("poolsize", entropy),
    SYSCTL("uuid", uuid),
    {0},
};

static const struct proc_entry kernel_entries[] = {
    SYSCTL("cap_last_cap", last_cap),
    SYSCTL("core_pattern", core_pattern),
    SYSCTL("core_uses_pid", zero),
    SYSCTL("dmesg_restrict", zero),
    SYSCTL("domainname", domainname),
    SYSCTL_RW("hostname", hostname),
    SYSCTL("ngroups_max", groups_max),
    SYSCTL("osrelease", osrelease),
    SYSCTL("ostype", ostype),
    SYSCTL("overflowgid", overflow_id),
    SYSCTL("overflowuid", overflow_id),
    SYSCTL("pid_max", pid_max),
    FOLDER("random", random_entries),
    SYSCTL("randomize_va_space", two),
    SYSCTL("tainted", zero),
    SYSCTL("threads-max", threads_max),
    SYSCTL("version", version),
    {0},
};

static const struct proc_entry vm_entries[] = {
    SYSCTL_RW("drop_caches", drop_caches),
    SYSCTL("legacy_va_layout", zero),
    SYSCTL_RW("max_map_count", map_count),
    SYSCTL_RW("memfd_noexec", memfd_noexec),
    SYSCTL("mmap_min_addr", min_addr),
    SYSCTL("nr_hugepages", zero),
    SYSCTL("nr_overcommit_hugepages", zero),
    SYSCTL_RW("overcommit_kbytes", overcommit_kbytes),
    SYSCTL_RW("overcommit_memory", overcommit_memory),
    SYSCTL_RW("overcommit_ratio", overcommit_ratio),
    SYSCTL("panic_on_oom", zero),
    SYSCTL("swappiness", zero),
    SYSCTL_RW("unprivileged_userfaultfd", unprivileged_uffd),
    {0},
};

static const struct proc_entry fs_entries[] = {
    SYSCTL("file-max", file_max),       SYSCTL("nr_open", nr_open),
    SYSCTL("pipe-max-size", pipe_max),  SYSCTL("protected_hardlinks", zero),
    SYSCTL("protected_symlinks", zero), SYSCTL("suid_dumpable", zero),
    SYSCTL("lease-break-time", one),    {0},
};

const struct proc_entry proc_sys_entries[] = {
    FOLDER("fs", fs_entries),
    FOLDER("kernel", kernel_entries),
    FOLDER("vm", vm_entries),
    {0},
};

int proc_sysctl_read(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    (void)caller;
    return sysctl_read(key->entry->sysctl, text);
}

long proc_sysctl_write(const struct proc_key *key, const char *bytes, size_t len)
{
    return sysctl_write(key->entry->sysctl, bytes, len);
}
