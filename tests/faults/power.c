/* Writes down, in order, all that a process does to the files beneath a directory: what a power cut could undo.
 *
 * POWER_DIRECTORY is that directory (absolute, no symbolic links), POWER_JOURNAL the file to append to; without both,
 * nothing is written down. Every call does what it always does. Several processes may share a journal.
 *
 * A record is a `struct record`, then the path, then the other path, then what was written. Paths are relative to the
 * directory. A record is appended when the call has had its effect and before it returns; the lock that is held
 * meanwhile makes the order of the records that of the effects. A sync holds no lock, for it takes long: its record
 * says how long the journal was when it began, which is what it has certainly taken to the disk.
 *
 * Left out: the index of the write-ahead log (-shm), which is made anew after a crash, logs, and what is mapped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNC_DIRECTORY, RENAME, LINK, UNLINK, MKDIR };

struct record {
    uint32_t kind;
    uint16_t path_bytes, other_bytes;
    uint64_t inode;
    uint64_t offset; /* of what was written; the new size; how long the journal was when a sync began */
    uint64_t data_bytes;
};

#define DESCRIPTORS 65536
static unsigned char watched[DESCRIPTORS]; /* 1: a file, 2: a directory */

static char directory[PATH_MAX];
static size_t directory_bytes;
static int journal = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void)
{
    const char *where = getenv("POWER_DIRECTORY"), *name = getenv("POWER_JOURNAL");
    if (!where || !name || strlen(where) >= sizeof directory)
        return;
    journal = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0)
        abort(); /* a run without its journal would prove nothing */
    strcpy(directory, where);
    directory_bytes = strlen(directory);
}

static void lock(void)
{
    pthread_mutex_lock(&mutex);
    while (syscall(SYS_flock, journal, LOCK_EX) < 0 && errno == EINTR)
        ;
}

static void unlock(void)
{
    int error = errno;
    syscall(SYS_flock, journal, LOCK_UN);
    pthread_mutex_unlock(&mutex);
    errno = error;
}

static uint64_t journal_bytes(void)
{
    struct stat status;
    if (fstat(journal, &status) < 0)
        abort();
    return status.st_size;
}

/* The path relative to the directory, in `relative`, if it is the directory or beneath it. */
static int beneath(const char *path, char *relative)
{
    char absolute[PATH_MAX];
    if (journal < 0 || !path)
        return 0;
    if (path[0] != '/') {
        if (syscall(SYS_getcwd, absolute, sizeof absolute) < 0)
            return 0;
        if (strlen(absolute) + 1 + strlen(path) >= sizeof absolute)
            return 0;
        strcat(strcat(absolute, "/"), path);
        path = absolute;
    }
    if (strncmp(path, directory, directory_bytes) != 0)
        return 0;
    path += directory_bytes;
    if (*path != '/' && *path != 0)
        return 0;
    while (*path == '/')
        path++;
    size_t length = strlen(path);
    if (length >= PATH_MAX)
        return 0;
    strcpy(relative, path);
    while (length && relative[length - 1] == '/')
        relative[--length] = 0;
    return 1;
}

static int is_left_out(const char *path)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t length = strlen(name);
    return strstr(name, ".log") || (length >= 4 && strcmp(name + length - 4, "-shm") == 0);
}

/* Whether a file is one of those whose fate matters. */
static int matters(const char *path, char *relative)
{
    return beneath(path, relative) && !is_left_out(relative);
}

static int is_watched(int descriptor, int as)
{
    return journal >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS && watched[descriptor] == as;
}

static uint64_t inode_of(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        abort();
    return status.st_ino;
}

static uint64_t inode_at(const char *path)
{
    struct stat status;
    return lstat(path, &status) < 0 ? 0 : status.st_ino;
}

static void append(struct record record, const char *path, const char *other, const void *data)
{
    int error = errno;
    record.path_bytes = strlen(path);
    record.other_bytes = strlen(other);
    struct iovec parts[] = {
        {&record, sizeof record},
        {(void *)path, record.path_bytes},
        {(void *)other, record.other_bytes},
        {(void *)data, record.data_bytes},
    };
    ssize_t bytes = sizeof record + record.path_bytes + record.other_bytes + record.data_bytes;
    if (syscall(SYS_writev, journal, parts, 4) != bytes)
        abort();
    errno = error;
}

static void append_name(enum kind kind, uint64_t inode, const char *path, const char *other)
{
    append((struct record){.kind = kind, .inode = inode}, path, other, "");
}

/* Opening */

static int watched_open(int at, const char *path, int flags, mode_t mode)
{
    char relative[PATH_MAX];
    if ((at != AT_FDCWD && path && path[0] != '/') || !matters(path, relative)) {
        int other = syscall(SYS_openat, at, path, flags, mode);
        if (other >= 0 && other < DESCRIPTORS)
            watched[other] = 0;
        return other;
    }
    lock();
    int was_there = inode_at(path) != 0;
    int descriptor = syscall(SYS_openat, at, path, flags, mode);
    if (descriptor >= 0 && descriptor < DESCRIPTORS) {
        struct stat status;
        if (fstat(descriptor, &status) < 0)
            abort();
        watched[descriptor] = S_ISDIR(status.st_mode) ? 2 : S_ISREG(status.st_mode) ? 1 : 0;
        if (watched[descriptor] == 1 && (flags & O_CREAT) && !was_there)
            append_name(CREATE, status.st_ino, relative, "");
        else if (watched[descriptor] == 1 && (flags & O_TRUNC))
            append((struct record){.kind = TRUNCATE, .inode = status.st_ino}, "", "", "");
    }
    unlock();
    return descriptor;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...)                           \
    {                                                                    \
        va_list arguments;                                               \
        va_start(arguments, flags);                                      \
        mode_t mode = mode_of(flags, arguments);                         \
        va_end(arguments);                                               \
        return watched_open(AT_FDCWD, path, flags, mode);                \
    }
