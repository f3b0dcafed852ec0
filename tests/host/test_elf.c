/* The ELF parser and the `#!` parser: good headers, and each way in which one can be bad. */
#include <host_test.h>

#include <errno.h>

#include <proc/exec.h>
#include <uapi/linux/elf.h>

#define USER_END 0x7ffffffff000UL

struct image {
    struct elf64_header header;
    struct elf64_phdr phdrs[8];
};

static struct image image;
static struct elf_plan plan;

static void start(uint16_t type, uint16_t nr_phdrs)
{
    memset(&image, 0, sizeof(image));
    memcpy(image.header.e_ident, "\177ELF\2\1\1", 7);
    image.header.e_type = type;
    image.header.e_machine = EM_X86_64;
    image.header.e_entry = 0x401000;
    image.header.e_phoff = sizeof(image.header);
    image.header.e_phentsize = sizeof(struct elf64_phdr);
    image.header.e_phnum = nr_phdrs;
}

static struct elf64_phdr *load(int index, uint64_t vaddr, uint64_t offset, uint64_t file_size,
                               uint64_t mem_size)
{
    image.phdrs[index] = (struct elf64_phdr){.p_type = PT_LOAD,
                                             .p_flags = PF_R | PF_X,
                                             .p_offset = offset,
                                             .p_vaddr = vaddr,
                                             .p_filesz = file_size,
                                             .p_memsz = mem_size,
                                             .p_align = 0x1000};
    return &image.phdrs[index];
}

static int parse_header(void)
{
    return elf_parse_header(&image, sizeof(image), &plan);
}

static int parse_segments(void)
{
    int error = parse_header();

    return error != 0 ? error : elf_parse_segments(image.phdrs, sizeof(image.phdrs), &plan);
}

static int parse_interp(void)
{
    int error = parse_header();

    return error != 0 ? error : elf_parse_interp(image.phdrs, sizeof(image.phdrs), &plan);
}

TEST(a_static_program_gives_its_range_and_where_its_headers_are)
{
    start(ET_EXEC, 2);
    load(0, 0x400000, 0, 0x1234, 0x1234);
    load(1, 0x402234, 0x1234, 0x100, 0x5000);
    EXPECT_EQ(0, parse_segments());
    EXPECT_EQ(0x400000, plan.low);
    EXPECT_EQ(0x407234, plan.high);
    EXPECT_EQ(2, plan.nr_segments);
    EXPECT_EQ(0x400040, plan.phdr_vaddr);
    EXPECT_EQ(0x401000, plan.entry);
    EXPECT_FALSE(plan.is_relocatable);
}

TEST(every_truncation_of_the_header_is_enoexec)
{
    start(ET_EXEC, 1);
    for (size_t size = 0; size < sizeof(struct elf64_header); size++) {
        uint8_t *exact = malloc(size + 1);

        memcpy(exact, &image, size);
        EXPECT_EQ(-ENOEXEC, elf_parse_header(exact, size, &plan));
        free(exact);
    }
}

TEST(each_wrong_byte_of_the_magic_is_enoexec)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } wrong[] = {
        {0, 0},
        {1, 'e'},
        {2, 0},
        {3, 0},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        start(ET_EXEC, 1);
        ((uint8_t *)&image)[wrong[i].offset] = wrong[i].value;
        EXPECT_EQ(-ENOEXEC, parse_header());
    }
}

TEST(objects_cores_and_other_machines_are_enoexec)
{
    for (uint16_t type = 0; type < 6; type++) {
        start(type, 1);
        EXPECT_EQ(type == ET_EXEC || type == ET_DYN ? 0 : -ENOEXEC, parse_header());
    }
    start(ET_EXEC, 1);
    image.header.e_machine = 183;
    EXPECT_EQ(-ENOEXEC, parse_header());
}

