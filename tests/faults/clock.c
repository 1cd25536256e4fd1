/* A clock that a test sets and lets run, for servers that have this library in LD_PRELOAD.

   FAULTS_CLOCK names a file of two 64-bit integers, nanoseconds each: by how much the wall clock is wrong, and how
   much time has passed that has not really. All processes that have the file mapped see a change at once. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static const int64_t NOTHING[2] = {0, 0};
static const volatile int64_t *offsets = NOTHING;

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_semaphore)(sem_t *, clockid_t, const struct timespec *);
static int (*real_condition)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
    if (real_gettime)
        return;
    real_semaphore = dlsym(RTLD_NEXT, "sem_clockwait");
    real_condition = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof NOTHING, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        offsets = mapped;
}

static int64_t offset(clockid_t clock) {
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return offsets[0] + offsets[1];
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return offsets[1];
    default: /* how much a process or a thread has worked */
        return 0;
    }
}

static void add(struct timespec *when, int64_t nanoseconds) {
    int64_t sum = when->tv_nsec + nanoseconds % SECOND;
    when->tv_sec += nanoseconds / SECOND + (sum >= SECOND) - (sum < 0);
    when->tv_nsec = sum - SECOND * ((sum >= SECOND) - (sum < 0));
}

int clock_gettime(clockid_t clock, struct timespec *when) {
    begin();
    int result = real_gettime(clock, when);
    if (result == 0)
        add(when, offset(clock));
    return result;
}

int gettimeofday(struct timeval *restrict when, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    when->tv_sec = now.tv_sec;
    when->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *when) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (when)
        *when = now.tv_sec;
    return now.tv_sec;
}

/* Threads wait until a moment of a clock, of which the kernel knows only the real one. */

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    begin();
    struct timespec moved = *until;
    add(&moved, -offset(clock));
    return real_semaphore(semaphore, clock, &moved);
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until) {
    begin();
    struct timespec moved = *until;
    add(&moved, -offset(clock));
    return real_condition(condition, mutex, clock, &moved);
}