#define OPENAT(name)                                                     \
    int name(int at, const char *path, int flags, ...)                   \
    {                                                                    \
        va_list arguments;                                               \
        va_start(arguments, flags);                                      \
        mode_t mode = mode_of(flags, arguments);                         \
        va_end(arguments);                                               \
        return watched_open(at, path, flags, mode);                      \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        watched[descriptor] = 0;
    return syscall(SYS_close, descriptor);
}

/* Bytes */

static void wrote(int descriptor, const void *data, ssize_t bytes, off_t offset)
{
    struct record record = {
        .kind = WRITE, .inode = inode_of(descriptor), .offset = offset, .data_bytes = bytes};
    append(record, "", "", data);
}

static ssize_t watched_pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    if (!is_watched(descriptor, 1))
        return syscall(SYS_pwrite64, descriptor, data, bytes, offset);
    lock();
    ssize_t written = syscall(SYS_pwrite64, descriptor, data, bytes, offset);
    if (written > 0)
        wrote(descriptor, data, written, offset);
    unlock();
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    return watched_pwrite(descriptor, data, bytes, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t bytes, off64_t offset)
{
    return watched_pwrite(descriptor, data, bytes, offset);
}

ssize_t write(int descriptor, const void *data, size_t bytes)
{
    if (!is_watched(descriptor, 1))
        return syscall(SYS_write, descriptor, data, bytes);
    lock();
    ssize_t written = syscall(SYS_write, descriptor, data, bytes);
    if (written > 0)
        wrote(descriptor, data, written, syscall(SYS_lseek, descriptor, 0, SEEK_CUR) - written);
    unlock();
    return written;
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    if (!is_watched(descriptor, 1))
        return syscall(SYS_writev, descriptor, parts, count);
    ssize_t total = 0;
    for (int number = 0; number < count; number++) { /* a short write is one that callers must expect */
        ssize_t written = write(descriptor, parts[number].iov_base, parts[number].iov_len);
        if (written < 0)
            return total ? total : written;
        total += written;
        if ((size_t)written < parts[number].iov_len)
            break;
    }
    return total;
}

static int watched_ftruncate(int descriptor, off_t bytes)
{
    if (!is_watched(descriptor, 1))
        return syscall(SYS_ftruncate, descriptor, bytes);
    lock();
    int result = syscall(SYS_ftruncate, descriptor, bytes);
    if (result == 0) {
        struct record record = {.kind = TRUNCATE, .inode = inode_of(descriptor), .offset = bytes};
        append(record, "", "", "");
    }
    unlock();
    return result;
}

int ftruncate(int descriptor, off_t bytes)
{
    return watched_ftruncate(descriptor, bytes);
}

int ftruncate64(int descriptor, off64_t bytes)
{
    return watched_ftruncate(descriptor, bytes);
}

/* Syncing */

static int watched_sync(long number, int descriptor)
{
    int is_file = is_watched(descriptor, 1);
    if (!is_file && !is_watched(descriptor, 2))
        return syscall(number, descriptor);
    uint64_t began = journal_bytes();
    int result = syscall(number, descriptor);
    if (result == 0) {
        struct record record = {
            .kind = is_file ? SYNC : SYNC_DIRECTORY, .inode = inode_of(descriptor), .offset = began};
        char link[64], path[PATH_MAX], relative[PATH_MAX] = "";
        if (!is_file) {
            snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
            ssize_t bytes = readlink(link, path, sizeof path - 1);
            if (bytes < 0)
                abort();
            path[bytes] = 0;
            if (!beneath(path, relative))
                return result;
        }
        lock();
        append(record, relative, "", "");
        unlock();
    }
    return result;
}

int fsync(int descriptor)
{
    return watched_sync(SYS_fsync, descriptor);
}

int fdatasync(int descriptor)
{
    return watched_sync(SYS_fdatasync, descriptor);
}

/* Names */

static int named(enum kind kind, long result, uint64_t inode, const char *path, const char *other)
{
    if (result == 0)
        append_name(kind, inode, path, other);
    unlock();
    return result;
}

int rename(const char *path, const char *other)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!matters(path, from) || !matters(other, to))
        return syscall(SYS_renameat, AT_FDCWD, path, AT_FDCWD, other);
    lock();
    uint64_t inode = inode_at(path);
    return named(RENAME, syscall(SYS_renameat, AT_FDCWD, path, AT_FDCWD, other), inode, from, to);
}

int link(const char *path, const char *other)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!matters(path, from) || !matters(other, to))
        return syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0);
    lock();
    uint64_t inode = inode_at(path);
    return named(LINK, syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0), inode, from, to);
}

int linkat(int at, const char *path, int other_at, const char *other, int flags)
{
    if (at == AT_FDCWD && other_at == AT_FDCWD && flags == 0)
        return link(path, other);
    return syscall(SYS_linkat, at, path, other_at, other, flags);
}

int unlink(const char *path)
{
    char relative[PATH_MAX];
    if (!matters(path, relative))
        return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    lock();
    uint64_t inode = inode_at(path);
    return named(UNLINK, syscall(SYS_unlinkat, AT_FDCWD, path, 0), inode, relative, "");
}

int mkdir(const char *path, mode_t mode)
{
    char relative[PATH_MAX];
    if (!matters(path, relative))
        return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    lock();
    return named(MKDIR, syscall(SYS_mkdirat, AT_FDCWD, path, mode), 0, relative, "");
}
