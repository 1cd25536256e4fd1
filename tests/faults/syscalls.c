/* Counts the calls that a process makes to the file system beneath one folder, and has some of them fail.
 *
 * For LD_PRELOAD. FAULTS_FOLDER is the folder, FAULTS_CONTROL a file of sizeof (struct control)
 * bytes, through which another process says what fails and reads what was counted, while this one runs; see syscalls_calls.py.
 *
 * Left alone are the calls that take nothing of a disk and that SQLite and Python do not look at the outcome of:
 * fchmod, fchown, munmap, lseek, and the release of locks.
 */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, SYNC, TRUNCATE, LOCK, MAP, NAME, STAT, CLOSE };
enum file { NONE, PLAIN, WAL, INDEX, JOURNAL, TEXT, FOLDER };
enum verdict { PASS, SHORT, FAIL };

#define TRACED 65536
#define DESCRIPTORS 65536

struct control {
    _Atomic uint64_t calls;    /* that count, since the other process set this to 0 */
    _Atomic uint64_t failures; /* of these, those that failed */
    _Atomic uint64_t kinds;    /* those that count: 1 << enum kind */
    _Atomic uint64_t files;    /* those that count: 1 << enum file */
    _Atomic uint64_t first;    /* the numbers of the calls that fail, from 1; 0: none does */
    _Atomic uint64_t last;
    _Atomic uint64_t error;      /* the errno */
    _Atomic uint64_t is_short;   /* the first of them, if it reads or writes, only does half of it */
    _Atomic uint64_t skips_sync; /* what is synced is not: much faster, and nothing here pulls the plug */
    _Atomic uint64_t is_whole;   /* a short write was to write what was there already, as far as it did not come */
    _Atomic uint64_t unused[502];
    struct {
        uint8_t kind, file;
    } trace[TRACED]; /* what the counted calls were */
};

static struct control *control;
static const char *folder;
static size_t folder_length;
static _Atomic unsigned char watched[DESCRIPTORS]; /* enum file of each descriptor */

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    folder = getenv("FAULTS_FOLDER");
    if (!path || !folder)
        return;
    folder_length = strlen(folder);
    int (*open_it)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    void *(*map_it)(void *, size_t, int, int, int, off64_t) =
        (void *(*)(void *, size_t, int, int, int, off64_t))dlsym(RTLD_NEXT, "mmap64");
    int descriptor = open_it(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        abort();
    void *map = map_it(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (map == MAP_FAILED)
        abort();
    close(descriptor);
    control = map;
}

static enum file file_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? watched[descriptor] : NONE;
}

static int ends(const char *path, size_t length, const char *suffix) {
    size_t size = strlen(suffix);
    return length >= size && !memcmp(path + length - size, suffix, size);
}

static int is_folder(const char *path) {
    static int (*open_it)(const char *, int, ...);
    if (!open_it)
        open_it = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    int saved = errno, descriptor = open_it(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        static int (*close_it)(int);
        if (!close_it)
            close_it = (int (*)(int))dlsym(RTLD_NEXT, "close");
        close_it(descriptor);
    }
    errno = saved;
    return descriptor >= 0;
}

/* NONE for what is not beneath the folder; paths of databases and logs are absolute. */
static enum file file_at(const char *path) {
    if (!control || !path || strncmp(path, folder, folder_length) || (path[folder_length] && path[folder_length] != '/'))
        return NONE;
    size_t length = strlen(path);
    if (ends(path, length, "-wal"))
        return WAL;
    if (ends(path, length, "-shm"))
        return INDEX;
    if (ends(path, length, "-journal"))
        return JOURNAL;
    if (ends(path, length, ".log") || ends(path, length, ".log.1"))
        return TEXT;
    return is_folder(path) ? FOLDER : PLAIN;
}

/* Count a call, and say what becomes of it; errno is set when it fails. */
static enum verdict judge(enum kind kind, enum file file) {
    if (!control || file == NONE || !(control->kinds >> kind & 1) || !(control->files >> file & 1))
        return PASS;
    uint64_t number = atomic_fetch_add(&control->calls, 1) + 1;
    if (number <= TRACED) {
        control->trace[number - 1].kind = kind;
        control->trace[number - 1].file = file;
    }
    uint64_t first = control->first;
    if (!first || number < first || number > control->last)
        return PASS;
    atomic_fetch_add(&control->failures, 1);
    if (control->is_short && number == first && (kind == READ || kind == WRITE))
        return SHORT;
    errno = (int)control->error;
    return FAIL;
}

static int watch(int descriptor, enum file file) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        watched[descriptor] = file;
    return descriptor;
}

#define OPENING(name, ...) \
    int mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, int); \
        va_end(more); \
    } \
    REAL(name); \
    enum file file = file_at(path); \
    if (judge(OPEN, file) == FAIL) \
        return -1; \
    return watch(real(__VA_ARGS__, flags, mode), file)

int open(const char *path, int flags, ...) { OPENING(open, path); }
int open64(const char *path, int flags, ...) { OPENING(open64, path); }
int openat(int at, const char *path, int flags, ...) { OPENING(openat, at, path); }
int openat64(int at, const char *path, int flags, ...) { OPENING(openat64, at, path); }

