/* Loaded into QEMU (LD_PRELOAD) when its memory is a template's, mapped copy-on-write by many machines.
 *
 * When a guest gives memory back, QEMU punches a hole into the file behind it, even where the mapping is private, and
 * every other machine would read zeros there. Here that hole is not made; QEMU then drops its own copy of the pages,
 * which is all that is wanted. The file is opened for reading only: a private mapping needs no more.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *ram;
static struct stat template;

__attribute__((constructor)) static void find_template(void)
{
    ram = getenv("SKERRY_TEMPLATE_RAM");
    if (ram && stat(ram, &template) != 0)
        ram = NULL;
}

int fallocate64(int file, int mode, off64_t offset, off64_t length)
{
    struct stat found;
    if (ram && fstat(file, &found) == 0 && found.st_dev == template.st_dev && found.st_ino == template.st_ino)
        return 0;
    return (int)syscall(SYS_fallocate, file, mode, offset, length);
}

static int open_for_reading(const char *path, int flags, mode_t mode)
{
    if (ram && strcmp(path, ram) == 0)
        flags = (flags & ~(O_ACCMODE | O_CREAT | O_TRUNC)) | O_RDONLY;
    return openat64(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return open_for_reading(path, flags, mode);
}

int __open64_2(const char *path, int flags)
{
    return open_for_reading(path, flags, 0);
}
