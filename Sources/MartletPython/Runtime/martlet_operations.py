# The second part of what a Python context runs: commands and files. It is sent once, before the first of them, to the
# context and to its guard, and both execute it in the runtime's own namespace.
#
# Commands are the guard's: it has one thread, no code of the user's, and its children are the programs and nothing else, so
# that whoever waits for any child in the context takes no status away. The context hands their frames on, both ways; credit
# is between the guard and whoever asked.

# ---- In the context: commands


class Relayed(Stream):
    def begin(self):
        Stream.begin(self)
        State.commands += 1

    def remove(self):
        found = Stream.remove(self)
        State.commands -= bool(found)
        return found

    def came(self, kind, payload):
        if not State.relay.is_alive():
            return self.reset(3, NO_GUARD)
        tell_surroundings()
        self.forward(OPEN, b"\2" + payload, OPENER | (LAST if kind == END else 0))

    def take(self, kind, payload, flags):
        self.forward(kind, payload, flags)
        if kind == END:
            self.got_last = True
            self.leave()
        elif kind == RESET:
            self.remove()

    def forward(self, kind, payload, flags):
        guard.write(framed(kind, payload, flags, self.number, State.me, self.peer))


NO_GUARD = "the helper of the context that runs programs was ended; close the context and connect again"
handlers[2] = Relayed


def tell_surroundings():
    # What the context's own code has made of its environment and directory holds for programs.
    try:
        folder = getattr(os, "getcwdb", os.getcwd)()
    except OSError:
        folder = None
    now = [folder, dict(getattr(os, "environb", os.environ))]
    if now != State.surroundings:
        State.surroundings = now
        data = encoded(now)
        for at in range(0, len(data), FRAME):
            guard.write(framed(WELCOME, data[at:at + FRAME], MORE if at + FRAME < len(data) else 0))


State.surroundings = None


def relay():
    data = bytearray()
    while True:
        try:
            part = os.read(answers, 262144)
        except OSError as error:
            if error.errno == errno.EINTR:
                continue
            part = b""
        if not part:
            break
        data += part
        for kind, flags, number, to, source, payload in frames(data):
            link.drain()
            with LOCK:
                stream = streams.get((to, number, 0))
                if not isinstance(stream, Relayed):
                    continue
                if kind == RESET:
                    stream.remove()
                elif kind == END:
                    stream.sent_last = True
                    stream.leave()
                frame(kind, payload, flags, number, to, source)
        link.drain()
    for stream in list(streams.values()):
        if isinstance(stream, Relayed):
            stream.reset(3, NO_GUARD)


# ---- In the guard: commands

CHUNK = 32000
# How long output may still come after a program has ended, if something that it left behind holds the pipe.
DRAIN = 0.25
now = getattr(time, "monotonic", time.time)
STEPS = "start a process for %s", "enter the directory %s", "run %s"


class Failed(Exception):
    pass


class Guard(object):
    # The programs whose process groups live, by number, and the commands that are not over.
    programs, commands = {}, set()
    timers = []
    folder, environment = None, {}
    ending = False


def later(delay, function):
    Guard.timers.append((now() + delay, function))


def raw(value):
    return value.encode("utf-8") if isinstance(value, text) else value


