import Foundation
import Martlet
import MartletFragment
import MartletTestKit
import Synchronization
import Testing

/// Where the build's programs are.
let programFolder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

let hasSSHServer = FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd")

/// This machine's compiler, with a cache that outlives the tests: what all fragments share takes half a minute.
var compiler: SwiftCompiler {
    var compiler = SwiftCompiler()
    compiler.cache = programFolder.appending(path: "martlet-fragment-cache/martlet/fragments").path
    return compiler
}

/// One fragment for most tests, as each costs seconds: its first argument says what it does.
let manySource = """
    import Glibc

    struct Boom: Error, CustomStringConvertible { var description: String { "no luck" } }
    enum Typed: Error { case bad(Int) }
    func typed() throws(Typed) { throw .bad(2) }
    func say(_ text: String) { _ = (text + "\\n").withCString { write(2, $0, strlen($0)) } }

    let words = CommandLine.arguments
    switch words[1] {
    case "answer": try channel.send(channel.receive(as: Int.self)! + 1)
    case "throw":
        try channel.send(17)
        throw Boom()
    case "typed": try typed()
    case "crash": fatalError("boom")
    case "exit":
        say("why it does")
        exit(3)
    case "print":
        print("out", words[2...].joined(separator: ","), getenv("FRAGMENT").map { String(cString: $0) } ?? "unset")
        say("err")
        print("read:", readLine() ?? "nothing")
    case "sum":
        var sum = 0
        for number in channel.items(of: Int.self) { sum += number }
        try channel.send(sum)
        if try channel.receive(as: Int.self) == nil { try channel.send(-1) }
    case "echo": while let item = try channel.receive(as: [UInt8].self) { try channel.send(item) }
    case "flood":
        for count in 1...200 {
            try channel.send([UInt8](repeating: UInt8(count), count: 1 << 20))
            let file = fopen(words[2], "w")
            fputs("\\(count)", file)
            fclose(file)
        }
    case "close":
        try channel.send(1)
        channel.close()
        while getppid() > 1 { usleep(10000) }
    case "until closed":
        var count = 0
        do { while true { try channel.send(count); count += 1 } } catch { print("\\(error), \\(channel.isClosed)") }
        print(try channel.receive(as: Int.self) == nil ? "end" : "item")
    case "wait":
        try channel.send(Int(getpid()))
        system("sleep 1000 \\(words[2])")
    default: exit(64)
    }
    """

func many() async throws -> CompiledFragment { try await compiler.compile(manySource, file: "there/many.swift") }

extension Context {
    /// Runs the fragment that does many things.
    func many<Outgoing, Incoming>(
        _ words: String..., sending: Outgoing.Type = Int.self, receiving: Incoming.Type = Int.self,
        onLine: (@Sendable (OutputLine) async throws -> Void)? = nil
    ) async throws -> SwiftFragment<Outgoing, Incoming> {
        var options = FragmentOptions()
        options.arguments = words
        options.environment["FRAGMENT"] = "set"
        return try exec(
            try await MartletFragmentTests.many(), options: options, sending: sending, receiving: receiving,
            onLine: onLine)
    }
}

/// Keeps lines in the order in which they come.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }

    /// Options of a scope whose contexts print into this, and are small static agents.
    var options: MartletOptions {
        var options = MartletOptions()
        options.images = .executables([programFolder.appending(path: "martlet-agent").path])
        options.onOutput = { [self] line in add("\(line.pipe): \(line.text)") }
        return options
    }

    var onLine: @Sendable (OutputLine) async throws -> Void {
        { [self] line in add("\(line.pipe): \(line.text)") }
    }
}

/// Runs `body` with a context in a process of its own on this machine.
func withContext(
    _ options: MartletOptions = Lines().options, _ body: @Sendable (Context) async throws -> Void
) async throws {
    try await withMartlet(options) { martlet in try await body(try await martlet.connect(.local)) }
}

/// Runs `body` with a folder that is removed afterwards.
func withFolder<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = FileManager.default.temporaryDirectory.appending(
        path: "martlet-fragment-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: path) }
    return try await body(path.path)
}

/// Writes a program in shell and returns its path.
func script(_ text: String, _ folder: String, _ name: String) throws -> String {
    let path = "\(folder)/\(name)"
    try "#!/bin/sh\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
    chmod(path, 0o700)
    return path
}

/// How many bytes this process has written, to whatever.
func writtenBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/io", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("wchar: ") }
    return line.flatMap { Int($0.dropFirst(7)) } ?? 0
}

/// A text that nothing else has, and that `sleep` takes for very long.
func makeMarker() -> String { "1000000.\(UInt64.random(in: 1_000_000 ... .max))" }

func expectNothing(_ marker: String) async {
    await eventually(within: .seconds(30), "no process of the fragment") { ProcessTable.carrying(marker).isEmpty }
}

/// The same within a scope, at the end of which the guard of what was started here goes.
func withFolderInScope(_ body: @Sendable (String) async throws -> Void) async throws {
    try await withMartlet(Lines().options) { _ in try await withFolder { folder in try await body(folder) } }
}