int close(int descriptor) {
    REAL(close);
    enum verdict verdict = judge(CLOSE, file_of(descriptor));
    int error = errno;
    watch(descriptor, NONE);
    int outcome = real(descriptor);
    if (verdict != FAIL)
        return outcome;
    errno = error; /* as on Linux: it is closed all the same */
    return -1;
}

/* Half of it, at least a byte. */
#define TRANSFER(name, kind, size, ...) \
    REAL(name); \
    switch (judge(kind, file_of(descriptor))) { \
    case FAIL: \
        return -1; \
    case SHORT: \
        size = size > 1 ? size / 2 : size; /* fall through */ \
    default: \
        return real(__VA_ARGS__); \
    }

ssize_t read(int descriptor, void *data, size_t size) { TRANSFER(read, READ, size, descriptor, data, size) }

ssize_t pread(int descriptor, void *data, size_t size, off_t at) {
    TRANSFER(pread, READ, size, descriptor, data, size, at)
}

ssize_t pread64(int descriptor, void *data, size_t size, off64_t at) {
    TRANSFER(pread64, READ, size, descriptor, data, size, at)
}

ssize_t write(int descriptor, const void *data, size_t size) { TRANSFER(write, WRITE, size, descriptor, data, size) }

static int is_there(int descriptor, const char *data, size_t size, off64_t at) {
    char found[4096];
    REAL(pread64);
    return size <= sizeof found && real(descriptor, found, size, at) == (ssize_t)size && !memcmp(found, data, size);
}

/* The same, and whether a log that is written anew from its beginning has the rest from the time before. */
#define WRITE_AT(name) \
    REAL(name); \
    switch (judge(WRITE, file_of(descriptor))) { \
    case FAIL: \
        return -1; \
    case SHORT: { \
        size_t half = size > 1 ? size / 2 : size; \
        control->is_whole = is_there(descriptor, (const char *)data + half, size - half, at + (off64_t)half); \
        size = half; \
    } /* fall through */ \
    default: \
        return real(descriptor, data, size, at); \
    }

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t at) { WRITE_AT(pwrite) }
ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t at) { WRITE_AT(pwrite64) }

#define SYNCING(name) \
    REAL(name); \
    enum file file = file_of(descriptor); \
    if (judge(SYNC, file) == FAIL) \
        return -1; \
    return file != NONE && control->skips_sync ? 0 : real(descriptor)

int fsync(int descriptor) { SYNCING(fsync); }
int fdatasync(int descriptor) { SYNCING(fdatasync); }

#define BY_DESCRIPTOR(name, kind, ...) \
    REAL(name); \
    return judge(kind, file_of(descriptor)) == FAIL ? -1 : real(__VA_ARGS__)

#define BY_PATH(name, kind, decisive, ...) \
    REAL(name); \
    return judge(kind, file_at(decisive)) == FAIL ? -1 : real(__VA_ARGS__)

int ftruncate(int descriptor, off_t size) { BY_DESCRIPTOR(ftruncate, TRUNCATE, descriptor, size); }
int ftruncate64(int descriptor, off64_t size) { BY_DESCRIPTOR(ftruncate64, TRUNCATE, descriptor, size); }

int unlink(const char *path) { BY_PATH(unlink, NAME, path, path); }
int mkdir(const char *path, mode_t mode) { BY_PATH(mkdir, NAME, path, path, mode); }
int rename(const char *old, const char *new) { BY_PATH(rename, NAME, new, old, new); }
int link(const char *old, const char *new) { BY_PATH(link, NAME, new, old, new); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    BY_PATH(linkat, NAME, new, from, old, to, new, flags);
}

int access(const char *path, int mode) { BY_PATH(access, STAT, path, path, mode); }
int stat64(const char *restrict path, struct stat64 *restrict found) { BY_PATH(stat64, STAT, path, path, found); }
int lstat64(const char *restrict path, struct stat64 *restrict found) { BY_PATH(lstat64, STAT, path, path, found); }
int fstat64(int descriptor, struct stat64 *found) { BY_DESCRIPTOR(fstat64, STAT, descriptor, found); }

int fstatat64(int at, const char *restrict path, struct stat64 *restrict found, int flags) {
    BY_PATH(fstatat64, STAT, path, at, path, found, flags);
}

int flock(int descriptor, int operation) { BY_DESCRIPTOR(flock, LOCK, descriptor, operation); }

static int takes_lock(int command, void *argument) {
    return (command == F_SETLK || command == F_SETLKW) && ((struct flock *)argument)->l_type != F_UNLCK;
}

#define CONTROLLING(name) \
    va_list more; \
    va_start(more, command); \
    void *argument = va_arg(more, void *); \
    va_end(more); \
    REAL(name); \
    if (file_of(descriptor) != NONE && takes_lock(command, argument) && judge(LOCK, file_of(descriptor)) == FAIL) \
        return -1; \
    return real(descriptor, command, argument)

int fcntl(int descriptor, int command, ...) { CONTROLLING(fcntl); }
int fcntl64(int descriptor, int command, ...) { CONTROLLING(fcntl64); }

#define MAPPING(name) \
    REAL(name); \
    if (!(flags & MAP_ANONYMOUS) && judge(MAP, file_of(descriptor)) == FAIL) \
        return MAP_FAILED; \
    return real(address, size, protection, flags, descriptor, at)

void *mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t at) { MAPPING(mmap); }
void *mmap64(void *address, size_t size, int protection, int flags, int descriptor, off64_t at) { MAPPING(mmap64); }
