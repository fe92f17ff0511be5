# Modules that the controller has: the part of a Python context's runtime that is sent where some were offered.
#
# bin/pack-python puts it behind the runtime's own functions. OFFER is what the connect brought: the token to show, and the
# names at the top. Only what begins with one of these is ever asked for; of a package we know what is in it.
FETCH, MAIN_NAME, FETCH_LIMIT = 10, u"__martlet_main__", 60
# What has come, by name: maps of file, source and names, or of data, or of a list.
FETCHED = {}
OFFER = decode(bytearray(OFFER), 0)[0]


class Fetch(Stream):
    def begin(self):
        Stream.begin(self)
        self.bytes = bytearray()

    def came(self, kind, payload):
        self.bytes += payload
        if len(self.bytes) > 2 * MAXIMUM_VALUE:
            self.reset(6, "too much at once")
        elif kind == DATA:
            self.consume(payload)


def fetched(name):
    # What the controller has under a name, or None. It sends along what is likely to be wanted next.
    with LOCK:
        if name in FETCHED:
            return FETCHED[name]
        until = time.time() + FETCH_LIMIT
        stream = Fetch(State.parent, 0, OPENER)
        stream.sent_last = True
        stream.opening(FETCH, OFFER[u"token"] + name.encode("utf-8"), LAST)
        while not (stream.got_last or stream.lost):
            left = until - time.time()
            if left <= 0:
                stream.reset(2, "no answer in time")
                break
            stream.changed.wait(left)
        if stream.lost or stream.bytes[0]:
            why = stream.lost[1] if stream.lost else bytes(stream.bytes[1:]).decode("utf-8", "replace")
            raise ImportError("%s cannot be had from the controller: %s" % (name, why))
        for entry in decode(stream.bytes, 1)[0]:
            value = entry.get(u"value")
            if value is not None:
                FETCHED[entry[u"name"]] = decode(bytearray(value), 0)[0]
        return FETCHED.get(name)


def in_package(name):
    parent, _, last = name.rpartition(u".")
    above = FETCHED.get(parent)
    if above and last not in above.get(u"names", ()):
        return None
    return fetched(name)


def native(value):
    return value.encode("utf-8") if bytes is str else value


class Finder(object):
    def __init__(self, names, is_last=False):
        self.is_last = is_last
        self.names = set(names) - set(sys.builtin_module_names)

    def loader(self, name, path):
        # What is below a package of this machine's is this machine's.
        if path is not None and not str((list(path) or [""])[0]).startswith("martlet:"):
            return None
        if name.partition(u".")[0] in self.names:
            found = in_package(name)
            if found:
                return Loader(name, found)

    def find_spec(self, name, path=None, target=None):
        loader = self.loader(name, path)
        if loader:
            from importlib.machinery import ModuleSpec
            # A namespace package has no file.
            spec = ModuleSpec(name, loader if loader.file else None, is_package=loader.folder is not None)
            if loader.file:
                spec.origin = loader.file
                spec.has_location = True
            if loader.folder:
                spec.submodule_search_locations.append(loader.folder)
            return spec

    def find_module(self, name, path=None):
        # Python 2 looks at its own path later, and its names are bytes.
        if self.is_last and name in self.names:
            import imp
            try:
                return imp.find_module(name) and None
            except ImportError:
                pass
        return self.loader(name.decode("utf-8", "replace"), path)


class Loader(object):
    def __init__(self, name, found):
        self.name, self.found = name, found
        self.file, self.source = native(found.get(u"file", u"")), found.get(u"source", b"")
        self.folder = native(found[u"folder"]) if u"folder" in found else None
        # What data belongs to.
        self.package = name if self.folder else name.rpartition(u".")[0]

    def is_package(self, name):
        return self.folder is not None

    def get_filename(self, name):
        return self.file

    def get_code(self, name):
        return compile(self.source, self.file, "exec", 0, True)

    def get_source(self, name):
        if bytes is str:
            return self.source
        from importlib.util import decode_source
        return decode_source(self.source)

    def create_module(self, spec):
        pass

    def exec_module(self, module):
        exec(self.get_code(None), module.__dict__)

    def load_module(self, name):
        module = sys.modules.setdefault(str(name), type(sys)(str(name)))
        module.__loader__, module.__file__ = self, self.file
        module.__package__ = str(self.package)
        if self.folder:
            module.__path__ = [self.folder]
        try:
            self.exec_module(module)
        except BaseException:
            sys.modules.pop(name, 0)
            raise
        return sys.modules[name]

    def get_data(self, path):
        folder = os.path.dirname(self.file) + "/"
        return content(self.package, path[len(folder):] if path.startswith(folder) else "..")

    def get_resource_reader(self, name):
        if self.folder:
            from __martlet_resources__ import Resource
            return Resource(self.package, "", found_in, content)


def found_in(package, path):
    # Data of a package, or a list of what is in a folder of it.
    name = u"%s/%s" % (package, path if isinstance(path, text) else path.decode("utf-8", "replace"))
    value = fetched(name)
    if len(value and value.get(u"data") or b"") > 1 << 20:
        FETCHED.pop(name, 0)
    return value or {}


def content(package, path):
    value = found_in(package, path)
    if u"data" not in value:
        raise IOError(errno.ENOENT, "no such file in the package %s" % package, path)
    return value[u"data"]


def module_named(name):
    # A function of the main script: the script is loaded once, and is no __main__ while it is.
    if name != "__main__" or MAIN_NAME not in OFFER[u"names"]:
        __import__(name)
        return sys.modules[name]
    __import__(str(MAIN_NAME))
    module = sys.modules["__main__"] = sys.modules[MAIN_NAME]
    return module


def run_main(arguments):
    # The main script as the program that it is: returns its exit status.
    loader = Loader(u"__main__", fetched(MAIN_NAME))
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__file__, module.__loader__, module.__builtins__ = loader.file, loader, builtins
    sys.argv = [loader.file] + [native(value) for value in arguments]
    try:
        loader.exec_module(module)
    except SystemExit as error:
        code = error.code
        if code is None or isinstance(code, integers):
            return (code or 0) & 255
        sys.stderr.write("%s\n" % (code,))
        return 1
    finally:
        for pipe in sys.stdout, sys.stderr:
            try:
                pipe.flush()
            except Exception:
                pass
    return 0


def install_finders():
    sys.meta_path.insert(0, Finder(OFFER[u"names"]))
    # Regular packages of this machine's go before a folder without an __init__.py.
    sys.meta_path.append(Finder(OFFER[u"folders"], True))
