// A program in front: it has our terminal, our process group and our descriptors, as if the shell had started it.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

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

pid_t martlet_spawn_in_front(const char *path, char *const *argv, char *const *envp, int *pidfd) {
  struct martlet_spawn spawn = {
      .path = path, .executable = -1, .argv = argv, .envp = envp, .descriptors = {0, 1, 2}, .terminal = -1, .stays_in_group = true};
  int step;
  leave_keys_to_it();
  return martlet_spawn(&spawn, pidfd, NULL, &step);
}