TEST(program_header_tables_that_cannot_be_are_enoexec)
{
    start(ET_EXEC, 0);
    EXPECT_EQ(-ENOEXEC, parse_header());
    start(ET_EXEC, 65536 / sizeof(struct elf64_phdr) + 1);
    EXPECT_EQ(-ENOEXEC, parse_header());
    start(ET_EXEC, 1);
    image.header.e_phentsize = 32;
    EXPECT_EQ(-ENOEXEC, parse_header());
    start(ET_EXEC, 1);
    image.header.e_phoff = ~0UL;
    EXPECT_EQ(-ENOEXEC, parse_header());
}

TEST(an_interpreter_needs_a_name_of_possible_length)
{
    static const struct {
        uint64_t size;
        int error;
    } cases[] = {{0, -ENOEXEC}, {1, -ENOEXEC},    {2, 0},
                 {4096, 0},     {4097, -ENOEXEC}, {~0UL, -ENOEXEC}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(ET_DYN, 2);
        image.phdrs[1].p_type = PT_INTERP;
        image.phdrs[1].p_offset = 0x200;
        image.phdrs[1].p_filesz = cases[i].size;
        EXPECT_EQ(cases[i].error, parse_interp());
        EXPECT_EQ(cases[i].error == 0, plan.has_interp);
    }
    start(ET_DYN, 1);
    image.phdrs[0].p_type = PT_INTERP;
    image.phdrs[0].p_filesz = 10;
    image.phdrs[0].p_offset = ~0UL;
    EXPECT_EQ(-ENOEXEC, parse_interp());
}

TEST(the_stack_is_executable_only_if_the_program_says_so)
{
    start(ET_EXEC, 1);
    EXPECT_EQ(0, parse_interp());
    EXPECT_FALSE(plan.has_executable_stack);
    image.phdrs[0].p_type = PT_GNU_STACK;
    image.phdrs[0].p_flags = PF_R | PF_W | PF_X;
    EXPECT_EQ(0, parse_interp());
    EXPECT_TRUE(plan.has_executable_stack);
    image.phdrs[0].p_flags = PF_R | PF_W;
    EXPECT_EQ(0, parse_interp());
    EXPECT_FALSE(plan.has_executable_stack);
}

TEST(segments_must_lie_in_user_space)
{
    start(ET_EXEC, 1);
    load(0, USER_END, 0, 0x10, 0x10);
    EXPECT_EQ(-EINVAL, parse_segments());
    load(0, USER_END - 0x1000, 0, 0x1000, 0x1001);
    EXPECT_EQ(-EINVAL, parse_segments());
    load(0, USER_END - 0x1000, 0, 0x1000, 0x1000);
    EXPECT_EQ(0, parse_segments());
    load(0, 0x1000, 0, 0, ~0UL);
    EXPECT_EQ(-EINVAL, parse_segments());
    load(0, ~0xfffUL, 0, 0x1000, 0x1000);
    EXPECT_EQ(-EINVAL, parse_segments());
}

TEST(a_segment_has_no_more_file_than_memory)
{
    start(ET_EXEC, 1);
    load(0, 0x400000, 0, 0x1001, 0x1000);
    EXPECT_EQ(-EINVAL, parse_segments());
}

TEST(offset_and_address_agree_within_a_page)
{
    start(ET_EXEC, 1);
    load(0, 0x400000, 0x10, 0x100, 0x100);
    EXPECT_EQ(-EINVAL, parse_segments());
    load(0, 0x400010, 0x5010, 0x100, 0x100);
    EXPECT_EQ(0, parse_segments());
    load(0, 0x400000, 0x10, 0, 0x100);
    EXPECT_EQ(0, parse_segments());
    load(0, 0x400000, (uint64_t)INT64_MAX - 0xfff, 0x2000, 0x2000);
    EXPECT_EQ(-EINVAL, parse_segments());
}

TEST(a_relocatable_program_must_load_something)
{
    start(ET_DYN, 1);
    EXPECT_EQ(-EINVAL, parse_segments());
    load(0, 0, 0, 0x1000, 0x1000);
    EXPECT_EQ(0, parse_segments());
    EXPECT_TRUE(plan.is_relocatable);
}

