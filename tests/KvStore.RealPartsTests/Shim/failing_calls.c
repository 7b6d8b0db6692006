/*
 * Stands between a program and the C library: the n-th call of a kind, on files below one directory, fails, does half of its
 * work, is interrupted, or ends the process. Built by the tests with gcc; loaded with LD_PRELOAD.
 *
 * KVSHIM_PLAN="directory|kind|n|action|errno|for good" arms it from the start; kvshim_arm does later, from inside.
 * KVSHIM_MARK names a file that is made when the first call is changed.
 * KVSHIM_CLOCK names a file of eight bytes: seconds that are added to the system's clock, read at every look at it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same order as in Shim.cs. */
enum kind { ANY, CREATE, OPEN, WRITE, READ, FDATASYNC, FSYNC, FSYNC_DIRECTORY, TRUNCATE, ALLOCATE, RENAME, UNLINK, LOCK, MAKE_DIRECTORY, LIST, KINDS };
enum action { NOTHING, FAIL, FAIL_HALF_DONE, FAIL_DONE, SHORT, KILL, KILL_HALF_DONE };

#define DESCRIPTORS 65536
#define PATHS 4096

static char directory[PATHS];
static size_t directory_length;
static _Atomic int armed;
static _Atomic long fired;
static _Atomic long counts[KINDS];
static int plan_kind, plan_action, plan_errno, plan_for_good;
static long plan_call;
static char fired_path[PATHS];
static char tracked[DESCRIPTORS];
static char *paths[DESCRIPTORS];
static volatile int64_t *clock_offset;

static void *next(const char *name)
{
    typedef void *(*dlsym_function)(void *, const char *);
    static dlsym_function real;
    if (!real) {
        real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
        if (!real) real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.17");
        if (!real) real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    }
    return real(RTLD_NEXT, name);
}

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))next(#name); real; })

void kvshim_arm(const char *path, int kind, long call, int action, int error, int for_good)
{
    armed = 0;
    snprintf(directory, sizeof directory, "%s", path);
    directory_length = strlen(directory);
    plan_kind = kind;
    plan_call = call;
    plan_action = action;
    plan_errno = error;
    plan_for_good = for_good;
    fired = 0;
    fired_path[0] = 0;
    for (int i = 0; i < KINDS; i++) counts[i] = 0;
    armed = 1;
}

void kvshim_disarm(void) { armed = 0; }
long kvshim_fired(void) { return fired; }
long kvshim_count(int kind) { return counts[kind]; }
const char *kvshim_fired_path(void) { return fired_path; }

static void start(void) __attribute__((constructor));
static void start(void)
{
    const char *plan = getenv("KVSHIM_PLAN");
    char path[PATHS];
    int kind, action, error, for_good;
    long call;
    if (plan && sscanf(plan, "%4095[^|]|%d|%ld|%d|%d|%d", path, &kind, &call, &action, &error, &for_good) == 6)
        kvshim_arm(path, kind, call, action, error, for_good);

    const char *clock_file = getenv("KVSHIM_CLOCK");
    if (clock_file) {
        int file = open(clock_file, O_RDONLY | O_CLOEXEC);
        void *map = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) clock_offset = map;
        if (file >= 0) close(file);
    }
}

static int is_below(const char *path)
{
    return directory_length > 0 && strncmp(path, directory, directory_length) == 0
        && (path[directory_length] == 0 || path[directory_length] == '/');
}

static int is_tracked(int descriptor) { return descriptor >= 0 && descriptor < DESCRIPTORS && tracked[descriptor]; }

/* For who cannot ask: a file that is there once a call was changed. */
static void leave_mark(void)
{
    const char *mark = getenv("KVSHIM_MARK");
    int file = mark ? REAL(open)(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
    if (file >= 0) REAL(close)(file);
}

/* What happens to this call. */
static int decide(enum kind kind, const char *path)
{
    if (!armed) return NOTHING;
    long of_kind = ++counts[kind];
    long of_all = ++counts[ANY];
    long number = plan_kind == ANY ? of_all : plan_kind == kind ? of_kind : 0;
    if (number == 0 || (number != plan_call && !(plan_for_good && number > plan_call))) return NOTHING;
    if (fired++ == 0) {
        snprintf(fired_path, sizeof fired_path, "%s", path ? path : "");
        leave_mark();
    }
    if (plan_action == KILL) { kill(getpid(), SIGKILL); pause(); }
    errno = plan_errno;
    return plan_action;
}

static void finish(int action)
{
    if (action == KILL_HALF_DONE) { kill(getpid(), SIGKILL); pause(); }
    errno = plan_errno;
}

static void track(int descriptor, const char *path)
{
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return;
    struct stat status;
    int below = is_below(path);
    tracked[descriptor] = !below ? 0 : fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode) ? 2 : 1;
    /* Never freed: another thread may be copying it. */
    if (below) paths[descriptor] = strdup(path);
}

