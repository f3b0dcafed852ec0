/*
 * Reading ELF headers: from bytes that nobody vouches for to a plan whose numbers fit together.
 *
 * Pure: looks at the bytes it is given, allocates nothing, calls nothing. The host's tests and
 * fuzzer compile this file. What Linux checks before the old program is gone stands in
 * elf_parse_header() and elf_parse_interp(); what it finds only while mapping, when the process can
 * but be killed, in elf_parse_segments(). Read next: elf_load.c.
 */
#include <proc/exec.h>

#include <lib/errno.h>
#include <lib/string.h>
#include <uapi/linux/elf.h>

#define ELF_USER_END   0x7ffffffff000UL
#define ELF_INTERP_MAX 4096

int elf_parse_header(const void *head, size_t size, struct elf_plan *plan)
{
    static const u8 magic[4] = {0x7f, 'E', 'L', 'F'};
    struct elf64_header header;

    if (size < sizeof(header)) {
        return -ENOEXEC;
    }
    memcpy(&header, head, sizeof(header));
    /* The machine says word size and byte order; like Linux, nobody asks e_ident for them. */
    if (memcmp(header.e_ident, magic, sizeof(magic)) != 0) {
        return -ENOEXEC;
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        return -ENOEXEC;
    }
    if (header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(struct elf64_phdr)) {
        return -ENOEXEC;
    }
    u64 table = (u64)header.e_phnum * sizeof(struct elf64_phdr);

    if (table == 0 || table > ELF_MAX_PHDRS_SIZE || header.e_phoff > (u64)INT64_MAX - table) {
        return -ENOEXEC;
    }
    *plan = (struct elf_plan){
        .is_relocatable = header.e_type == ET_DYN,
        .phdr_count = header.e_phnum,
        .phdr_offset = header.e_phoff,
        .entry = header.e_entry,
    };
    return 0;
}

static void elf_read_phdr(const void *phdrs, u32 index, struct elf64_phdr *phdr)
{
    memcpy(phdr, (const u8 *)phdrs + (size_t)index * sizeof(*phdr), sizeof(*phdr));
}

static bool elf_has_all_phdrs(size_t size, const struct elf_plan *plan)
{
    return size / sizeof(struct elf64_phdr) >= plan->phdr_count;
}

int elf_parse_interp(const void *phdrs, size_t size, struct elf_plan *plan)
{
    if (!elf_has_all_phdrs(size, plan)) {
        return -ENOEXEC;
    }
    for (u32 i = 0; i < plan->phdr_count; i++) {
        struct elf64_phdr phdr;

        elf_read_phdr(phdrs, i, &phdr);
        if (phdr.p_type == PT_GNU_STACK) {
            plan->has_executable_stack = (phdr.p_flags & PF_X) != 0;
        }
        if (phdr.p_type != PT_INTERP || plan->has_interp) {
            continue;
        }
        if (phdr.p_filesz < 2 || phdr.p_filesz > ELF_INTERP_MAX ||
            phdr.p_offset > (u64)INT64_MAX - ELF_INTERP_MAX) {
            return -ENOEXEC;
        }
        plan->has_interp = true;
        plan->interp_offset = phdr.p_offset;
        plan->interp_size = phdr.p_filesz;
    }
    return 0;
}

static bool elf_is_segment_sane(const struct elf64_phdr *phdr)
{
    if (phdr->p_filesz > phdr->p_memsz || phdr->p_vaddr >= ELF_USER_END ||
        phdr->p_memsz > ELF_USER_END - phdr->p_vaddr) {
        return false;
    }
    if (phdr->p_filesz == 0) {
        return true;
    }
    return phdr->p_offset <= (u64)INT64_MAX - phdr->p_filesz &&
           PAGE_OFFSET(phdr->p_offset) == PAGE_OFFSET(phdr->p_vaddr);
}

static void elf_note_segment(struct elf_plan *plan, const struct elf64_phdr *phdr)
{
    u64 low = PAGE_ALIGN_DOWN(phdr->p_vaddr);
    u64 high = phdr->p_vaddr + phdr->p_memsz;

    if (plan->nr_segments == 0 || low < plan->low) {
        plan->low = low;
    }
    plan->high = max(plan->high, high);
    if (is_power_of_two(phdr->p_align)) {
        plan->align = max(plan->align, (u64)phdr->p_align);
    }
    if (phdr->p_offset <= plan->phdr_offset &&
        plan->phdr_offset - phdr->p_offset < phdr->p_filesz) {
        plan->phdr_vaddr = phdr->p_vaddr + (plan->phdr_offset - phdr->p_offset);
    }
    plan->nr_segments++;
}

int elf_parse_segments(const void *phdrs, size_t size, struct elf_plan *plan)
{
    plan->nr_segments = 0;
    plan->low = 0;
    plan->high = 0;
    plan->phdr_vaddr = 0;
    plan->align = PAGE_SIZE;
    if (!elf_has_all_phdrs(size, plan)) {
        return -EINVAL;
    }
    for (u32 i = 0; i < plan->phdr_count; i++) {
        struct elf64_phdr phdr;

        elf_read_phdr(phdrs, i, &phdr);
        if (phdr.p_type != PT_LOAD) {
            continue;
        }
        if (!elf_is_segment_sane(&phdr)) {
            return -EINVAL;
        }
        elf_note_segment(plan, &phdr);
    }
    if (plan->is_relocatable && (plan->nr_segments == 0 || plan->high == plan->low)) {
        return -EINVAL;
    }
    if (plan->align >= ELF_USER_END) {
        plan->align = PAGE_SIZE;
    }
    return 0;
}

bool elf_get_segment(const void *phdrs, const struct elf_plan *plan, u32 index,
                     struct elf_segment *segment)
{
    struct elf64_phdr phdr;

    if (index >= plan->phdr_count) {
        return false;
    }
    elf_read_phdr(phdrs, index, &phdr);
    if (phdr.p_type != PT_LOAD) {
        return false;
    }
    *segment = (struct elf_segment){
        .vaddr = phdr.p_vaddr,
        .file_size = phdr.p_filesz,
        .mem_size = phdr.p_memsz,
        .offset = phdr.p_offset,
        .flags = phdr.p_flags,
    };
    return true;
}
