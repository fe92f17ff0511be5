// Where there is no /proc, libdispatch is no place for Swift's tasks: once a second it reads the state of its workers there
// if any work waits, the first time just when the pool starts, and traps ("registered worker exited prematurely") if it
// cannot. So there the tasks that ask for no executor run on one of ours.
#include "CMartlet.h"

#include <unistd.h>

typedef __attribute__((swiftcall)) void (*enqueue_function)(void *job);

// All weak: another run-time may lack them.
extern __attribute__((swiftcall)) struct martlet_executor (*swift_task_getMainExecutor_hook)(void *original)
    __attribute__((weak));
extern __attribute__((swiftcall)) void (*swift_task_enqueueGlobal_hook)(void *job, enqueue_function original)
    __attribute__((weak));
extern void *dispatch_get_global_queue(intptr_t quality, uintptr_t flags) __attribute__((weak));
extern void dispatch_async_f(void *queue, void *context, void (*work)(void *)) __attribute__((weak));

static void (*enqueue)(void *job);
static __attribute__((swiftcall)) void enqueue_global(void *job, enqueue_function original) { enqueue(job); }
static void nothing(void *context) {}

void martlet_keep_tasks(void (*enqueue_job)(void *job)) {
  if (access("/proc/self/task", F_OK) == 0 || !&swift_task_enqueueGlobal_hook) return;
  enqueue = enqueue_job;
  swift_task_enqueueGlobal_hook = enqueue_global;
  // Timers (Task.sleep) and the user's own queues stay there: from 6.3 on the run-time has no hook for them. The first look comes with the first worker: so that comes
  // now, to the queue for background work, where nothing else waits.
  if (dispatch_get_global_queue && dispatch_async_f) dispatch_async_f(dispatch_get_global_queue(0x09, 0), NULL, nothing);
}

static struct martlet_executor main_executor;
static __attribute__((swiftcall)) struct martlet_executor get_main_executor(void *original) { return main_executor; }

bool martlet_keep_main_actor(struct martlet_executor executor) {
  if (!&swift_task_getMainExecutor_hook) return false;
  main_executor = executor;
  swift_task_getMainExecutor_hook = get_main_executor;
  return true;
}
