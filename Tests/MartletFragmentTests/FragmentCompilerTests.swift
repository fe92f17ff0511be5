import Foundation
import Martlet
import MartletTestKit
import Testing

@testable import MartletFragment

@Suite(.leakChecked) struct FragmentCompilerTests {
    @Test func `The compiler's messages have the file and the lines of the source`() async throws {
        try await withContext { context in
            let error = try await #require(throws: FragmentCompileError.self) {
                _ = try await context.exec(
                    swift: "let answer = 42\nlet text: String = answer\n", file: "jobs/wrong.swift", compiler: compiler)
            }
            let lines = error.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("jobs/wrong.swift:2:20: error: ") == true, "\(error)")
            #expect(lines.contains { $0.contains("let text: String = answer") })
            #expect(!error.output.contains("/martlet-fragment-cache/"), "\(error)")
            #expect(!error.output.contains("warning"))
        }
    }

    @Test func `A fragment may await, import Foundation and print a warning`() async throws {
        let source = """
            import Foundation
            func later() async throws -> String {
                try await Task.sleep(for: .milliseconds(1))
                return ["a": [1, 2]].description
            }
            func old() { let unused = 1 }
            try channel.send(try await later())
            try channel.send(URL(fileURLWithPath: "/a/b").lastPathComponent)
            struct Late: Error {}
            throw Late()
            """
        let fragment = try await compiler.compile(source, file: "later.swift")
        try await withContext { context in
            let run = try context.exec(fragment, receiving: String.self)
            #expect(try await run.receive() == "[\"a\": [1, 2]]")
            #expect(try await run.receive() == "b")
            let error = try await #require(throws: FragmentError.self) { _ = try await run.receive() }
            #expect(error.type == "Late")
        }
    }

    @Test func `The same source is compiled once`() async throws {
        try await withFolderInScope { folder in
            var counting = compiler
            counting.path = try script("echo \"$*\" >>\(folder)/log\nexec swiftc \"$@\"", folder, "swiftc")
            func runs() -> Int {
                let log = (try? String(contentsOfFile: "\(folder)/log", encoding: .utf8)) ?? ""
                return log.split(separator: "\n").count { !$0.contains("-version") }
            }
            // There before: what all fragments share.
            _ = try await many()
            let source = "try channel.send(\"\(makeMarker())\")\nfunc old() { let unused = 1 }"
            let first = try await counting.compile(source, file: "once.swift")
            #expect(runs() == 1)
            #expect(first.warnings.hasPrefix("once.swift:2:"), "\(first.warnings)")
            let second = try await counting.compile(source, file: "once.swift")
            #expect(runs() == 1)
            #expect(second.image.id == first.image.id)
            counting.arguments = ["-DOTHER"]
            let third = try await counting.compile(source, file: "once.swift")
            #expect(runs() == 2)
            #expect(third.image.id != first.image.id)
        }
    }

    @Test func `A missing compiler is named, with what to do`() async throws {
        try await withContext { context in
            var missing = compiler
            missing.path = "/no/such/swiftc"
            let error = try await #require(throws: MartletError.self) {
                _ = try await context.exec(swift: "print(1)", compiler: missing)
            }
            #expect(error.code == .noCompiler)
            #expect("\(error)".contains("/no/such/swiftc"))
            missing.path = "no-such-swiftc"
            let second = try await #require(throws: MartletError.self) { _ = try await missing.compile("print(1)") }
            #expect("\(second)".contains("swift.org"))
            #expect("\(second)".contains("SWIFTC"))
        }
    }

    @Test func `A compiler that hangs is ended at the deadline, and with its caller`() async throws {
        try await withFolderInScope { folder in
            let marker = makeMarker()
            var hanging = compiler
            hanging.path = try script(
                "[ \"$1\" = -version ] && exec swiftc -version\nsleep \(marker)", folder, "swiftc")
            hanging.deadline = .seconds(2)
            hanging.cache = "\(folder)/cache"
            let limited = hanging
            let error = try await #require(throws: MartletError.self) { _ = try await limited.compile("print(1)") }
            #expect(error.code == .deadlineExceeded)
            await expectNothing(marker)
            hanging.deadline = .seconds(1000)
            let patient = hanging
            let task = Task { _ = try await patient.compile("print(1)") }
            await eventually { ProcessTable.carrying(marker).contains { $0.name == "sleep" } }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await expectNothing(marker)
            let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/cache")
            #expect(left.filter { $0.hasPrefix("work") }.isEmpty)
        }
    }

    /// What a compile says that fails, and must do so in time.
    private func failure(
        of compiler: SwiftCompiler, sourceLocation: SourceLocation = #_sourceLocation, before end: () throws -> Void
    ) async throws -> MartletError? {
        let done = Lines()
        let task = Task { () -> MartletError? in
            defer { done.add("over") }
            do { _ = try await compiler.compile("print(1)") } catch { return error as? MartletError }
            return nil
        }
        await eventually(within: .seconds(20), "the compile's end", sourceLocation: sourceLocation) {
            !done.all.isEmpty
        }
        // What it would wait for is over now.
        try end()
        task.cancel()
        return await task.value
    }

    @Test func `A compiler that leaves a program running with its output does not hold its caller`() async throws {
        try await withFolderInScope { folder in
            let marker = makeMarker()
            var leaving = compiler
            leaving.path = try script("setsid sleep \(marker) &\necho broken\nexit 1", folder, "swiftc")
            leaving.cache = "\(folder)/cache"
            let error = try await failure(of: leaving) {
                let left = ProcessTable.carrying(marker)
                #expect(left.count == 1)
                for entry in left { entry.send() }
            }
            #expect(error?.code == .noCompiler)
            #expect(error?.detail?.contains("broken") == true)
        }
    }

    @Test func `A compile that never ends holds others up until their deadline`() async throws {
        try await withFolderInScope { folder in
            var waiting = compiler
            waiting.path = try script("echo some version", folder, "swiftc")
            waiting.cache = "\(folder)/cache"
            waiting.deadline = .seconds(3)
            try FileManager.default.createDirectory(
                atPath: "\(folder)/cache", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let locks = "0123456789abcdef".map { digit in
                open("\(folder)/cache/lock-\(digit)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            }
            for lock in locks { #expect(flock(lock, LOCK_EX) == 0) }
            let error = try await failure(of: waiting) { for lock in locks { close(lock) } }
            #expect(error?.code == .deadlineExceeded)
            #expect(error?.message.contains("/cache/lock-") == true, "\(String(describing: error))")
        }
    }

    @Test func `Another machine's architecture is refused before the compiler works`() async throws {
        try await withContext { context in
            var other = compiler
            other.target = "riscv64-unknown-linux-gnu"
            let error = try await #require(throws: MartletError.self) {
                _ = try await context.exec(swift: "print(1)", compiler: other)
            }
            #expect(error.code == .wrongPlatform)
            #expect(error.message.contains("riscv64"))
            #expect(error.message.contains(context.facts.architecture))
        }
    }

    @Test func `The cache is ours alone, and a folder of others is refused`() async throws {
        try await withFolderInScope { folder in
            var shared = compiler
            shared.cache = "\(folder)/open"
            try FileManager.default.createDirectory(atPath: "\(folder)/open", withIntermediateDirectories: true)
            chmod("\(folder)/open", 0o777)
            let refused = shared
            let error = try await #require(throws: MartletError.self) { _ = try await refused.compile("print(1)") }
            #expect(error.code == .imageUnusable)
            #expect(error.message.contains("only we may write"))
        }
    }

    @Test(
        .enabled(if: getuid() == 0, "needs root, which can be somebody else"),
        arguments: [nil, "", "a/b", "/.cache", "/deep/er"])
    func `No cache is made in the home or cache of somebody else, whatever names it`(cache: String?) async throws {
        try await withFolder { folder in
            let home = "\(folder)/joe"
            try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
            try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: home)
            var environment = ProcessEnvironment.current
            environment["HOME"] = home
            environment["XDG_CACHE_HOME"] = cache.map { $0.hasPrefix("/") ? home + $0 : $0 }
            for isThere in [false, true] {
                if isThere, cache == "/.cache" {
                    try FileManager.default.createDirectory(atPath: home + "/.cache", withIntermediateDirectories: true)
                    try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: home + "/.cache")
                }
                let before = try FileManager.default.subpathsOfDirectory(atPath: home)
                let error = #expect(throws: MartletError.self) { _ = try FragmentCache(environment: environment) }
                #expect(error?.code == .imageUnusable && error?.message.contains("belongs to somebody else") == true)
                #expect(try FileManager.default.subpathsOfDirectory(atPath: home) == before)
            }
            environment["XDG_CACHE_HOME"] = "\(folder)/our/own"
            #expect(try FragmentCache(environment: environment).folder.hasSuffix("/our/own/martlet/fragments"))
        }
    }
}
