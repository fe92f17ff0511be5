# What a Python context runs: a link's frames, streams and values as docs/PROTOCOL.md has them, for Python 2.7 and 3.
#
# bin/pack-python packs this file into RuntimeProgram.swift; it is sent without comments and indents, compressed. It
# must not need anything but the standard library, and of that as little as possible before hello: each import is paid by
# every connect.
#
# Threads: one reads the link and does all that needs no user code (heartbeats, credit, resets); the main thread runs the
# first call that is there, further ones get threads of their own; one forwards what is printed. LOCK guards all streams,
# each outlet has a lock of its own. None is held while user code runs, or while anything waits for the link.
#
# A second process, the guard, is forked before there are threads and before any code of the user's: it ends what that has
# started should this process die, and starts programs once martlet_operations.py has come.
import errno, fcntl, os, pwd, struct, sys

builtins = sys.modules[type(1).__module__]
text = type(u"")
integers = (int, type(1 << 70))
# Python 2's makes a list, as long as another context likes.
range = getattr(builtins, "xrange", range)
pack = struct.pack

# ---- Values

TUPLE, FROZENSET, SET, CHANNEL = 41700, 41701, 258, u"martlet.channel"
MAXIMUM_DEPTH, MAXIMUM_VALUE = 60, 1 << 26


class Unusable(TypeError):
    # A value that cannot be carried: the path to it, and why.
    def __str__(self):
        return "cannot carry %s: %s" % (("the value" + self.args[0])[:400], self.args[1])


def head(major, n):
    major <<= 5
    if n < 24:
        return pack(">B", major | n)
    if n < 256:
        return pack(">BB", major | 24, n)
    if n < 65536:
        return pack(">BH", major | 25, n)
    if n < 1 << 32:
        return pack(">BI", major | 26, n)
    return pack(">BQ", major | 27, n)


