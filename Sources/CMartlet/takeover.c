// An agent is a copy of the user's own program. It must never run the user's main: so it is taken over before main.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/// In the module Martlet. Weak, so that a program can link CMartlet's helpers alone.
extern void martlet_enter_agent(void) __attribute__((weak));

typedef void (*initializer)(int, char **, char **);
extern initializer __init_array_start[] __attribute__((weak, visibility("hidden")));
extern initializer __init_array_end[] __attribute__((weak, visibility("hidden")));

static char nonce[65];
static char *title_begin;
static size_t title_room;

bool martlet_is_agent(void) { return nonce[0] != 0; }
const char *martlet_agent_nonce(void) { return nonce[0] ? nonce : NULL; }

/// The kernel shows the memory between the first argument and the end of the environment: both lie in one run, which we
/// may overwrite once the environment has been copied elsewhere.
static void find_title_room(int argc, char **argv, char **envp) {
#ifndef __GLIBC__
  argc = 0;  // Other libraries give constructors no arguments.
#endif
  if (argc < 1 || !argv || !argv[0]) return;
  char *end = argv[0];
  for (int i = 0; i < argc; i++)
    if (argv[i] == end) end += strlen(argv[i]) + 1;
  for (char **e = envp; e && *e; e++)
    if (*e == end) end += strlen(*e) + 1;
  title_begin = argv[0];
  title_room = (size_t)(end - argv[0]);
}

void martlet_set_title(const char *title) {
  if (title_room > 1) {
    extern char **environ;
    // What getenv returns must not change under those who hold it.
    for (char **e = environ; e && *e; e++)
      if (*e >= title_begin && *e < title_begin + title_room) {
        char *copy = strdup(*e);
        if (copy) *e = copy;
      }
    size_t length = strlen(title);
    if (length > title_room - 1) length = title_room - 1;
    memset(title_begin, 0, title_room);
    memcpy(title_begin, title, length);
  }
  prctl(PR_SET_NAME, "martlet", 0, 0, 0);
}

static struct sigaction crash_handlers[32];

/// The run-time's handler prints where the crash was and returns, so that the faulty instruction ends the process. A
/// signal that was sent has no such instruction, and would be survived: it is sent once more.
static void handle_crash(int number, siginfo_t *info, void *context) {
  struct sigaction *handler = &crash_handlers[number];
  if (handler->sa_flags & SA_SIGINFO)
    handler->sa_sigaction(number, info, context);
  else
    handler->sa_handler(number);
  if (info->si_code > 0) return;  // from the kernel
  signal(number, SIG_DFL);
  raise(number);
}

static void watch_crash_handlers(void) {
  static const int numbers[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGQUIT, SIGSYS};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction action, *handler = &crash_handlers[numbers[i]];
    if (sigaction(numbers[i], NULL, handler) < 0 || handler->sa_handler == SIG_DFL || handler->sa_handler == SIG_IGN) continue;
    action = *handler;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = handle_crash;
    sigaction(numbers[i], &action, NULL);
  }
}

__attribute__((constructor)) static void take_over(int argc, char **argv, char **envp) {
  const char *value = getenv(MARTLET_AGENT_VARIABLE);
  if (!value || !*value) return;
  strncpy(nonce, value, sizeof nonce - 1);
  // While the environment is as the kernel laid it out: a gap in it would be taken for its end.
  find_title_room(argc, argv, envp);
  unsetenv(MARTLET_AGENT_VARIABLE);
  // In a static executable the constructors of libdispatch and of Foundation come after ours, and without them Swift's
  // tasks never run: so run what is left before going on.
  initializer *next = __init_array_start;
  while (next < __init_array_end && *next != (initializer)take_over) next++;
  if (next < __init_array_end)
    for (next++; next < __init_array_end; next++) (*next)(argc, argv, envp);
  watch_crash_handlers();
  if (martlet_enter_agent) martlet_enter_agent();
  static const char message[] = "martlet: this program was started as an agent but has no agent linked in\n";
  if (write(2, message, sizeof message - 1)) {}
  _exit(70);
}
