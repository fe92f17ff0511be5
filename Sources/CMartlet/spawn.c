// Starting programs with vfork semantics: no page table is copied, however big we are, and a failing step is known
// exactly. posix_spawn can do most of it, but neither tells which step failed nor hands out a process descriptor.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif

struct request {
  const struct martlet_spawn *spawn;
  int *guard_slot;
  int error;
  int step;
};

/// Gives signal handlers of ours back to the system, so that none runs in the child, on our memory, once signals are let
/// through again. By system call: the libraries' functions keep books, and leave out the signals of their own.
static void forget_handlers(void) {
  // The kernel's own structure, whose first member is the handler wherever Swift runs; its size varies.
  struct {
    void (*handler)(int);
    uint64_t rest[15];
  } action, standard = {.handler = SIG_DFL};
  for (int number = 1; number <= 64; number++) {
    if (syscall(SYS_rt_sigaction, number, NULL, &action, 8) < 0) continue;
    if (number == SIGPIPE || (action.handler != SIG_DFL && action.handler != SIG_IGN))
      syscall(SYS_rt_sigaction, number, &standard, NULL, 8);
  }
}

/// Runs in the child, which shares our memory: system calls only.
static int child_main(void *argument) {
  struct request *request = argument;
  const struct martlet_spawn *spawn = request->spawn;
#define TRY(failed, number)   \
  do {                        \
    if (failed) {             \
      request->step = number; \
      request->error = errno; \
      _exit(127);             \
    }                         \
  } while (0)

  if (spawn->stays_in_group)
    TRY(prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0, MARTLET_SPAWN_GROUP);
  else if (spawn->new_session)
    TRY(setsid() < 0 || (spawn->terminal >= 0 && ioctl(spawn->terminal, TIOCSCTTY, 0) < 0), MARTLET_SPAWN_GROUP);
  else
    TRY(setpgid(0, 0) < 0, MARTLET_SPAWN_GROUP);
  // Before the program runs: we may be killed at any moment.
  if (request->guard_slot) TRY((*request->guard_slot = martlet_guard_add(getpid())) < 0 && (errno = EAGAIN), MARTLET_SPAWN_GUARD);
  if (spawn->nice) TRY(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + spawn->nice) < 0, MARTLET_SPAWN_GROUP);

  // Lift all three out of the way first, so that none is overwritten before it is used.
  int lifted[3];
  for (int i = 0; i < 3; i++) TRY((lifted[i] = fcntl(spawn->descriptors[i], F_DUPFD_CLOEXEC, 3)) < 0, MARTLET_SPAWN_DESCRIPTORS);
  for (int i = 0; i < 3; i++) TRY(dup2(lifted[i], i) < 0, MARTLET_SPAWN_DESCRIPTORS);
  // Ours are all close-on-exec; the user's code in this process may have others. Older kernels lack the call.
  syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
  if (spawn->directory) TRY(chdir(spawn->directory) < 0, MARTLET_SPAWN_DIRECTORY);

  forget_handlers();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // Needs no /proc, unlike fexecve. Where a sandbox does not know it, the path leads there.
  if (spawn->executable >= 0) {
    syscall(SYS_execveat, spawn->executable, "", spawn->argv, spawn->envp, AT_EMPTY_PATH);
    TRY(errno != ENOSYS && errno != EINVAL && errno != ENOENT, MARTLET_SPAWN_EXEC);
  }
  execve(spawn->path, spawn->argv, spawn->envp);
  TRY(1, MARTLET_SPAWN_EXEC);
  return 0;
}

/// One stack is kept for the next child: to unmap what another processor has just used interrupts that.
static _Atomic(char *) kept_stack;
enum { stack_size = 64 * 1024 };

static pid_t start(struct request *request, int *pidfd) {
  char *stack = atomic_exchange(&kept_stack, NULL);
  if (!stack) stack = mmap(NULL, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  // No handler of ours may run in the child on our memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  pid_t pid = clone(child_main, stack + stack_size, flags | CLONE_PIDFD, request, pidfd);
  // Kernels before 5.2 ignore the flag; some sandboxes refuse it.
  if (pid < 0 && errno == EINVAL) pid = clone(child_main, stack + stack_size, flags, request);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  char *none = NULL;
  if (!atomic_compare_exchange_strong(&kept_stack, &none, stack)) munmap(stack, stack_size);
  return pid < 0 ? -error : pid;
}

pid_t martlet_spawn(const struct martlet_spawn *spawn, int *pidfd, int *guard_slot, int *failed_step) {
  struct request request = {.spawn = spawn, .guard_slot = guard_slot};
  *pidfd = -1;
  if (guard_slot) *guard_slot = -1;
  *failed_step = MARTLET_SPAWN_FORK;
  pid_t pid = start(&request, pidfd);
  if (pid < 0 || !request.step) return pid;
  *failed_step = request.step;
  if (guard_slot) martlet_guard_remove(*guard_slot);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
  if (*pidfd >= 0) close(*pidfd);
  *pidfd = -1;
  return -request.error;
}

int martlet_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int martlet_unnamed_file(const char *folder, int ends[2]) {
  char path[512];
  if (!folder) {
    ends[1] = memfd_create("martlet", MFD_CLOEXEC | MFD_EXEC);
    // Kernels before 6.3 do not know that flag, and need none.
    if (ends[1] < 0 && errno == EINVAL) ends[1] = memfd_create("martlet", MFD_CLOEXEC);
    if (ends[1] < 0) return -errno;
    ends[0] = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
  } else {
    if (snprintf(path, sizeof path, "%s/.martlet-XXXXXX", folder) >= (int)sizeof path) return -ENAMETOOLONG;
    ends[1] = mkostemp(path, O_CLOEXEC);
    if (ends[1] < 0) return -errno;
    // What is open for writing is not executed.
    ends[0] = fchmod(ends[1], 0700) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  }
  int error = ends[0] < 0 ? -errno : 0;
  if (folder) unlink(path);
  if (error) close(ends[1]);
  return error;
}

bool martlet_group_is_alive(pid_t group) {
  if (kill(-group, 0) < 0 && errno == ESRCH) return false;
  DIR *processes = opendir("/proc");
  if (!processes) return true;
  bool alive = false, any = false;
  for (struct dirent *entry; !alive && (entry = readdir(processes));) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    struct martlet_process process;
    if (!martlet_read_process(atoi(entry->d_name), &process)) continue;
    any = true;
    alive = process.group == group && process.state != 'Z' && process.state != 'X';
  }
  closedir(processes);
  // A /proc that hides other users' processes, or is empty, tells nothing.
  return alive || !any;
}

bool martlet_signal_session(pid_t session, int number) {
  DIR *processes = opendir("/proc");
  if (!processes) return false;
  bool found = false;
  for (struct dirent *entry; (entry = readdir(processes));) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    struct martlet_process process;
    if (!martlet_read_process(atoi(entry->d_name), &process) || process.session != session) continue;
    if (process.state == 'Z' || process.state == 'X') continue;
    found = true;
    if (number) kill(process.pid, number);
  }
  closedir(processes);
  return found;
}