def encode(value, out, depth=0):
    # Calls out with the pieces.
    kind = type(value)
    if value is None:
        return out(b"\xf6")
    if kind is bool:
        return out(b"\xf5" if value else b"\xf4")
    if bytes is str and isinstance(value, str):
        # Python 2 does not tell text from bytes.
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if isinstance(value, text):
        try:
            value = value.encode("utf-8")
        except UnicodeError as error:
            raise Unusable("", "%s" % error)
        out(head(3, len(value)))
        return out(value)
    if isinstance(value, integers):
        major = int(value < 0)
        n = -1 - value if major else value
        if n >> 64 == 0:
            return out(head(major, int(n)))
        digits = "%x" % n
        value = binascii.unhexlify(("0" * (len(digits) % 2) + digits).encode())
        out(head(6, 2 + major))
    if isinstance(value, float):
        return out(pack(">Bd", 251, value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        if not isinstance(value, bytes):
            value = value.tobytes() if isinstance(value, memoryview) else bytes(value)
        out(head(2, len(value)))
        return out(value)
    if depth > MAXIMUM_DEPTH:
        raise Unusable("", "nested too deep, or in itself")
    if isinstance(value, dict):
        out(head(5, len(value)))
        for key in list(value):
            try:
                encode(key, out, depth + 1)
                encode(value[key], out, depth + 1)
            except Unusable as error:
                raise Unusable(("[%r]" % (key,))[:80] + error.args[0], error.args[1])
        return
    for of, tag in (list, 0), (tuple, TUPLE), (set, SET), (frozenset, FROZENSET):
        if isinstance(value, of):
            if tag:
                out(head(6, tag))
                depth += 1
            out(head(4, len(value)))
            for index, item in enumerate(value):
                try:
                    encode(item, out, depth + 1)
                except Unusable as error:
                    raise Unusable("[%d]" % index + error.args[0], error.args[1])
            return
    raise Unusable("", "%s is a type without a form on the wire" % name_of(kind))


def encoded(value):
    pieces = []
    encode(value, pieces.append)
    return b"".join(pieces)


def decode(data, at, claim=None):
    # Returns a value of a bytearray, and where it ends. Where a channel's end stands, claim makes it.
    first = data[at]
    major, n = first >> 5, first & 31
    at += 1
    if n > 23:
        size = 1 << n - 24
        number = data[at:at + size]
        if n > 27 or len(number) < size:
            raise ValueError("no CBOR")
        at += size
        n = 0
        for byte in number:
            n = n << 8 | byte
        if major == 7 and size > 1:
            if size == 2:
                exponent, value = n >> 10 & 31, n & 1023
                if exponent == 31:
                    value = float("nan" if value else "inf")
                else:
                    value = value * 2.0 ** -24 if exponent == 0 else (value + 1024) * 2.0 ** (exponent - 25)
                return -value if n >> 15 else value, at
            return struct.unpack(">f" if size == 4 else ">d", bytes(number))[0], at
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major == 7:
        return {20: False, 21: True}.get(n), at
    if major < 6 and n > len(data) - at:
        # Each item of an array has a byte at least.
        raise ValueError("no CBOR")
    if major < 4:
        value = bytes(data[at:at + n])
        return (value if major == 2 else value.decode("utf-8")), at + n
    if major == 4:
        value = []
        for _ in range(n):
            item, at = decode(data, at, claim)
            value.append(item)
        return value, at
    if major == 5:
        value = {}
        for _ in range(n):
            key, at = decode(data, at, claim)
            value[key], at = decode(data, at, claim)
        if claim and list(value) == [CHANNEL]:
            value = claim(value[CHANNEL])
        return value, at
    value, at = decode(data, at, claim)
    if n == 2 or n == 3:
        value = int(binascii.hexlify(value) or b"0", 16)
        return (-1 - value if n == 3 else value), at
    return {TUPLE: tuple, SET: set, FROZENSET: frozenset}.get(n, lambda value: value)(value), at


# ---- Hello

OPEN, DATA, CREDIT, END, RESET = 1, 2, 3, 4, 5
HELLO, WELCOME, PING, PONG, GOODBYE = 16, 17, 18, 19, 20
OPENER, MORE, LAST, BULK, HELD_UP = 1, 2, 4, 8, 16
FRAME, WINDOW, LARGEST_WINDOW = 65280, 262144, 1 << 22
NONCE = os.environ.pop("MARTLET_AGENT", "")
sys.dont_write_bytecode = True
# Only for this process: what it starts has what the user has.
os.environ.pop("PYTHONIOENCODING", 0)


def close_on_exec(fd):
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return fd


def framed(kind, payload, flags=0, number=0, to=b"", source=b""):
    return pack(">BBHIBB", kind, flags, len(payload), number, len(to), len(source)) + to + source + payload


def memory():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def facts():
    system, host, release, _, machine = os.uname()
    user = os.geteuid()
    try:
        name = pwd.getpwuid(user)[0]
    except KeyError:
        name = str(user)
    try:
        processors = os.sysconf("SC_NPROCESSORS_ONLN")
    except (ValueError, OSError):
        processors = 1
    values = {
        u"system": system, u"release": release, u"architecture": machine, u"hostname": host, u"user": name,
        u"userID": user, u"processID": os.getpid(), u"processors": processors, u"memory": memory(),
        u"interpreter": "%s %s" % (
            "PyPy" if hasattr(sys, "pypy_version_info") else "CPython", sys.version.split()[0])}
    try:
        with open("/etc/os-release", "rb") as lines:
            for line in lines:
                if line.startswith(b"PRETTY_NAME="):
                    values[u"distribution"] = line[12:].strip().strip(b"\"'").decode("utf-8", "replace")
    except (IOError, OSError):
        pass
    return values


link_in, link_out = [close_on_exec(os.dup(fd)) for fd in (0, 1)]
hello = encoded({u"oldest": 1, u"newest": 1, u"build": BUILD, u"nonce": NONCE, u"facts": facts()})
os.write(link_out, b"\0MARTLET\0" + NONCE.encode() + framed(HELLO, hello))

# ---- The link
#
# What stands below is compiled while hello is under way.

import binascii, select, stat, threading, time, zlib

try:
    # Without the enums of Python 3, which take longer than all the rest.
    import _signal as signal
except ImportError:
    import signal
from collections import deque

STARTED = time.time()
LOCK = threading.RLock()
streams = {}
# Ends of channels that nobody holds any more, for the reader to close: a finalizer may run anywhere.
dropped = deque()


class State(object):
    me = None
    parent = None
    number = 0
    limit = 15.0
    ending = False
    # Of the programs that the guard runs.
    commands = 0
    relay = None
    level = None
    log = None


def pipe():
    return [close_on_exec(fd) for fd in os.pipe()]


def no_blocking(fd):
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
    return fd


class Outlet(object):
    # Writes without ever waiting. What is not taken at once the reader writes later, or who has much to write.
    def __init__(self, fd):
        self.fd = no_blocking(fd)
        self.rest = deque()
        self.lock = threading.RLock()

    def write(self, data):
        # Whether all of it is written.
        with self.lock:
            self.rest.append(data)
            return len(self.rest) == 1 and self.flush()

    def flush(self):
        with self.lock:
            while self.rest:
                data = self.rest[0]
                try:
                    count = os.write(self.fd, data)
                except OSError as error:
                    if error.errno == errno.EAGAIN:
                        return False
                    # Whoever reads from the other end sees that it is gone.
                    count = 0 if error.errno == errno.EINTR else len(data)
                if count < len(data):
                    self.rest[0] = data[count:]
                else:
                    self.rest.popleft()
        return True

    def drain(self, limit=None):
        # Waits until it is written: for those that hold no lock.
        while self.rest and (limit is None or limit > 0):
            try:
                select.select([], [self.fd], [], 0.5)
            except (OSError, select.error):
                pass
            self.flush()
            limit = limit and limit - 0.5


def frame(kind, *rest):
    # Who sends data waits for the link before; what is left of all else the reader writes.
    if not link.write(framed(kind, *rest)) and kind != DATA:
        poke()


def frames(data):
    # Takes whole frames from the beginning of a bytearray.
    at = 0
    while len(data) - at >= 10:
        kind, flags, size, number, to, source = struct.unpack(">BBHIBB", bytes(data[at:at + 10]))
        body = at + 10 + to + source
        if size > FRAME:
            raise ValueError(size)
        if len(data) < body + size:
            break
        addresses = bytes(data[at + 10:body])
        yield kind, flags, number, addresses[:to], addresses[to:], bytes(data[body:body + size])
        at = body + size
    del data[:at]


def poke(what=b"."):
    try:
        os.write(poke_out, what)
    except OSError:
        pass


class Stream(object):
    # One end of a stream. Subclasses say what to do with what comes.
    def __init__(self, peer, number, ours):
        self.peer, self.number, self.ours = peer, number, ours
        self.changed = threading.Condition(LOCK)
        self.credit = self.window = self.granted = WINDOW
        self.received = self.consumed = self.grown_at = 0
        self.held_up = self.sender_held_up = 0
        self.sent_last = self.got_last = False
        # Why it ended at once: a code and a text.
        self.lost = None
        self.incoming = deque()

    def begin(self):
        with LOCK:
            streams[self.peer, self.number, self.ours] = self

    def opening(self, kind, payload, flags=BULK):
        with LOCK:
            State.number += 1
            self.number = State.number
            self.begin()
            self.frame(OPEN, pack(">B", kind) + payload, flags)

    def frame(self, kind, payload, flags=0):
        frame(kind, payload, flags | self.ours, self.number, self.peer, State.me)

    def send(self, data, last=False, flags=0, wait=True):
        # Sends in parts, waiting for credit; whether it could.
        at, length = 0, len(data)
        more = MORE if length > FRAME and last else 0
        if more:
            flags |= BULK
        while True:
            part = data[at:at + FRAME]
            at += len(part)
            cost = len(part) + 32
            if wait and not (last and at == length):
                link.drain()
            with LOCK:
                if last and at == length:
                    if self.sent_last or self.lost:
                        return False
                    self.sent_last = True
                    self.leave()
                    self.frame(END, part, LAST | flags)
                    return True
                while self.credit < cost and not self.lost and not self.sent_last:
                    if not wait:
                        return False
                    self.changed.wait()
                if not wait and link.rest:
                    return False
                if self.lost or self.sent_last:
                    return False
                self.credit -= cost
                self.frame(DATA, part, more | self.held_up | flags)
                self.held_up = 0
            if wait:
                link.drain()
            if at == length:
                return True

    def end(self, payload=b"", flags=0):
        return self.send(payload, True, flags)

    def reset(self, code, message):
        with LOCK:
            if self.remove():
                self.lost = (code, message)
                self.changed.notify_all()
                self.frame(RESET, pack(">B", code) + message.encode("utf-8")[:1000])

    def remove(self):
        return streams.pop((self.peer, self.number, self.ours), None)

    def leave(self):
        if self.sent_last and self.got_last:
            self.remove()

    def consume(self, payload):
        # The reader has taken it.
        with LOCK:
            self.consumed += len(payload) + 32
            if self.got_last or self.lost:
                return
            if self.sender_held_up and self.consumed == self.received and self.window < LARGEST_WINDOW:
                self.window *= 2
                self.sender_held_up, self.grown_at = 0, self.granted
            more = self.consumed + self.window - self.granted
            if more >= self.window // 2:
                self.granted += more
                self.frame(CREDIT, pack(">I", more))

    def take(self, kind, payload, flags):
        # A frame has come; called with LOCK.
        if kind == CREDIT:
            if self.credit < FRAME + 32:
                self.held_up = HELD_UP
            self.credit += struct.unpack(">I", payload)[0]
        elif kind == RESET:
            self.remove()
            self.lost = (bytearray(payload or b"\0")[0], payload[1:].decode("utf-8", "replace"))
            self.was_lost()
        else:
            if kind == DATA:
                self.received += len(payload) + 32
                if flags & HELD_UP and self.received > self.grown_at:
                    self.sender_held_up = 1
            if self.got_last or self.received > self.granted:
                return self.reset(7, "more than was allowed")
            if kind == END:
                self.got_last = True
                self.leave()
            self.came(kind, payload)
        self.changed.notify_all()

    def came(self, kind, payload):
        pass

    def was_lost(self):
        pass


# ---- Calls

MAIN, BACKLOG, MAXIMUM_THREADS = deque(), deque(), 64


class Pool(object):
    main_is_busy = False
    threads = 0


def submit(job):
    with LOCK:
        if not Pool.main_is_busy:
            Pool.main_is_busy = True
            MAIN.append(job)
            os.write(work_out, b".")
        elif Pool.threads < MAXIMUM_THREADS:
            try:
                start(work, job)
                Pool.threads += 1
            except Exception:
                # There are as many threads as there may be; another takes it.
                BACKLOG.append(job)
        else:
            BACKLOG.append(job)


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.daemon = True
    thread.start()
    return thread


def next_job():
    with LOCK:
        return BACKLOG.popleft() if BACKLOG else None


def work(job):
    while job:
        guarded(job)
        with LOCK:
            job = next_job()
            if not job:
                Pool.threads -= 1


def work_in_main():
    while True:
        try:
            os.read(work_in, 1)
        # A signal's handler may raise here, as may a cancel that comes late.
        except BaseException:
            continue
        with LOCK:
            job = MAIN.popleft() if MAIN else None
        while job:
            guarded(job)
            with LOCK:
                job = next_job()
                Pool.main_is_busy = bool(job)


def guarded(job):
    try:
        job()
    except BaseException:
        pass


def name_of(kind):
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if kind.__module__ in (builtins.__name__, "exceptions") else "%s.%s" % (kind.__module__, name)


def module_named(name):
    __import__(name)
    return sys.modules[name]


def find(name):
    # "module:Class.method", "package.module.function" or the name of a builtin.
    module, colon, path = name.partition(":")
    if not colon:
        path = name
        module = ""
    path = path.split(".")
    value = builtins
    if colon:
        value = module_named(module)
    elif len(path) > 1:
        while path and (not module or not hasattr(value, path[0])):
            module += ("." if module else "") + path.pop(0)
            value = module_named(module)
    for part in path:
        value = getattr(value, part)
    return value


def execute(source, name, channel, function, keywords):
    # A fragment. Its channel ends with it.
    import linecache
    name = str(name)
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    code = compile(source, name, "exec", 0, True)
    scope = {"__name__": "__channelexec__", "channel": channel}
    exec(code, scope)
    if function:
        scope[function](channel, **keywords)


class Call(Stream):
    thread = None
    channel = None

    def begin(self):
        Stream.begin(self)
        self.bytes = bytearray()

    def came(self, kind, payload):
        self.bytes += payload
        if len(self.bytes) > MAXIMUM_VALUE:
            return self.reset(6, "a value of more than 64 MiB")
        if kind == END:
            # What is ours waits for no thread of the user's.
            own = self.bytes[6:7] == b"!" and self.bytes[6:11] not in (b"!exec", b"!main")
            start(self.run) if own else submit(self.run)
        else:
            self.consume(payload)

    def was_lost(self):
        # In a thread of its own: an import may wait for a thread that waits for LOCK.
        start(self.interrupt)

    def interrupt(self):
        # As far as Python can be interrupted. Who waits for our channel's items wakes up anyway.
        if self.channel:
            self.channel.stream.reset(1, "the caller does not wait any more")
        try:
            import ctypes
            interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
        except Exception:
            return
        while True:
            with LOCK:
                current = sys._current_frames().get(self.thread)
                if not current:
                    return
                # The locks of Python 2 are Python code, which must not be left in the middle.
                if bytes is not str or not current.f_code.co_filename.endswith(("martlet", "threading.py")):
                    interrupt(ctypes.c_long(self.thread), ctypes.py_object(KeyboardInterrupt))
                    return
            time.sleep(0.01)

    def run(self):
        with LOCK:
            if self.lost:
                return
            self.thread = threading.current_thread().ident
        try:
            answer = self.answer()
        except BaseException as error:
            try:
                answer = thrown()
            except BaseException:
                answer = failure("taskFailed", repr(error))
        try:
            with LOCK:
                self.thread = None
            if self.channel:
                self.channel.stream.end(b"\x01" + answer[:FRAME - 1] if bytearray(answer)[0] else b"\0", BULK)
            self.end(answer)
        finally:
            self.channel = None

    def answer(self):
        data = self.bytes
        self.bytes = None
        size = (data[4] & 127) << 8 | data[5]
        name = bytes(data[6:6 + size]).decode("utf-8")
        at = 6 + size
        if data[4] & 128:
            at += 2 + (data[at] << 8 | data[at + 1])
        try:
            arguments, keywords = decode(data, at, claim)[0]
        except Exception as error:
            return failure("valueUnusable", "%s: the arguments cannot be read: %s" % (name, error))
        keywords = dict((str(key), keywords[key]) for key in keywords)
        if name == "!exec":
            self.channel = arguments[2]
            execute(*(arguments + [keywords]))
            result = None
        elif name == "!main":
            result = run_main(*arguments)
        else:
            result = (operations.get(name) or find(name))(*arguments, **keywords)
        try:
            answer = b"\0" + encoded(result)
        except Unusable as error:
            return failure("valueUnusable", "%s: %s" % (name, error))
        if len(answer) > MAXIMUM_VALUE:
            return failure("limitExceeded", "%s: a value of more than 64 MiB" % name)
        return answer


def load(program):
    # The second part: see martlet_operations.py. The guard has it too.
    with LOCK:
        if len(operations) == 1:
            exec(compile(zlib.decompress(program), "martlet", "exec"), globals())
            guard.write(framed(HELLO, program))
            poke()
            State.relay = start(relay)


operations = {"!load": load}
# The streams that others may open here, by kind.
handlers = {1: Call}


def failure(code, message):
    return b"\x01" + encoded({u"code": code, u"message": u"%s" % message, u"route": {u"steps": []}})


def thrown():
    # The exception that is being handled, from the first line on that is not ours.
    import traceback
    kind, error, trace = sys.exc_info()
    while trace and trace.tb_frame.f_code.co_filename == "martlet":
        trace = trace.tb_next
    try:
        message = u"%s" % error
    except Exception:
        try:
            message = str(error).decode("utf-8", "replace")
        except Exception:
            message = u"(no text)"
    lines = traceback.format_exception(kind, error, trace)
    formatted = u"".join(line if isinstance(line, text) else line.decode("utf-8", "replace") for line in lines)
    message, formatted = [clean(value) for value in (message, formatted)]
    report = {u"type": name_of(kind), u"message": message[:16384], u"traceback": formatted[-24576:]}
    value = encoded(report)
    del report[u"traceback"]
    report[u"value"] = bytearray(value)
    return b"\x02" + encoded(report)


def clean(value):
    return value.encode("utf-8", "replace").decode("utf-8")


# ---- Channels


class RemoteError(Exception):
    # An error with which the other end was closed.
    def __init__(self, formatted):
        Exception.__init__(self, formatted)
        self.formatted = formatted


class TimeoutError(IOError):
    pass


class ChannelStream(Stream):
    def came(self, kind, payload):
        if kind == DATA:
            self.incoming.append(payload)
        else:
            if payload[:1] == b"\x01":
                self.error = payload[1:]
            self.end(b"\0", BULK)

    error = None


TOO_LARGE = "an item of more than 64 MiB"


class Channel(object):
    RemoteError, TimeoutError = RemoteError, TimeoutError

    def __init__(self, stream):
        self.stream = stream
        self.bytes, self.at = bytearray(), 0
        self.is_finished = False
        self.callback = None
        self.sending = threading.RLock()

    def __del__(self):
        dropped.append(self.stream)
        poke()

    def send(self, item):
        item = encoded(item)
        if len(item) > MAXIMUM_VALUE:
            raise ValueError(TOO_LARGE)
        with self.sending:
            if not self.stream.send(pack(">I", len(item)) + item, False, BULK):
                raise IOError("cannot send to %r: it is closed" % self)

    def receive(self, timeout=None):
        if self.callback:
            raise IOError("what comes over %r goes to its callback" % self)
        return self.next_item(timeout)

    def next_item(self, timeout=None):
        stream = self.stream
        until = timeout is not None and time.time() + timeout
        with LOCK:
            while True:
                if len(self.bytes) - self.at >= 4:
                    size = struct.unpack(">I", bytes(self.bytes[self.at:self.at + 4]))[0]
                    if size == 0xffffffff:
                        self.is_finished = True
                    elif size > MAXIMUM_VALUE:
                        # No honest writer says so: it could make us hold whatever it likes.
                        self.is_finished = True
                        self.bytes, self.at = bytearray(), 0
                        stream.reset(6, TOO_LARGE)
                        raise ValueError(TOO_LARGE)
                    elif len(self.bytes) - self.at >= size + 4:
                        break
                if self.is_finished:
                    raise EOFError("%r has ended" % self)
                if stream.incoming:
                    # Only what its reader wants is paid back.
                    part = stream.incoming.popleft()
                    del self.bytes[:self.at]
                    self.at = 0
                    self.bytes += part
                    stream.consume(part)
                elif stream.lost or stream.got_last:
                    self.is_finished = True
                    self.raise_error()
                else:
                    left = until is not False and until - time.time()
                    if left is not False and left <= 0:
                        raise TimeoutError("no item after %r seconds" % timeout)
                    stream.changed.wait(*([left] if timeout is not None else []))
            begin, self.at = self.at + 4, self.at + 4 + size
            item = self.bytes[begin:self.at]
        # Without the lock: a large one takes long.
        return decode(item, 0, claim)[0]

    def raise_error(self):
        error, self.stream.error = self.stream.error, None
        if error:
            report = decode(bytearray(error), 1)[0]
            raise RemoteError(report.get(u"message"))

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.receive()
        except EOFError:
            raise StopIteration

    next = __next__

    def isclosed(self):
        stream = self.stream
        return bool(stream.sent_last or stream.got_last or stream.lost)

    def close(self, error=None):
        if error is None:
            self.stream.end(b"\0", BULK)
        else:
            report = {u"type": u"str", u"message": clean(u"%s" % error)[:16384]}
            self.stream.end(b"\x01\x02" + encoded(report), BULK)

    def waitclose(self, timeout=None):
        until = timeout is not None and time.time() + timeout
        stream = self.stream
        with LOCK:
            while not (stream.got_last or stream.lost):
                left = until is not False and until - time.time()
                if left is not False and left <= 0:
                    raise TimeoutError("not closed after %r seconds" % timeout)
                stream.changed.wait(*([left] if timeout is not None else []))
        if self.callback:
            self.callback.join(timeout)
        with LOCK:
            self.raise_error()
            if stream.lost:
                raise EOFError("%r was lost: %s" % (self, stream.lost[1]))

    def setcallback(self, callback, endmarker=dropped):
        with LOCK:
            if self.callback:
                raise IOError("%r has a callback" % self)
            self.callback = start(self.call_back, callback, endmarker)

    def call_back(self, callback, endmarker):
        try:
            while True:
                try:
                    item = self.next_item()
                except (EOFError, RemoteError):
                    break
                callback(item)
            if endmarker is not dropped:
                callback(endmarker)
        except BaseException:
            self.stream.end(b"\x01" + thrown()[:FRAME - 1], BULK)

    def makefile(self, mode="w", proxyclose=False):
        if mode not in ("w", "r"):
            raise ValueError("mode %r is neither 'w' nor 'r'" % (mode,))
        return ChannelFile(self, mode, proxyclose)

    def __repr__(self):
        return "<Channel %d %s>" % (self.stream.number, "closed" if self.isclosed() else "open")


class ChannelFile(object):
    def __init__(self, channel, mode, closes):
        self.channel, self.mode, self.closes = channel, mode, closes
        self.rest = None

    def write(self, data):
        self.channel.send(data)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def isatty(self):
        return False

    def close(self):
        if self.closes:
            self.channel.close()

    def fill(self):
        try:
            part = self.channel.receive()
        except EOFError:
            return False
        self.rest = part if self.rest is None else self.rest + part
        return True

    def cut(self, count):
        if self.rest is None:
            return ""
        part, self.rest = self.rest[:count], self.rest[count:]
        return part

    def read(self, count):
        while (self.rest is None or len(self.rest) < count) and self.fill():
            pass
        return self.cut(count)

    def readline(self):
        while True:
            rest = self.rest
            at = -1 if rest is None else rest.find(b"\n" if isinstance(rest, bytes) else u"\n")
            if at >= 0:
                return self.cut(at + 1)
            if not self.fill():
                return self.cut(len(rest or ""))


def claim(data):
    # Takes the end of a channel that another context has passed on.
    data = bytes(data)
    if len(data) < 34 or data[:1] != b"\x01":
        raise ValueError("no end of a channel")
    stream = ChannelStream(data[34:], 0, OPENER)
    stream.opening(7, data[1:17])
    return Channel(stream)


# ---- What is printed and logged


# The longest line that goes as one.
LINE = FRAME - 64


class Output(Stream):
    def print_line(self, line):
        head = pack(">BB", 1, len(State.me)) + State.me
        for at in range(0, len(line) or 1, LINE):
            self.send(head + line[at:at + LINE], False, BULK)


def forward_output(stream):
    rest = b""
    while True:
        try:
            part = os.read(printed_in, 65536)
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            part = b""
        lines = (rest + part).split(b"\n")
        rest = lines.pop()
        # Of a line that goes on, what fills pieces.
        ready = (len(rest) - 1) // LINE * LINE if part else len(rest)
        if ready > 0:
            lines.append(rest[:ready])
            rest = rest[ready:]
        for line in lines:
            if not stream.number:
                stream.opening(4, b"")
            stream.print_line(line)
        if not part:
            output_is_done.set()
            return


class LoggingFinder(object):
    # Sees that code imports logging, which would cost every connect as much as all else.
    def find_spec(self, name, path=None, target=None):
        if name == "logging" and self in sys.meta_path:
            sys.meta_path.remove(self)
            from importlib.util import find_spec
            spec = find_spec(name)
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                if module.__name__ == name:
                    start_logging()

            spec.loader.exec_module = exec_module
            return spec

    def find_module(self, name, path=None):
        # Python 2's.
        if name == "logging" and self in sys.meta_path:
            sys.meta_path.remove(self)
            start_logging()
            return self

    def load_module(self, name):
        return sys.modules[name]


def start_logging():
    import logging

    class Handler(logging.Handler):
        dropped = 0

        def emit(self, record):
            try:
                self.forward(record)
            except Exception:
                pass

        def forward(self, record):
            with LOCK:
                stream = State.log
                if stream is None:
                    stream = State.log = Stream(b"", 0, OPENER)
                    stream.opening(8, b"")
            error = {}
            if record.exc_info:
                error = {u"error": clean(u"%s" % logging.Formatter().formatException(record.exc_info))[:16384]}
            number = record.levelno
            names = ((50, "critical"), (40, "error"), (30, "warning"), (25, "notice"), (20, "info"), (10, "debug"))
            level = ([name for least, name in names if number >= least] or ["trace"])[0]
            # Nobody waits for a log: what does not fit is counted.
            note = "dropped %d log records" % self.dropped
            if self.dropped and self.put(stream, "warning", "martlet", note, {}):
                self.dropped = 0
            if self.dropped or not self.put(stream, level, record.name, record.getMessage(), error, record):
                self.dropped += 1

        def put(self, stream, level, label, message, metadata, record=None):
            values = {
                u"level": level, u"label": label, u"message": clean(u"%s" % message)[:16384], u"source": label,
                u"file": record and record.pathname or "", u"function": record and record.funcName or "",
                u"line": record and record.lineno or 0}
            if metadata:
                values[u"metadata"] = metadata
            return stream.send(encoded(values), False, BULK, False)

    levels = {"trace": 1, "debug": 10, "info": 20, "notice": 25, "warning": 30, "error": 40, "critical": 50}
    logging.root.addHandler(Handler())
    logging.root.setLevel(levels.get(State.level, 20))


# ---- What the connect may bring along: bin/pack-python puts martlet_modules.py here


def install_finders():
    pass


# ---- From hello to the end


def set_title(title):
    # What ps shows: the name, and over the arguments, of which Python has a copy.
    try:
        with open("/proc/self/comm", "wb") as name:
            name.write(title[:15])
        with open("/proc/self/stat", "rb") as status:
            begin, finish = [int(field) for field in status.read().rpartition(b")")[2].split()[45:47]]
        memory = close_on_exec(os.open("/proc/self/mem", os.O_WRONLY))
        os.lseek(memory, begin, 0)
        os.write(memory, title[:finish - begin - 1].ljust(finish - begin, b"\0"))
        os.close(memory)
    except (IOError, OSError, ValueError):
        pass


def welcomed(payload):
    values = decode(bytearray(payload), 0)[0]
    address = bytearray()
    for number in values[u"address"]:
        State.parent = bytes(address)
        while number > 127:
            address.append(number & 127 | 128)
            number >>= 7
        address.append(number)
    State.me, State.limit = bytes(address), values[u"heartbeatLimit"] / 1000.0
    State.level = values.get(u"logLevel")
    set_title(values[u"title"].encode("utf-8"))
    start(forward_output, Output(b"", 0, OPENER))
    if State.level:
        sys.meta_path.insert(0, LoggingFinder())
    install_finders()


def receive(kind, flags, number, to, source, payload):
    if kind == PING:
        return frame(PONG, b"")
    if kind == WELCOME and State.me is None:
        return welcomed(payload)
    if kind == GOODBYE:
        return end()
    if kind > 15:
        return
    if State.me is None or source.startswith(State.me):
        # No honest parent says this.
        return end()
    ours = OPENER - (flags & OPENER)
    if to != State.me:
        if kind == OPEN:
            frame(RESET, b"\x04no context there", 0, number, source, to)
        return
    with LOCK:
        stream = streams.get((source, number, ours))
        if stream:
            stream.take(kind, payload, flags)
        elif kind == OPEN:
            opened(bytearray(payload or b"\0")[0], flags, number, source, payload[1:])


def opened(kind, flags, number, source, payload):
    isAbove = State.me.startswith(source)
    stream = handlers.get(kind, Stream)(source, number, 0)
    stream.begin()
    if kind == 0:
        stream.reset(7, "a stream of no kind")
    elif not isAbove or State.ending:
        stream.reset(*((8, "the context is shutting down") if isAbove else (5, "only a context above may ask")))
    elif kind in handlers:
        stream.got_last = bool(flags & LAST)
        stream.came(END if flags & LAST else OPEN, payload)
    elif kind == 5 and len(payload) <= 256:
        stream.got_last = True
        stream.end(payload)
    elif kind == 9:
        stream.got_last = True
        open_channels = len([1 for other in streams.values() if isinstance(other, ChannelStream)])
        stream.end(encoded({
            u"running": Pool.threads + Pool.main_is_busy + State.commands,
            u"openChannels": open_channels, u"openStreams": len(streams) - 1, u"children": 0,
            u"uptime": seconds(time.time() - STARTED)}))
    else:
        stream.reset(5, "a Python context does not do this")


def seconds(value):
    # As Swift encodes a Duration: whole seconds and attoseconds in one number of 128 bits, in halves.
    attoseconds = int(value * 1000000) * 10 ** 12
    return [attoseconds >> 64, attoseconds & (1 << 64) - 1]


def clock():
    # Not what the time is set to. In hundredths of a second.
    return os.times()[4]


def told_to_end(*_):
    poke(b"T")


def signalled():
    # Where Python waits for a lock it may hear of no signal, and then its handlers do not run: in 2.7 and PyPy. Which one
    # came is not said there either. If nothing can have come but SIGTERM, and the main thread stands still, it was that.
    def place():
        frame = sys._current_frames().get(main)
        return frame and frame.f_code.co_name != "work_in_main" and (id(frame), frame.f_lasti)
    before = place()
    time.sleep(0.5)
    handled = [number for number in range(1, 65) if callable(signal.getsignal(number))]
    if before and before == place() and signal.getsignal(signal.SIGTERM) is told_to_end:
        if not set(handled) - set((signal.SIGTERM, signal.SIGINT)):
            poke(b"T")


def read_link():
    data = bytearray()
    silent, counted = 0, clock()
    while True:
        while dropped:
            dropped.popleft().end(b"\0", BULK)
        third = State.limit / 3
        full = [outlet.fd for outlet in (link, guard) if outlet.rest]
        try:
            ready = select.select([link_in, poke_in], full, [], max(counted + third - clock(), 0))[0]
            poked = os.read(poke_in, 4096) if poke_in in ready else b""
            if b"T" in poked:
                return end()
            if b"\0" in poked or b"\x0f" in poked:
                start(signalled)
            part = os.read(link_in, 262144) if link_in in ready else None
        except (OSError, select.error) as error:
            if error.args[0] in (errno.EINTR, errno.EAGAIN):
                continue
            return end()
        if full:
            link.flush()
            guard.flush()
        if part is None:
            if clock() < counted + third:
                continue
            # A process that was stopped itself counts one silence, however long.
            silent, counted = silent + 1, clock()
            if silent > 2:
                return end()
            frame(PING, b"")
            continue
        if not part:
            return end()
        silent, counted = 0, clock()
        data += part
        try:
            for received in frames(data):
                receive(*received)
        except Exception:
            return end()


def end():
    # The link is gone, or the parent wants this context to go. What it started leads no life of its own: it is in our
    # process group. The guard ends it all, should we not come to an end ourselves.
    if State.ending:
        return
    State.ending = True
    signal.alarm(6)
    for stream in list(streams.values()):
        if not stream.ours:
            stream.reset(8, "the context is shutting down")
        elif isinstance(stream, ChannelStream):
            # Nothing comes any more: who waits for it wakes up. What was sent before still goes.
            with LOCK:
                stream.lost = 8, "the context is shutting down"
                stream.changed.notify_all()
    guard.write(framed(GOODBYE, b""))
    try:
        start(last_words)
    except Exception:
        leave(1)
    for _ in range(400):
        time.sleep(0.01)
        link.flush()
        guard.flush()
    leave()


def last_words():
    if group:
        os.killpg(group, signal.SIGTERM)
    until = time.time() + 1
    while group and time.time() < until:
        try:
            if os.waitpid(-group, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except OSError:
            break
    if State.relay:
        State.relay.join(1.5)
    try:
        sys.stdout.flush()
    except Exception:
        pass
    os.dup2(null, 1)
    output_is_done.wait(2.5)
    frame(GOODBYE, b"")
    link.drain(1)
    leave()


# Files that are being written, under names that nobody wants.
unfinished = set()


def discard(path):
    try:
        os.unlink(path)
    except OSError:
        pass
    unfinished.discard(path)


def leave(status=0):
    for path in list(unfinished):
        discard(path)
    os._exit(status)


def start_guard():
    # Returns the outlet to it, and where it answers. Nobody's child, so that code that waits for its children meets none.
    guarded_in, control = pipe()
    answers, guarded_out = pipe()
    context = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(guarded_in)
        os.close(guarded_out)
        return Outlet(control), answers
    try:
        if os.fork():
            os._exit(0)
        os.setpgid(0, 0)
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
            # Not ignored, or the programs that it starts would ignore it too.
            signal.signal(number, lambda *_: None)
        set_title(b"martlet: guard")
        os.dup2(null, 1)
        # The link tells when nobody is at its other end.
        last = 2
        for end in sorted((guarded_in, guarded_out, link_out)) + [4096]:
            os.closerange(last + 1, end)
            last = end
        # The pipe may be open in processes that the context has forked.
        try:
            ended = os.pidfd_open(context), context
        except (AttributeError, OSError):
            ended = None, context
        with_guard(guarded_in, guarded_out, ended)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            if group:
                os.killpg(group, signal.SIGKILL)
        finally:
            os._exit(0)


def is_gone(context):
    try:
        os.kill(context, 0)
    except OSError as error:
        return error.errno == errno.ESRCH


def with_guard(control, answers, ended):
    # In the guard, until that other process has ended, or does not come to its end.
    data = bytearray()
    poller, until = select.poll(), float("inf")
    for end in control, ended[0]:
        if end is not None:
            poller.register(end, select.POLLIN)
    poller.register(link_out, 0)
    while clock() < until:
        if ended[0] is None and is_gone(ended[1]):
            return
        try:
            wait = min(until - clock(), 1 if ended[0] is None else 9999)
            ready = [end for end, _ in poller.poll(int(wait * 1000) + 1)]
            if ended[0] in ready:
                return
            if link_out in ready:
                # A context that C code holds does not see it.
                poller.unregister(link_out)
                until = min(until, clock() + 10)
            if control not in ready:
                continue
            part = os.read(control, 65536)
        except (OSError, select.error):
            continue
        if not part:
            return
        data += part
        for kind, _, _, _, _, payload in frames(data):
            if kind == GOODBYE:
                until = clock() + 5
            else:
                exec(compile(zlib.decompress(payload), "martlet", "exec"), globals())
                return serve(control, answers, ended, data)


link = Outlet(link_out)
printed_in, printed_out = pipe()
poke_in, poke_out = pipe()
no_blocking(poke_out)
work_in, work_out = pipe()
output_is_done = threading.Event()
null = close_on_exec(os.open(os.devnull, os.O_RDWR))
os.dup2(null, 0)
os.dup2(printed_out, 1)
os.close(printed_out)
try:
    os.setpgid(0, 0)
except OSError:
    pass
group = os.getpgrp() == os.getpid() and os.getpid()
guard, answers = start_guard()
if sys.flags.no_site:
    # Python was started without, as hello need not wait for it; whatever runs here later finds what it always finds.
    try:
        import site
        site.main()
    except Exception:
        sys.excepthook(*sys.exc_info())
signal.signal(signal.SIGTERM, told_to_end)
signal.set_wakeup_fd(poke_out)
main = threading.current_thread().ident
start(read_link)
work_in_main()
