import Martlet
import MartletWire
import Synchronization

/// Answers what Python contexts ask for: modules, data of packages, the main script. It reads files, and executes nothing.
final class ModuleProvider: ResourceProvider {
    /// What the main script is called there; see martlet_modules.py.
    static let scriptName = "__martlet_main__"
    /// The part of the runtime that is a module; see martlet_resources.py.
    static let resourcesName = "__martlet_resources__"
    /// How much room the names at the top may take in what a connect sends, in bytes.
    static let namesLimit = 16 << 10

    let modules: PythonModules
    private let finder: ModuleFinder
    private let tops: (names: [String], folders: [String])
    private let topNames: Set<String>
    /// What was sent, as it was then.
    private let sent = Mutex<[String: SourceFile.Version]>([:])

    init(_ modules: PythonModules) {
        self.modules = modules
        finder = ModuleFinder(paths: modules.paths)
        tops = finder.topNames()
        topNames = Set(tops.names).union(tops.folders)
    }

    /// Whether all that was sent is still so, and nothing has come or gone at the top. What passed through other contexts is
    /// kept there: it must not stand for files that have changed.
    func isCurrent() -> Bool {
        guard finder.topNames() == tops else { return false }
        return sent.withLock { $0.allSatisfy { SourceFile.version($0.key) == $0.value } }
    }

    /// What a connect brings along: the token to show, and what may be asked for.
    ///
    /// - Throws: ``MartletError`` `misuse` if there is too much.
    func offer(_ token: [UInt8]) throws -> [UInt8] {
        let names = tops.names + [Self.resourcesName] + (modules.script == nil ? [] : [Self.scriptName])
        let offer = CBORValue.map([
            .init(.text("token"), .bytes(token)),
            .init(.text("names"), .array(names.map(CBORValue.text))),
            .init(.text("folders"), .array(tops.folders.map(CBORValue.text))),
        ]).encoded
        guard offer.count <= Self.namesLimit else {
            throw MartletError(
                .misuse, "\(modules.paths.joined(separator: ", ")): \(topNames.count) modules at the top are too many",
                advice: "offer a folder that has just what is to be imported")
        }
        return offer
    }

    // MARK: Answers

    func resource(_ name: String, known: Set<String>) throws(ResourceFailure) -> Resource {
        if name == Self.scriptName { return try script() }
        if name == Self.resourcesName {
            let source =
                "import base64, zlib\nexec(zlib.decompress(base64.b64decode(\"\(RuntimeProgram.resources)\")))\n"
            return Resource(name: name, value: describe("martlet_resources.py", Array(source.utf8)))
        }
        if let slash = name.firstIndex(of: "/") {
            return try data(name, of: String(name[..<slash]), String(name[name.index(after: slash)...]))
        }
        guard let top = name.split(separator: ".").first, topNames.contains(String(top)) else { return absent(name) }
        switch finder.find(name) {
        case .module(let file): return try module(name, file, nil, known)
        case .package(let file, let folder): return try module(name, file, folder, known)
        case .namespace(let found):
            let folders = found.filter(finder.offers)
            guard let first = folders.first else { return absent(name) }
            let value = describe(nil, [], first, names(in: folders))
            return Resource(name: name, value: value, related: rest(of: String(top), known))
        case .native, nil: return absent(name)
        }
    }

    /// - Parameter folder: a package's.
    private func module(
        _ name: String, _ file: String, _ folder: String?, _ known: Set<String>
    ) throws(ResourceFailure) -> Resource {
        let source = try read(file)
        let value = describe(file, source, folder, folder.map { names(in: [$0]) })
        let imports = wanted(source, name, isPackage: folder != nil)
        let top = String(name.prefix { $0 != "." })
        return Resource(name: name, value: value, related: Self.parents(of: name) + imports + rest(of: top, known))
    }

    private func absent(_ name: String) -> Resource { Resource(name: name, value: nil) }