def find_program(name, environment):
    if not name:
        raise Failed(errno.ENOENT, "find a program without a name")
    if b"/" in name:
        return name
    error = errno.ENOENT
    path = environment.get(b"PATH", b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for folder in path.split(b":"):
        candidate = (folder or b".") + b"/" + name
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            error = errno.EACCES
    raise Failed(error, "find %s in PATH" % name.decode("utf-8", "replace"))


def group_lives(group):
    try:
        os.killpg(group, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    if not Guard.ending:
        return True
    # Where nobody reaps orphans, those that have ended stay in the group.
    try:
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/%s/stat" % name, "rb") as file:
                        fields = file.read().rpartition(b")")[2].split()
                    if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                        return True
                except (IOError, OSError, IndexError):
                    pass
    except OSError:
        return True
    return False


def become(path, words, environment, folders, ends, nice, report):
    # In the child.
    step = 0
    try:
        os.setpgid(0, 0)
        if nice:
            os.nice(nice)
        for number, end in enumerate(ends):
            os.dup2(end, number)
        step = 1
        for folder in folders:
            if folder:
                os.chdir(folder)
        step = 2
        # Python ignores these; handlers end with the old program.
        for name in "SIGPIPE", "SIGXFSZ", "SIGXFZ":
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execve(path, words, environment)
    except OSError as error:
        os.write(report, pack(">BI", step, error.errno))
    except BaseException as error:
        os.write(report, pack(">BI", step, errno.EINVAL))
    os._exit(127)


class Command(Stream):
    started = pid = status = input = None
    is_over = timed_out = input_ended = False
    kill_at = float("inf")

    def came(self, kind, payload):
        if self.started is None:
            self.started = now()
            self.request = decode(bytearray(payload), 0)[0]
            # By descriptor: output is 1, errors are 2.
            self.pipes, self.unwritten, self.written = {}, deque(), 0
            Guard.commands.add(self)
            try:
                return self.start()
            except Failed as error:
                number, step = error.args
                failure = {
                    u"code": "commandNotStarted", u"message": "%s: %s" % (step, os.strerror(number)),
                    u"route": {u"steps": []}}
                if not step.startswith(("run ", "find ")):
                    failure[u"advice"] = "check the directory and the limits of processes and descriptors there"
                return self.finish({u"failure": failure}, 0)
        if payload:
            self.unwritten.append(payload)
        self.input_ended = kind == END
        self.feed()

    def start(self):
        request = self.request
        environment = dict(Guard.environment)
        for name, value in request[u"environment"].items():
            environment.pop(raw(name), None)
            if value is not None:
                environment[raw(name)] = raw(value)
        words = [raw(word) for word in [request[u"executable"]] + request[u"arguments"]]
        folder = raw(request.get(u"directory"))
        name = request[u"executable"]
        if b"\0" in b"".join(words + list(environment) + list(environment.values()) + [folder or b""]):
            raise Failed(errno.EINVAL, "run %s with a NUL byte in an argument, variable or path" % name)
        if request.get(u"terminal") or request.get(u"hasControl"):
            raise Failed(errno.ENOTSUP, "give %s a terminal or an open input: Python contexts have none" % name)
        path = find_program(words[0], environment)
        pipes = []
        try:
            while len(pipes) < 4:
                pipes.append(pipe())
            child = os.fork()
        except OSError as error:
            for ends in pipes:
                for end in ends:
                    os.close(end)
            raise Failed(error.errno, STEPS[0] % name)
        ends = pipes[0][0], pipes[1][1], pipes[2][1]
        if child == 0:
            become(path, words, environment, (Guard.folder, folder), ends, request[u"nice"], pipes[3][1])
        for end in ends + (pipes[3][1],):
            os.close(end)
        report = b""
        while True:
            try:
                report = os.read(pipes[3][0], 5)
                break
            except OSError:
                pass
        os.close(pipes[3][0])
        self.input = no_blocking(pipes[0][1])
        self.pipes = {pipes[1][0]: 1, pipes[2][0]: 2}
        if report:
            while True:
                try:
                    os.waitpid(child, 0)
                    break
                except OSError:
                    pass
            step, number = struct.unpack(">BI", report)
            at = raw(path), folder or Guard.folder or b""
            raise Failed(number, STEPS[step] % (at[step == 1] if step else words[0]).decode("utf-8", "replace"))
        self.pid = child
        Guard.programs[child] = self
        for end in self.pipes:
            no_blocking(end)
        if request.get(u"timeout"):
            later(request[u"timeout"] / 1000.0, self.time_is_up)
        self.input_ended = not request[u"hasInput"]
        self.feed()

    def feed(self):
        while self.unwritten and self.input is not None:
            data = self.unwritten[0]
            try:
                self.written += os.write(self.input, data[self.written:])
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno != errno.EINTR:
                    self.close_input()
            else:
                if self.written == len(data):
                    self.written = 0
                    self.consume(self.unwritten.popleft())
        # Who does not read is no reason for the other side to wait.
        while self.unwritten:
            self.consume(self.unwritten.popleft())
        if self.input_ended:
            self.close_input()

    def close_input(self):
        if self.input is not None:
            os.close(self.input)
            self.input = None

    def has_room(self):
        # Both pipes may be read once before either is looked at again.
        return not link.rest and self.credit >= 2 * (CHUNK + 65)

    def read(self, end):
        if not self.has_room() or end not in self.pipes:
            return
        try:
            part = os.read(end, CHUNK)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return
            part = b""
        if part:
            self.send(pack(">B", self.pipes[end]) + part, False, BULK, False)
        else:
            os.close(end)
            del self.pipes[end]
            self.finish_if_done()

    def look(self, delay=0.01):
        # Whether it has ended, and whether any of its process group is left.
        if self.status is None:
            try:
                child, status = os.waitpid(self.pid, os.WNOHANG)
            except OSError:
                child, status = self.pid, 255 << 8
            if child == 0:
                return
            self.status = status
            later(DRAIN, self.drain_is_over)
        if group_lives(self.pid):
            delay = 0.01 if Guard.ending else delay
            later(delay, lambda: Guard.programs.get(self.pid) is self and self.look(min(delay * 2, 1)))
        else:
            del Guard.programs[self.pid]
        self.finish_if_done()

    def drain_is_over(self):
        if self.is_over:
            return
        # What the program has left in the pipes may not have been looked at, where much is to do.
        for end in list(self.pipes) * 3:
            self.read(end)
        if self.pipes and not self.has_room():
            # The reader is slow, not the pipe: everything still comes.
            return later(DRAIN, self.drain_is_over)
        self.close_pipes()
        self.finish_if_done()

    def close_pipes(self):
        for end in self.pipes:
            os.close(end)
        self.pipes = {}

    def time_is_up(self):
        if self.status is None:
            self.timed_out = True
            self.terminate()

    def signal(self, number):
        if self.pid in Guard.programs:
            try:
                os.killpg(self.pid, number)
            except OSError:
                pass

    def terminate(self, limit=float("inf")):
        at = now() + min(self.request[u"killGrace"] / 1000.0, limit)
        if self.pid in Guard.programs and at < self.kill_at:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
            self.kill_at = at
            later(at - now(), lambda: self.signal(signal.SIGKILL))

    def finish_if_done(self):
        if self.status is not None and not self.pipes and not self.is_over:
            if os.WIFSIGNALED(self.status):
                end = {u"signal": os.WTERMSIG(self.status)}
            else:
                end = {u"exitCode": os.WEXITSTATUS(self.status)}
            self.finish(end, int((now() - self.started) * 1000000))

    def finish(self, end, microseconds):
        self.release()
        end.update({u"timedOut": self.timed_out, u"microseconds": microseconds})
        self.end(encoded(end), BULK)

    def release(self):
        self.is_over = True
        Guard.commands.discard(self)
        self.close_pipes()
        self.close_input()

    def was_lost(self):
        # The caller is gone or was cancelled: so is the program. What has ended has left what it left.
        if self.is_over:
            return
        self.release()
        self.terminate()


def surrounded(data):
    folder, environment = decode(data, 0)[0]
    Guard.folder = raw(folder)
    Guard.environment = dict((raw(name), raw(environment[name])) for name in environment)
    del data[:]


def serve(control, answers, ended, data):
    # The guard from now on: until the context has ended, or does not come to its end.
    global link, poke
    link, poke = Outlet(answers), lambda *_: None
    handlers.clear()
    handlers[2] = Command
    woken, wake = [no_blocking(end) for end in pipe()]
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    poller, known = select.poll(), {}
    watched = link_out
    surroundings = bytearray()
    until = float("inf")
    try:
        while now() < until:
            # Some may have come together with this program.
            for kind, flags, number, to, source, payload in frames(data):
                if kind == WELCOME:
                    surroundings += payload
                    if not flags & MORE:
                        surrounded(surroundings)
                elif kind == GOODBYE:
                    Guard.ending, until = True, now() + 5
                    for command in list(Guard.programs.values()):
                        command.terminate(1)
                        command.look()
                elif kind < HELLO and not Guard.ending:
                    State.me = to
                    receive(kind, flags, number, to, source, payload)
            if Guard.ending and not Guard.programs and answers is not None:
                # Whoever waits for the programs sees the end.
                os.close(answers)
                answers = None
            if ended[0] is None and is_gone(ended[1]):
                return
            interest = {control: select.POLLIN, woken: select.POLLIN}
            if ended[0] is not None:
                interest[ended[0]] = select.POLLIN
            if watched is not None:
                interest[watched] = 0
            owners = {}
            if link.rest and answers is not None:
                interest[answers] = select.POLLOUT
            for command in Guard.commands:
                if command.has_room():
                    for end in command.pipes:
                        interest[end], owners[end] = select.POLLIN, command.read
                if command.unwritten and command.input is not None:
                    interest[command.input], owners[command.input] = select.POLLOUT, lambda _, of=command: of.feed()
            for end in set(known) - set(interest):
                poller.unregister(end)
            for end in interest:
                if known.get(end) != interest[end]:
                    poller.register(end, interest[end])
            known = interest
            due = min([until, now() + 1 if ended[0] is None else until] + [at for at, _ in Guard.timers])
            try:
                ready = poller.poll(None if due == float("inf") else min(max(int((due - now()) * 1000) + 1, 0), 1 << 30))
            except (OSError, select.error):
                ready = [(woken, 0)]
            if Guard.timers:
                time_now = now()
                over = [timer for timer in Guard.timers if timer[0] <= time_now]
                Guard.timers = [timer for timer in Guard.timers if timer[0] > time_now]
                for _, function in sorted(over, key=lambda timer: timer[0]):
                    function()
            for end, _ in ready:
                if end == ended[0]:
                    return
                if end == watched:
                    # Nobody is at the other end of the link: the context has so long to see it.
                    watched, until = None, min(until, now() + 10)
                if end == woken:
                    try:
                        os.read(woken, 4096)
                    except OSError:
                        pass
                    for command in list(Guard.programs.values()):
                        if command.status is None:
                            command.look()
                elif end == answers:
                    link.flush()
                elif end in owners:
                    owners[end](end)
                elif end == control:
                    part = os.read(control, 262144)
                    if not part:
                        return
                    data += part
    finally:
        for command in list(Guard.programs.values()):
            command.signal(signal.SIGKILL)


# ---- In the context: files


def strangers(status, folder):
    # Whether something was left by a stranger in a folder where others may write, as in /tmp: see isStrangers in Martlet.
    if status.st_uid == os.geteuid():
        return False
    there = os.stat(folder or b".")
    shared = there.st_mode & 0o002 or there.st_mode & 0o1020 == 0o1020
    return bool(shared) and status.st_uid != there.st_uid


def behind_links(path):
    # A link stays a link, but for a stranger's.
    for _ in range(40):
        folder = os.path.dirname(path)
        if not os.path.islink(path) or strangers(os.lstat(path), folder):
            return path
        path = os.path.join(folder, os.readlink(path))
    raise OSError(errno.ELOOP, "")


def take_owner(fd, before):
    # Returns whether the group is the one that was there.
    there = os.fstat(fd)
    if (there.st_uid, there.st_gid) == (before.st_uid, before.st_gid):
        return True
    for user in before.st_uid, -1:
        try:
            os.fchown(fd, user, before.st_gid)
            return True
        except OSError:
            pass
    return there.st_gid == before.st_gid


def put_file(channel, path, mode):
    # Writes what comes beside the path, and takes its name when it is whole. Returns None, or an error's number and text.
    import hashlib
    digest, size = hashlib.sha256(), 0
    temporary = None
    try:
        path = behind_links(raw(path).rstrip(b"/") or b"/")
        folder, name = os.path.split(path)
        before = None
        try:
            before = os.lstat(path)
            if stat.S_ISDIR(before.st_mode):
                raise OSError(errno.EISDIR, "")
            if stat.S_ISLNK(before.st_mode) or stat.S_ISREG(before.st_mode) and strangers(before, folder):
                before = None
            elif not stat.S_ISREG(before.st_mode):
                return [0, "it is no regular file"]
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        name = b"." + name[:200] + b".martlet-" + binascii.hexlify(os.urandom(6))
        temporary = os.path.join(folder, name)
        unfinished.add(temporary)
        fd = close_on_exec(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            while True:
                try:
                    part = channel.receive()
                except EOFError:
                    return [0, "the sender stopped after %d bytes" % size]
                if not part:
                    # What follows is how it should be.
                    part = channel.receive()
                    break
                digest.update(part)
                size += len(part)
                while part:
                    part = part[os.write(fd, part):]
            if part != pack(">Q", size) + digest.digest():
                return [0, "it did not arrive as it was sent"]
            if mode is None:
                mode = before.st_mode & 0o7777 if before else 0o666 & ~MASK
            # Another group may not do what only the one that it had might do.
            if before and not take_owner(fd, before):
                mode &= ~0o070 | (before.st_mode & 0o007) << 3
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        unfinished.discard(temporary)
        temporary = None
        fd = os.open(folder or b".", os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError:
            # Some file systems cannot.
            pass
        finally:
            os.close(fd)
    except EnvironmentError as error:
        return [error.errno or 0, os.strerror(error.errno or 0)]
    finally:
        channel.close()
        if temporary:
            discard(temporary)


def get_file(channel, path):
    # Sends the mode, the content, and its size and checksum. Returns as put_file.
    import hashlib
    digest, size = hashlib.sha256(), 0
    try:
        # Not to wait for a writer, should it be a pipe.
        fd = close_on_exec(os.open(raw(path), os.O_RDONLY | os.O_NONBLOCK))
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise OSError(errno.EISDIR, "")
            if not stat.S_ISREG(status.st_mode):
                return [0, "it is no regular file"]
            channel.send(bytearray(pack(">I", status.st_mode & 0o7777)))
            # What is written behind while it is read would never end; files of the kernel's own say that they are empty.
            while not status.st_size or size < status.st_size:
                part = os.read(fd, min(262144, max(status.st_size - size, 0) or 262144))
                if not part:
                    break
                digest.update(part)
                size += len(part)
                channel.send(bytearray(part))
        finally:
            os.close(fd)
        channel.send(bytearray())
        channel.send(bytearray(pack(">Q", size) + digest.digest()))
    except EnvironmentError as error:
        return [error.errno or 0, os.strerror(error.errno) if error.errno else "%s" % error]
    finally:
        channel.close()


MASK = os.umask(0o77)
os.umask(MASK)
operations["!put"], operations["!get"] = put_file, get_file
