import Martlet
import MartletReactor

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The compiler for fragments: this machine's own, with what it made last.
///
/// The last sixteen programs are kept, some 8 MB each.
public struct SwiftCompiler: Sendable {
    /// Its path. Default: what the variable `SWIFTC` says, else `swiftc` in `PATH`.
    public var path: String?
    /// Further arguments, such as `-swift-version 6`. They count for what is kept.
    public var arguments: [String] = []
    /// A target other than this machine, as `swiftc -target` takes it; its SDK is named in ``arguments``.
    public var target: String?
    /// Where what it makes is kept: a folder that nobody else may write to. Default:
    /// `${XDG_CACHE_HOME:-~/.cache}/martlet/fragments`.
    public var cache: String?
    /// How long one run of the compiler may take, and the wait for others that compile at the same time. A fragment takes
    /// seconds; before the first one, what all of them share takes half a minute. Default: 5 min.
    public var deadline = Duration.seconds(300)

    /// The defaults.
    public init() {}

    /// The architecture that it compiles for.
    private var architecture: String {
        if let target { return String(target.prefix { $0 != "-" }) }
        #if arch(x86_64)
        return "x86_64"
        #elseif arch(arm64)
        return "aarch64"
        #else
        return "another architecture"
        #endif
    }

    /// Tells before the compiler has worked for nothing.
    func check(_ context: Context) throws(MartletError) {
        try CompiledFragment.check(context, architecture: architecture)
    }

    /// Compiles a fragment, unless that was done before.
    ///
    /// - Parameter file: what the compiler's messages call the source; it need not exist.
    /// - Throws: ``FragmentCompileError`` with what the compiler says; ``MartletError`` `noCompiler`, `deadlineExceeded`,
    ///   or `imageUnusable` if there is no place for what it makes; `CancellationError`.
    public func compile(_ source: String, file: String = "fragment.swift") async throws -> CompiledFragment {
        let swiftc = try find()
        let version = try await CompilerProcess.run(swiftc, ["-version"], deadline: deadline)
        guard version.succeeded else {
            throw MartletError(.noCompiler, "\(swiftc) -version fails", detail: version.output)
        }
        let options = (target.map { ["-target", $0] } ?? []) + arguments
        // What all fragments share has to know of another target and its SDK, not of what else is about the fragment.
        let sharedOptions = target == nil ? [] : options
        let cache = try FragmentCache(self.cache)
        let name = Self.name(of: file)
        let shared = FragmentCache.key(
            [version.output] + sharedOptions + Self.runtimeArguments + FarSideSources.all.flatMap { [$0.0, $0.1] })
        let key = FragmentCache.key([shared, name, source] + options + Self.fragmentArguments)
        let lock = try await cache.lock(key, within: deadline)
        defer { lock.release() }
        if let found = cache.open("fragment-\(key)") { return try made(found, key, file, warnings: "") }
        let runtime = try await self.runtime(shared, swiftc, sharedOptions, cache)
        let work = try cache.makeWorkFolder()
        defer { cache.remove(work) }
        try cache.write(source, "\(work)/\(name)")
        let result = try await CompilerProcess.run(
            swiftc,
            Self.fragmentArguments + options + cache.compilerOptions + [
                "-I", runtime, name, "\(runtime)/runtime.o", "-o", "program",
            ],
            directory: work, deadline: deadline)
        let said = Self.said(result.output, name: name, file: file)
        guard result.succeeded else { throw FragmentCompileError(file: file, output: said) }
        try cache.keep("\(work)/program", "fragment-\(key)")
        guard let found = cache.open("fragment-\(key)") else {
            throw MartletError(.imageUnusable, "what was compiled of \(file) is gone from \(cache.folder)")
        }
        cache.prune()
        return try made(found, key, file, warnings: said)
    }

    private func made(
        _ found: FragmentCache.Found, _ key: String, _ file: String, warnings: String
    ) throws -> CompiledFragment {
        CompiledFragment(
            found.descriptor, id: key, byteCount: found.byteCount, file: Self.name(of: file), warnings: warnings,
            architecture: architecture)
    }

