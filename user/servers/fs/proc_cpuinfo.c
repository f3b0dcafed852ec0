/* /proc/cpuinfo, from the CPUID instruction (Intel SDM 2A, CPUID). */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include "proc.h"

struct cpuid_leaf {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

/* Names by bit; an empty one is not shown. */
static const char *const leaf1_edx[32] = {
    "fpu",  "vme",  "de",   "pse", "tsc",  "msr", "pae",   "mce", "cx8",     "apic", "",
    "sep",  "mtrr", "pge",  "mca", "cmov", "pat", "pse36", "pn",  "clflush", "",     "dts",
    "acpi", "mmx",  "fxsr", "sse", "sse2", "ss",  "ht",    "tm",  "ia64",    "pbe"};
static const char *const extended_edx[32] = {
    [11] = "syscall",  [19] = "mp",      [20] = "nx",     [22] = "mmxext",
    [25] = "fxsr_opt", [26] = "pdpe1gb", [27] = "rdtscp", [29] = "lm"};
static const char *const leaf1_ecx[32] = {
    "pni",    "pclmulqdq", "dtes64", "monitor", "ds_cpl",
    "vmx",    "smx",       "est",    "tm2",     "ssse3",
    "cid",    "sdbg",      "fma",    "cx16",    "xtpr",
    "pdcm",   "",          "pcid",   "dca",     "sse4_1",
    "sse4_2", "x2apic",    "movbe",  "popcnt",  "tsc_deadline_timer",
    "aes",    "xsave",     "",       "avx",     "f16c",
    "rdrand", "hypervisor"};
static const char *const extended_ecx[32] = {
    [0] = "lahf_lm", [2] = "svm",         [4] = "cr8_legacy",   [5] = "abm",
    [6] = "sse4a",   [7] = "misalignsse", [8] = "3dnowprefetch"};
static const char *const leaf7_ebx[32] = {
    [0] = "fsgsbase", [1] = "tsc_adjust",  [3] = "bmi1",     [5] = "avx2",    [7] = "smep",
    [8] = "bmi2",     [9] = "erms",        [10] = "invpcid", [18] = "rdseed", [19] = "adx",
    [20] = "smap",    [23] = "clflushopt", [24] = "clwb",    [29] = "sha_ni"};
static const char *const leaf7_ecx[32] = {
    [2] = "umip",        [3] = "pku",   [4] = "ospke", [9] = "vaes",
    [10] = "vpclmulqdq", [16] = "la57", [22] = "rdpid"};

static struct cpuid_leaf leaf(uint32_t number)
{
    struct cpuid_leaf result = {0};

    __get_cpuid_count(number, 0, &result.eax, &result.ebx, &result.ecx, &result.edx);
    return result;
}

static void append_flags(struct text *text, uint32_t bits, const char *const *names)
{
    for (int i = 0; i < 32; i++) {
        if ((bits >> i & 1) != 0 && names[i] != NULL && names[i][0] != '\0') {
            text_printf(text, " %s", names[i]);
        }
    }
}

static void append_model(struct text *text)
{
    struct cpuid_leaf first = leaf(0);
    struct cpuid_leaf second = leaf(1);
    char vendor[13] = {0};
    char name[49] = {0};
    uint32_t family = second.eax >> 8 & 15;
    uint32_t model = second.eax >> 4 & 15;

    memcpy(vendor, &first.ebx, 4);
    memcpy(vendor + 4, &first.edx, 4);
    memcpy(vendor + 8, &first.ecx, 4);
    model |= family == 6 || family == 15 ? (second.eax >> 16 & 15) << 4 : 0;
    family += family == 15 ? second.eax >> 20 & 255 : 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid_leaf part = leaf(0x80000002u + i);
        memcpy(name + i * 16, &part, 16);
    }
    text_printf(text, "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", vendor, family, model);
    text_printf(text, "model name\t: %s\nstepping\t: %u\n", name, second.eax & 15);
}

static void append_features(struct text *text)
{
    struct cpuid_leaf first = leaf(1);
    struct cpuid_leaf seventh = leaf(7);
    struct cpuid_leaf extended = leaf(0x80000001u);

    text_printf(text, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n",
                leaf(0).eax);
    text_printf(text, "flags\t\t:");
    append_flags(text, first.edx, leaf1_edx);
    append_flags(text, extended.edx, extended_edx);
    append_flags(text, first.ecx, leaf1_ecx);
    append_flags(text, extended.ecx, extended_ecx);
    append_flags(text, seventh.ebx, leaf7_ebx);
    append_flags(text, seventh.ecx, leaf7_ecx);
    uint32_t sizes = leaf(0x80000008u).eax;
    uint32_t line = (first.ebx >> 8 & 255) * 8;
    text_printf(text, "\nclflush size\t: %u\ncache_alignment\t: %u\n", line, line);
    text_printf(text, "address sizes\t: %u bits physical, %u bits virtual\n", sizes & 255,
                sizes >> 8 & 255);
    text_printf(text, "power management:\n\n");
}

int proc_cpuinfo(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    struct cb_sys_info info;

    (void)key;
    (void)caller;
    if (cb_kinfo(CB_KINFO_SYSTEM, 0, &info, sizeof(info)) != (long)sizeof(info)) {
        return -EIO;
    }
    for (uint32_t cpu = 0; cpu < info.nr_cpus; cpu++) {
        text_printf(text, "processor\t: %u\n", cpu);
        append_model(text);
        text_printf(text, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
                    info.nr_cpus, cpu, info.nr_cpus);
        append_features(text);
    }
    return 0;
}