/* The whole path of a name that is looked up in a directory. */
static const char *path_at(int at, const char *name, char *buffer)
{
    if (name[0] == '/' || at == AT_FDCWD || !is_tracked(at)) return name;
    snprintf(buffer, PATHS, "%s/%s", paths[at], name);
    return buffer;
}

/* With at >= 0 or AT_FDCWD and a name, or, where name is null, along the path. */
static int open_as(int (*real)(const char *, int, ...), int at, const char *name, const char *path, int flags, mode_t mode)
{
    int below = is_below(path);
    int action = NOTHING;
    if (below) action = decide(flags & O_CREAT && access(path, F_OK) != 0 ? CREATE : OPEN, path);
    if (action == FAIL || action == SHORT) { errno = plan_errno; return -1; }
    int descriptor = name ? REAL(openat)(at, name, flags, mode) : real(path, flags, mode);
    if (action != NOTHING) {
        if (descriptor >= 0) close(descriptor);
        finish(action);
        return -1;
    }
    track(descriptor, path);
    return descriptor;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); }

int open(const char *path, int flags, ...) { MODE(flags) return open_as(REAL(open), -1, NULL, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_as(REAL(open64), -1, NULL, path, flags, mode); }

int openat(int at, const char *name, int flags, ...)
{
    MODE(flags)
    char buffer[PATHS];
    return open_as(NULL, at, name, path_at(at, name, buffer), flags, mode);
}

int openat64(int at, const char *name, int flags, ...) { MODE(flags) return openat(at, name, flags, mode); }

/* The number may be given to a pipe next, before anybody opens a file. */
int close(int descriptor)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS) tracked[descriptor] = 0;
    return REAL(close)(descriptor);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset)
{
    int action = is_tracked(descriptor) ? decide(WRITE, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(pwrite64)(descriptor, bytes, count, offset);
    if (action == FAIL) return -1;
    if (action == SHORT) return REAL(pwrite64)(descriptor, bytes, count > 1 ? count / 2 : count, offset);
    REAL(pwrite64)(descriptor, bytes, action == FAIL_DONE ? count : count / 2, offset);
    finish(action);
    return -1;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) { return pwrite64(descriptor, bytes, count, offset); }

ssize_t write(int descriptor, const void *bytes, size_t count)
{
    int action = is_tracked(descriptor) ? decide(WRITE, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(write)(descriptor, bytes, count);
    if (action == FAIL) return -1;
    if (action == SHORT) return REAL(write)(descriptor, bytes, count > 1 ? count / 2 : count);
    REAL(write)(descriptor, bytes, action == FAIL_DONE ? count : count / 2);
    finish(action);
    return -1;
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off64_t offset)
{
    int action = is_tracked(descriptor) ? decide(WRITE, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(pwritev64)(descriptor, parts, count, offset);
    if (action == FAIL) return -1;
    if (action == SHORT) return REAL(pwritev64)(descriptor, parts, count > 1 ? count / 2 : count, offset);
    REAL(pwritev64)(descriptor, parts, action == FAIL_DONE ? count : count / 2, offset);
    finish(action);
    return -1;
}

ssize_t pread64(int descriptor, void *bytes, size_t count, off64_t offset)
{
    int action = is_tracked(descriptor) ? decide(READ, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(pread64)(descriptor, bytes, count, offset);
    if (action == SHORT) return REAL(pread64)(descriptor, bytes, count > 1 ? count / 2 : count, offset);
    if (action != FAIL) { ssize_t done = REAL(pread64)(descriptor, bytes, count / 2, offset); (void)done; finish(action); }
    return -1;
}

ssize_t read(int descriptor, void *bytes, size_t count)
{
    int action = is_tracked(descriptor) ? decide(READ, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(read)(descriptor, bytes, count);
    if (action == SHORT) return REAL(read)(descriptor, bytes, count > 1 ? count / 2 : count);
    if (action != FAIL) finish(action);
    return -1;
}

ssize_t preadv64(int descriptor, const struct iovec *parts, int count, off64_t offset)
{
    int action = is_tracked(descriptor) ? decide(READ, paths[descriptor]) : NOTHING;
    if (action == NOTHING) return REAL(preadv64)(descriptor, parts, count, offset);
    if (action == SHORT) return REAL(preadv64)(descriptor, parts, count > 1 ? count / 2 : count, offset);
    if (action != FAIL) finish(action);
    return -1;
}

/* A call that is done or not: the whole of it, or an error, before or after it. */
#define WHOLE(condition, kind, path, call) \
    int action = (condition) ? decide(kind, path) : NOTHING; \
    if (action == NOTHING) return call; \
    if (action == FAIL || action == SHORT) { errno = plan_errno; return -1; } \
    int done = call; (void)done; \
    finish(action); \
    return -1;

int fdatasync(int descriptor) { WHOLE(is_tracked(descriptor), FDATASYNC, paths[descriptor], REAL(fdatasync)(descriptor)) }

int fsync(int descriptor)
{
    WHOLE(is_tracked(descriptor), tracked[descriptor] == 2 ? FSYNC_DIRECTORY : FSYNC, paths[descriptor], REAL(fsync)(descriptor))
}

int ftruncate64(int descriptor, off64_t length) { WHOLE(is_tracked(descriptor), TRUNCATE, paths[descriptor], REAL(ftruncate64)(descriptor, length)) }
int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int fallocate64(int descriptor, int mode, off64_t offset, off64_t length)
{
    WHOLE(is_tracked(descriptor), ALLOCATE, paths[descriptor], REAL(fallocate64)(descriptor, mode, offset, length))
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) { return fallocate64(descriptor, mode, offset, length); }

int rename(const char *from, const char *to) { WHOLE(is_below(from) || is_below(to), RENAME, to, REAL(rename)(from, to)) }

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    char from_buffer[PATHS], to_buffer[PATHS];
    const char *from_path = path_at(from_at, from, from_buffer), *to_path = path_at(to_at, to, to_buffer);
    WHOLE(is_below(from_path) || is_below(to_path), RENAME, to_path, REAL(renameat)(from_at, from, to_at, to))
}

int unlinkat(int at, const char *name, int flags)
{
    char buffer[PATHS];
    const char *path = path_at(at, name, buffer);
    WHOLE(is_below(path), UNLINK, path, REAL(unlinkat)(at, name, flags))
}

int link(const char *from, const char *to) { WHOLE(is_below(from) || is_below(to), RENAME, to, REAL(link)(from, to)) }
int unlink(const char *path) { WHOLE(is_below(path), UNLINK, path, REAL(unlink)(path)) }
int flock(int descriptor, int operation) { WHOLE(is_tracked(descriptor), LOCK, paths[descriptor], REAL(flock)(descriptor, operation)) }
int mkdir(const char *path, mode_t mode) { WHOLE(is_below(path), MAKE_DIRECTORY, path, REAL(mkdir)(path, mode)) }

DIR *opendir(const char *path)
{
    int action = is_below(path) ? decide(LIST, path) : NOTHING;
    if (action == NOTHING) return REAL(opendir)(path);
    finish(action);
    return NULL;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = REAL(clock_gettime)(clock, time);
    if (clock_offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += *clock_offset;
    return result;
}

/* .NET asks the library itself for the calls that it makes directly, past what was preloaded. */
void *dlsym(void *handle, const char *name)
{
    typedef void *(*dlsym_function)(void *, const char *);
    static dlsym_function real;
    if (!real) {
        real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
        if (!real) real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.17");
        if (!real) real = (dlsym_function)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    }
    if (handle != RTLD_NEXT) {
        if (strcmp(name, "fdatasync") == 0) return (void *)fdatasync;
        if (strcmp(name, "fsync") == 0) return (void *)fsync;
        if (strcmp(name, "open") == 0) return (void *)open;
        if (strcmp(name, "openat") == 0) return (void *)openat;
        if (strcmp(name, "renameat") == 0) return (void *)renameat;
        if (strcmp(name, "unlinkat") == 0) return (void *)unlinkat;
        if (strcmp(name, "flock") == 0) return (void *)flock;
        if (strcmp(name, "link") == 0) return (void *)link;
        if (strcmp(name, "rename") == 0) return (void *)rename;
        if (strcmp(name, "ftruncate") == 0) return (void *)ftruncate;
        if (strcmp(name, "fallocate") == 0) return (void *)fallocate;
    }
    return real(handle, name);
}
