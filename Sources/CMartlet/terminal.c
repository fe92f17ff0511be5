// Pseudo-terminals: for connectors' programs that ask nowhere else, and for commands that want one.
#define _GNU_SOURCE
#include "CMartlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int martlet_terminal_open(int *master, int *slave) {
  *slave = -1;
  *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (*master < 0) return -errno;
  if (grantpt(*master) == 0 && unlockpt(*master) == 0) {
    // Works also where /dev/pts is not the one that the terminal is in. Not before Linux 4.13.
    *slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    char path[128];
    if (*slave < 0 && ptsname_r(*master, path, sizeof path) == 0) *slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  }
  if (*slave >= 0) return 0;
  int error = errno;
  close(*master);
  *master = -1;
  return -error;
}

bool martlet_terminal_echoes(int master) {
  struct termios settings;
  return tcgetattr(master, &settings) < 0 || (settings.c_lflag & ECHO);
}

void martlet_terminal_hide(int master) {
  struct termios settings;
  if (tcgetattr(master, &settings) < 0) return;
  settings.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
  tcsetattr(master, TCSANOW, &settings);
}

void martlet_terminal_resize(int terminal, uint16_t columns, uint16_t rows) {
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  ioctl(terminal, TIOCSWINSZ, &size);
}

bool martlet_terminal_size(int terminal, uint16_t *columns, uint16_t *rows) {
  struct winsize size;
  if (ioctl(terminal, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row) return false;
  *columns = size.ws_col;
  *rows = size.ws_row;
  return true;
}

pid_t martlet_terminal_foreground(int master) {
  pid_t group = 0;
  return ioctl(master, TIOCGPGRP, &group) < 0 || group < 0 ? 0 : group;
}

int martlet_terminal_end_key(int master) {
  struct termios settings;
  if (tcgetattr(master, &settings) < 0 || !(settings.c_lflag & ICANON)) return -1;
  return settings.c_cc[VEOF];
}

void martlet_forget(void *bytes, size_t count) {
  if (bytes && count) explicit_bzero(bytes, count);
}