TEST(the_largest_sound_alignment_counts)
{
    start(ET_DYN, 3);
    load(0, 0, 0, 0x1000, 0x1000)->p_align = 0x200000;
    load(1, 0x200000, 0, 0x1000, 0x1000)->p_align = 0x12345;
    load(2, 0x400000, 0, 0x1000, 0x1000)->p_align = 0;
    EXPECT_EQ(0, parse_segments());
    EXPECT_EQ(0x200000, plan.align);
    load(1, 0x200000, 0, 0x1000, 0x1000)->p_align = 1UL << 63;
    EXPECT_EQ(0, parse_segments());
    EXPECT_EQ(0x1000, plan.align);
}

TEST(too_few_program_headers_are_not_read)
{
    start(ET_EXEC, 8);
    EXPECT_EQ(0, parse_header());
    struct elf64_phdr *exact = calloc(7, sizeof(*exact));

    EXPECT_EQ(-ENOEXEC, elf_parse_interp(exact, 7 * sizeof(*exact), &plan));
    EXPECT_EQ(-EINVAL, elf_parse_segments(exact, 7 * sizeof(*exact), &plan));
    free(exact);
}

TEST(only_load_headers_are_segments)
{
    struct elf_segment segment;

    start(ET_EXEC, 2);
    load(1, 0x400010, 0x10, 0x20, 0x30);
    EXPECT_EQ(0, parse_segments());
    EXPECT_FALSE(elf_get_segment(image.phdrs, &plan, 0, &segment));
    EXPECT_TRUE(elf_get_segment(image.phdrs, &plan, 1, &segment));
    EXPECT_EQ(0x400010, segment.vaddr);
    EXPECT_EQ(0x20, segment.file_size);
    EXPECT_EQ(0x30, segment.mem_size);
    EXPECT_FALSE(elf_get_segment(image.phdrs, &plan, 2, &segment));
}

/* --- scripts --------------------------------------------------------------------------------- */

static char head[EXEC_HEAD_SIZE];
static struct script_plan script;

static int parse_script(const char *text)
{
    memset(head, 0, sizeof(head));
    strncpy(head, text, sizeof(head));
    return script_parse(head, strnlen(text, sizeof(head)), &script);
}

TEST(a_script_names_its_interpreter_and_one_argument)
{
    EXPECT_EQ(0, parse_script("#!/bin/sh\necho\n"));
    EXPECT_STR("/bin/sh", script.interpreter);
    EXPECT_TRUE(script.argument == NULL);
    EXPECT_EQ(0, parse_script("#! \t/bin/sh  -e  -x \t\necho\n"));
    EXPECT_STR("/bin/sh", script.interpreter);
    EXPECT_STR("-e  -x", script.argument);
    EXPECT_EQ(0, parse_script("#!/bin/sh"));
    EXPECT_STR("/bin/sh", script.interpreter);
    EXPECT_EQ(0, parse_script("#!/bin/sh   "));
    EXPECT_TRUE(script.argument == NULL);
}

TEST(a_script_without_interpreter_is_enoexec)
{
    EXPECT_EQ(-ENOEXEC, parse_script(""));
    EXPECT_EQ(-ENOEXEC, parse_script("#"));
    EXPECT_EQ(-ENOEXEC, parse_script("#!"));
    EXPECT_EQ(-ENOEXEC, parse_script("#!\n/bin/sh\n"));
    EXPECT_EQ(-ENOEXEC, parse_script("#!  \t \n"));
    EXPECT_EQ(-ENOEXEC, parse_script("/bin/sh\n"));
}

TEST(an_interpreter_cut_off_by_the_head_is_enoexec)
{
    char text[400] = "#!/";

    memset(text + 3, 'x', 390);
    EXPECT_EQ(-ENOEXEC, parse_script(text));
    text[100] = ' ';
    EXPECT_EQ(0, parse_script(text));
    EXPECT_EQ(98, strlen(script.interpreter));
    EXPECT_TRUE(strlen(script.argument) < sizeof(head));
}
