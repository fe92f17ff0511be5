/// Python modules of this program's machine that code in a Python context may import.
///
/// The far Python asks for them when its code imports them, and gets along what they import in their turn; nothing of theirs
/// is executed here, and nothing is written there. They come before modules of the same name that the far machine has, as
/// those of a script's own folder do, but for folders without an `__init__.py`, which come after.
///
/// Data files of packages come by `pkgutil.get_data` and, from Python 3.7 on, `importlib.resources` (`files()`: 3.10).
/// Nothing else can be had: what is hidden (`.git`), what a link outside of the paths leads to, and what is not below a
/// package stays here. Native extensions cannot be sent to another machine: their import fails there, as does any import of
/// what is neither there nor here, with ``PythonError/advice`` that says so.
public struct PythonModules: Sendable, Hashable {
    /// Folders, as in Python's `sys.path`: the first that has a module counts.
    public var paths: [String]
    /// The main script. `py.call("__main__:function")` calls its functions, with `__name__` other than `__main__`;
    /// ``PythonContext/runScript(_:deadline:)`` runs it.
    public var script: String?

    /// - Parameter paths: `nil`: the folder of the script.
    public init(paths: [String]? = nil, script: String? = nil) {
        self.paths = paths ?? script.map { [Self.folder(of: $0)] } ?? []
        self.script = script
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

extension PythonRuntime {
    /// This runtime, with modules of this machine that its code may import.
    ///
    ///     connect(.ssh("old-box"), runtime: .python.importing(from: "lib"))
    ///
    /// - Parameters:
    ///   - paths: folders, as in Python's `sys.path`. None: the folder of the script.
    ///   - script: a main script, whose functions can be called as `__main__:function`.
    public func importing(from paths: String..., script: String? = nil) -> PythonRuntime {
        importing(PythonModules(paths: paths.isEmpty ? nil : paths, script: script))
    }

    /// This runtime, with modules of this machine that its code may import.
    public func importing(_ modules: PythonModules) -> PythonRuntime {
        var runtime = self
        runtime.modules = modules
        return runtime
    }
}

extension PythonModules {
    /// Why the far Python has no module of that name.
    func advice(_ name: String, on host: String) -> String {
        if case .native(let file) = ModuleFinder(paths: paths).find(name) {
            return "\(file) is a native extension, which cannot be sent to another machine: install \(name) on \(host)"
        }
        let places = paths.map { $0 == "." ? "the current directory" : $0 }
        guard !places.isEmpty else {
            return "install it on \(host), or let it be imported from here: runtime: .python.importing(from: …)"
        }
        return "it is neither installed on \(host) nor here in \(places.joined(separator: ", "))"
    }
}