    private func find() throws(MartletError) -> String {
        let environment = ProcessEnvironment.current
        let wanted = path ?? environment["SWIFTC"].flatMap { $0.isEmpty ? nil : $0 } ?? "swiftc"
        do throws(SystemError) {
            let found = try ProgramSearch.find(wanted, path: environment["PATH"])
            guard access(found, X_OK) == 0 else { throw SystemError(errno, "find \(found)") }
            return found
        } catch {
            throw MartletError(
                .noCompiler, "there is no Swift compiler to compile the fragment with: \(error)",
                advice:
                    "install a toolchain from https://www.swift.org/install/linux here; or name its swiftc in the variable SWIFTC"
            )
        }
    }

    // MARK: The part that all fragments share

    private static let module = "MartletFragmentRuntime"
    private static let runtimeArguments = [
        "-Osize", "-wmo", "-parse-as-library", "-swift-version", "6", "-package-name", "martlet",
        "-enable-experimental-feature", "Extern", "-static-stdlib", "-module-name", module, "-emit-module",
        "-emit-module-path", "\(module).swiftmodule", "-c", "-o", "runtime.o",
    ]
    /// The fragment's `main` gets another name, as its errors' last resort does: see `FragmentMain.swift`.
    private static let fragmentArguments = [
        "-O", "-module-name", "fragment", "-Xfrontend", "-import-module", "-Xfrontend", module,
        "-Xfrontend", "-entry-point-function-name", "-Xfrontend", "martlet_fragment_main", "-static-executable",
        "-Xlinker", "-s", "-Xlinker", "--gc-sections", "-Xlinker", "--wrap=swift_errorInMain",
        "-Xlinker", "--wrap=swift_errorInMainTyped",
    ]

    /// - Returns: the folder that holds it.
    private func runtime(
        _ key: String, _ swiftc: String, _ options: [String], _ cache: FragmentCache
    ) async throws -> String {
        let folder = "\(cache.folder)/runtime-\(key)"
        let lock = try await cache.lock("runtime", within: deadline)
        defer { lock.release() }
        if cache.has("\(folder)/runtime.o") { return folder }
        let work = try cache.makeWorkFolder()
        defer { cache.remove(work) }
        for (name, text) in FarSideSources.all { try cache.write(text, "\(work)/\(name)") }
        let result = try await CompilerProcess.run(
            swiftc, Self.runtimeArguments + options + cache.compilerOptions + FarSideSources.all.map(\.0),
            directory: work, deadline: deadline)
        guard result.succeeded else {
            throw MartletError(
                .noCompiler, "\(swiftc) does not compile what fragments need", detail: result.output,
                advice: "use Swift 6.2 or later, with its static libraries (the folder usr/lib/swift_static)")
        }
        for (name, _) in FarSideSources.all { cache.remove("\(work)/\(name)") }
        try cache.keep(work, "runtime-\(key)")
        return folder
    }

    // MARK: Words

    /// The last part of a path, as the name of a Swift file.
    private static func name(of file: String) -> String {
        let last = file.split(separator: "/").last.map(String.init) ?? ""
        let safe = String(last.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-+".contains($0)) ? $0 : "_" })
        let name = safe.isEmpty || safe.hasPrefix("-") || safe.hasPrefix(".") ? "fragment\(safe)" : safe
        return name.hasSuffix(".swift") ? name : name + ".swift"
    }

    /// What the compiler printed, with the source called as its owner calls it. The linker warns of each static program; that
    /// is none of the fragment's.
    private static func said(_ output: String, name: String, file: String) -> String {
        var lines: [Substring] = []
        for line in output.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.utf8.count > 0, line.hasSuffix("used for linking"), line.hasPrefix("/") { continue }
            lines.append(line.hasPrefix("\(name):") ? "\(file)\(line.dropFirst(name.count))" : line)
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines.joined(separator: "\n")
    }
}
