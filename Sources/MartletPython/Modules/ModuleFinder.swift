/// Where a module is on this machine, by Python's own rules, but without Python.
struct ModuleFinder {
    enum Found: Equatable {
        case module(file: String)
        case package(file: String, folder: String)
        /// A folder in one or more of the paths, without an `__init__.py`.
        case namespace(folders: [String])
        /// Compiled for one machine.
        case native(file: String)
    }

    /// As the user wrote them.
    let paths: [String]
    private let roots: [String]

    init(paths: [String]) {
        self.paths = paths
        roots = paths.compactMap(SourceFile.resolved)
    }

    /// - Returns: `nil` for what is not there, and for a name that is none.
    func find(_ name: String) -> Found? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.allSatisfy(Self.isName) else { return nil }
        var folders = paths
        var found: Found?
        for part in parts {
            found = find(part, in: folders)
            switch found {
            case .package(_, let folder): folders = [folder]
            case .namespace(let portions): folders = portions
            case .module, .native, nil: folders = []
            }
        }
        return found
    }

    private func find(_ name: String, in folders: [String]) -> Found? {
        var portions: [String] = []
        for folder in folders {
            let path = Self.join(folder, name)
            if SourceFile.isFile("\(path)/__init__.py") {
                return .package(file: "\(path)/__init__.py", folder: path)
            }
            if SourceFile.isFile("\(path).py") { return .module(file: "\(path).py") }
            if let file = nativeFile(name, in: folder) { return .native(file: file) }
            if SourceFile.isFolder(path) { portions.append(path) }
        }
        return portions.isEmpty ? nil : .namespace(folders: portions)
    }

    private func nativeFile(_ name: String, in folder: String) -> String? {
        let plain = Self.join(folder, "\(name).so")
        if SourceFile.isFile(plain) { return plain }
        let tagged = { (file: String) in
            file.hasPrefix("\(name).") && file.hasSuffix(".so") && (file.contains(".cpython-") || file.contains(".abi"))
        }
        return SourceFile.names(in: folder).first(where: tagged).map { Self.join(folder, $0) }
    }

    /// Whether a file is below the paths, whatever links lead to it.
    func offers(_ file: String) -> Bool {
        guard let resolved = SourceFile.resolved(file) else { return false }
        return roots.contains { root in resolved.hasPrefix(root == "/" ? "/" : "\(root)/") }
    }

    /// The names at the top: of modules and packages, and of folders that could be namespace packages.
    func topNames() -> (names: [String], folders: [String]) {
        var names: Set<String> = []
        var folders: Set<String> = []
        for path in paths {
            for file in SourceFile.names(in: path) {
                if file.hasSuffix(".py"), Self.isName(String(file.dropLast(3))) {
                    names.insert(String(file.dropLast(3)))
                } else if Self.isName(file) {
                    let folder = Self.join(path, file)
                    if SourceFile.isFile("\(folder)/__init__.py") {
                        names.insert(file)
                    } else if couldBeNamespace(folder) {
                        folders.insert(file)
                    }
                }
            }
        }
        return (names.sorted(), folders.subtracting(names).sorted())
    }

    private func couldBeNamespace(_ folder: String) -> Bool {
        SourceFile.isFolder(folder)
            && SourceFile.names(in: folder).contains { name in
                name.hasSuffix(".py") || SourceFile.isFile(Self.join(folder, "\(name)/__init__.py"))
            }
    }

    /// What could be imported from folders: modules, packages and folders.
    static func names(in folders: [String]) -> [String] {
        var names: Set<String> = []
        for folder in folders {
            for file in SourceFile.names(in: folder) {
                let name = file.hasSuffix(".py") ? String(file.dropLast(3)) : file
                if name != "__init__", name != "__pycache__", isName(name) { names.insert(name) }
            }
        }
        return names.sorted()
    }

    static func join(_ folder: String, _ name: String) -> String {
        folder == "." || folder.isEmpty ? name : folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
    }

    /// Whether it can be part of a module's name: no path, and nothing hidden.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 255, !(48...57).contains(first) else { return false }
        return text.utf8.allSatisfy { byte in
            byte >= 0x80 || byte == 0x5F || (48...57).contains(byte) || (65...90).contains(byte)
                || (97...122).contains(byte)
        }
    }
}
