"""Runs in chopsticks' outer context: a tunnel of its own."""
import os
from far import echo

inner = None


def open_inner(number):
    global inner
    from chopsticks.tunnel import Local
    tunnel = Local("inner%d" % number)
    pid = tunnel.call(os.getpid)
    inner = tunnel
    return pid


def close_inner():
    inner.close()


def echo_inner(value):
    return inner.call(echo, value)
