# What importlib.resources gets of a package that has come from the controller. Sent as a module like any other, when it is
# imported: see martlet_modules.py.
import errno
import io


class Resource(object):
    # A file or folder of a package: what was called ResourceReader first, and Traversable later.
    def __init__(self, package, path, found_in, content):
        self.package, self.path, self.found_in, self.content = package, path, found_in, content
        self.name = path.rpartition("/")[2] or package.rpartition(".")[2]

    def __repr__(self):
        return "<Resource %s/%s>" % (self.package, self.path)

    def joinpath(self, *parts):
        path = "/".join(part.strip("/") for part in (self.path,) + parts if part)
        return Resource(self.package, path, self.found_in, self.content)

    __truediv__ = joinpath

    def is_dir(self):
        return "list" in self.found_in(self.package, self.path)

    def is_file(self):
        return "data" in self.found_in(self.package, self.path)

    def iterdir(self):
        return iter([self.joinpath(name) for name in self.contents()])

    def read_bytes(self):
        return self.content(self.package, self.path)

    def read_text(self, encoding=None, errors="strict"):
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode="r", *arguments, **keywords):
        data = io.BytesIO(self.read_bytes())
        return data if "b" in mode else io.TextIOWrapper(data, *arguments, **keywords)

    # As a reader

    def files(self):
        return self

    def open_resource(self, name):
        return self.joinpath(name).open("rb")

    def resource_path(self, name):
        raise IOError(errno.ENOENT, "not a file on this machine", name)

    def is_resource(self, name):
        return self.joinpath(name).is_file()

    def contents(self):
        return list(self.found_in(self.package, self.path).get("list", ()))
