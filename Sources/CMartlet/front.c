// A program in front: it has our terminal, our process group and our descriptors, as if the shell had started it.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static void do_nothing(int number) { (void)number; }

/// What is typed at the terminal to end the program reaches us too: it is the program's to decide. What is ignored stays so.
static void leave_keys_to_it(void) {
  static const int numbers[] = {SIGINT, SIGQUIT};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action;
    if (sigaction(numbers[i], NULL, &action) < 0 || action.sa_handler == SIG_IGN) continue;
    memset(&action, 0, sizeof action);
    action.sa_handler = do_nothing;
    action.sa_flags = SA_RESTART;
    sigaction(numbers[i], &action, NULL);
  }
}

struct start {
  struct martlet_spawn spawn;
  int pidfd;
  pid_t pid;
  sem_t is_started;
};

/// The program is told by the kernel when the thread ends that started it: so this one lives until the program has ended. Other
/// threads of a Swift program, the first among them, come and go.
static void *start(void *argument) {
  struct start *start = argument;
  int step;
  pid_t pid = start->pid = martlet_spawn(&start->spawn, &start->pidfd, NULL, &step);
  sem_post(&start->is_started);
  siginfo_t status;
  if (pid > 0)
    while (waitid(P_PID, (id_t)pid, &status, WEXITED | WNOWAIT) < 0 && errno == EINTR) {}
  return NULL;
}

pid_t martlet_spawn_in_front(const char *path, char *const *argv, char *const *envp, int *pidfd) {
  struct start request = {
      .spawn = {
          .path = path, .executable = -1, .argv = argv, .envp = envp, .descriptors = {0, 1, 2}, .terminal = -1, .stays_in_group = true},
  };
  sem_init(&request.is_started, 0, 0);
  leave_keys_to_it();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, start, &request);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) return -error;
  pthread_detach(thread);
  while (sem_wait(&request.is_started) < 0) {}
  // `request` is not looked at by the thread any more.
  *pidfd = request.pidfd;
  return request.pid;
}
