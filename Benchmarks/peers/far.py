"""What mitogen and chopsticks run at the far end; they send it there."""


def echo(value):
    return value