    private func describe(
        _ file: String?, _ source: [UInt8], _ folder: String? = nil, _ names: [String]? = nil
    ) -> [UInt8] {
        var pairs: [CBORValue.Pair] = []
        // Tracebacks show where it came from.
        if let file {
            pairs.append(.init(.text("file"), .text("martlet:\(file)")))
            pairs.append(.init(.text("source"), .bytes(source)))
        }
        if let folder { pairs.append(.init(.text("folder"), .text("martlet:\(folder)"))) }
        if let names { pairs.append(.init(.text("names"), .array(names.map(CBORValue.text)))) }
        return CBORValue.map(pairs).encoded
    }

    private func script() throws(ResourceFailure) -> Resource {
        guard let script = modules.script else { return absent(Self.scriptName) }
        let source = try read(script, mustBeBelowPaths: false)
        let imports = wanted(source, Self.scriptName, isPackage: false)
        return Resource(name: Self.scriptName, value: describe(script, source), related: imports)
    }

    private func data(_ name: String, of package: String, _ path: String) throws(ResourceFailure) -> Resource {
        let parts = path.split(separator: "/").map(String.init)
        // One name for one file: what is kept by name has no other bound.
        guard case .package(_, let folder) = finder.find(package), !parts.contains(where: { $0.hasPrefix(".") }),
            parts.joined(separator: "/") == path
        else { return absent(name) }
        let file = ([folder] + parts).joined(separator: "/")
        guard finder.offers(file) else { return absent(name) }
        if SourceFile.isFolder(file) {
            note(file)
            let names = SourceFile.names(in: file).map(CBORValue.text)
            return Resource(name: name, value: CBORValue.map([.init(.text("list"), .array(names))]).encoded)
        }
        guard SourceFile.isFile(file) else { return absent(name) }
        let bytes = try read(file)
        return Resource(name: name, value: CBORValue.map([.init(.text("data"), .bytes(bytes))]).encoded)
    }

    /// What could be imported from folders, as they are now.
    private func names(in folders: [String]) -> [String] {
        folders.forEach(note)
        return ModuleFinder.names(in: folders)
    }

    private func note(_ folder: String) { sent.withLock { $0[folder] = SourceFile.version(folder) } }

    private func read(_ path: String, mustBeBelowPaths: Bool = true) throws(ResourceFailure) -> [UInt8] {
        guard !mustBeBelowPaths || finder.offers(path) else {
            throw ResourceFailure("\(path) is a link that leads out of what is offered")
        }
        do throws(SourceFile.Failure) {
            let (bytes, version) = try SourceFile.read(path)
            sent.withLock { $0[path] = version }
            return bytes
        } catch {
            switch error {
            case .absent: throw ResourceFailure("\(path) is not there")
            case .unusable(let why): throw ResourceFailure(why)
            }
        }
    }

    // MARK: What is wanted next

    private static func parents(of name: String) -> [String] {
        let parts = name.split(separator: ".")
        return parts.indices.dropFirst().map { parts[..<$0].joined(separator: ".") }
    }

    /// What a source imports that is offered, packages before what is in them.
    private func wanted(_ source: [UInt8], _ name: String, isPackage: Bool) -> [String] {
        ImportScanner.imports(in: source, of: name, isPackage: isPackage).flatMap { name -> [String] in
            guard let top = name.split(separator: ".").first, topNames.contains(String(top)) else { return [] }
            return Self.parents(of: name) + [name]
        }
    }

    /// A second question for one package's modules: they are imported in a way that cannot be read from the source, so all
    /// that it has goes along.
    private func rest(of top: String, _ known: Set<String>) -> [String] {
        guard known.contains(where: { $0 == top || $0.hasPrefix("\(top).") }) else { return [] }
        var all: [String] = []
        var open = [top]
        while let name = open.popLast(), all.count < ResourceBundle.fullCount {
            all.append(name)
            let folders: [String]
            switch finder.find(name) {
            case .package(_, let folder): folders = [folder]
            case .namespace(let portions): folders = portions.filter(finder.offers)
            default: continue
            }
            open += ModuleFinder.names(in: folders).reversed().map { "\(name).\($0)" }
        }
        return all
    }
}
