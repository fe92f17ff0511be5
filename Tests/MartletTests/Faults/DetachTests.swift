import CMartlet
import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Prints a line for each file that appears, until `stop` is there.
struct TellOfFiles: RemoteTask {
    var folder: String
    func run(in context: RemoteContext) async throws -> Int {
        var count = 0
        Signpost.leave("\(folder)/telling")
        while access("\(folder)/stop", F_OK) != 0 {
            if access("\(folder)/file\(count)", F_OK) == 0 {
                print("file \(count)")
                count += 1
            } else {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        Signpost.leave("\(folder)/stopped")
        return count
    }
}

@Suite(.leakChecked) struct DetachTests {
    private static let program = """
        echo before; while [ ! -e stop ]; do [ -e go ] && { echo while; echo oops >&2; rm go; : > went; }; sleep 0.02; done; \
        echo after; : > done
        """

    @Test(arguments: Way.available)
    func `Programs and tasks of a detached context outlive the controller, and their output is delivered`(
        way: Way
    ) async throws {
        try await Self.withServer(way) { folder, sshd in
            let detached = Locked<DetachedContext?>(nil)
            let marker = makeMarker()
            try await withMartlet(OutputLog().options) { martlet in
                let context = try await Self.connect(martlet, way, sshd)
                var options = CommandOptions()
                options.directory = folder.path
                options.environment["MARKER"] = marker
                let run = Task { [options] in try await context.run(Self.program, options: options) }
                let call = Task { try await context.call(TellOfFiles(folder: folder.path)) }
                await eventually { folder.has("telling") && !ProcessTable.carrying(marker).isEmpty }
                let value = try await context.detach(lease: .seconds(60))
                detached.withLock { $0 = value }
                for error in [
                    await #expect(throws: MartletError.self) { try await run.value },
                    await #expect(throws: MartletError.self) { try await call.value },
                ] {
                    #expect(error?.code == .contextDetached, "\(String(describing: error))")
                }
                let gone = try await expectError(.contextLost) { try await context.call(Nothing()) }
                #expect(gone.route == context.route)
                await context.close()
            }
            let value = try #require(detached.withLock { $0 })
            let entry = try #require(ProcessTable.entry(of: value.facts.processID))
            #expect(!ProcessTable.carrying(marker).isEmpty)
            // Nothing of the way there is left.
            let clients = ProcessTable.all().filter { $0.name == "ssh" }
            #expect(!clients.contains { $0.commandLine.contains(sshd?.configPath ?? "-") })
            folder.touch("go")
            for number in 0..<3 { folder.touch("file\(number)") }
            await eventually { folder.has("went") }

            let stored = try JSONDecoder().decode(DetachedContext.self, from: JSONEncoder().encode(value))
            let log = OutputLog()
            try await withMartlet(log.options) { martlet in
                let context = try await Self.attach(martlet, way, sshd, stored)
                #expect(context.facts.processID == value.facts.processID)
                #expect(try await context.status().running == 2)
                await eventually { log.line(with: "file 2") != nil && log.line(with: "oops") != nil }
                #expect(log.texts(.error).contains("oops"))
                #expect(log.line(with: "file 2")?.address == context.address)
                #expect(log.texts().filter { $0.hasPrefix("file") } == ["file 0", "file 1", "file 2"])
                #expect(try await context.call(Add(a: 1, b: 2)) == 3)
                let hello = try await context.run("echo hello")
                #expect(hello.lines == ["hello"])
                folder.touch("file3")
                await eventually { log.line(with: "file 3") != nil }
                folder.touch("stop")
                await eventually { log.line(with: "after") != nil && folder.has("stopped") && folder.has("done") }
                await eventually { try await context.status().running == 0 }
                await context.close()
                #expect(way == .relay || martlet.runtime.children.isEmpty)
            }
            #expect(!entry.isAlive)
            #expect(access(value.place.socket, F_OK) != 0)
            #expect(ProcessTable.carrying(marker).isEmpty)
        }
    }

    @Test func `The end of the lease ends all of it and removes the socket`() async throws {
        let marker = makeMarker()
        let value = try await Self.detached(for: .milliseconds(400)) { context in
            _ = Task { try await context.run("(trap '' TERM HUP; sleep \(marker)) & sleep \(marker)") }
            await eventually { ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == 2 }
        }
        let entry = ProcessTable.entry(of: value.facts.processID)
        await eventually { ProcessTable.carrying(marker).isEmpty && entry?.isAlive != true }
        #expect(access(value.place.socket, F_OK) != 0)
        try await withMartlet(OutputLog().options) { martlet in
            let error = try await expectError(.leaseEnded) { try await martlet.attach(value, through: .local) }
            #expect(error.advice != nil)
            #expect(martlet.runtime.children.isEmpty)
        }
    }

    @Test func `Who was killed has left a socket: it is removed, and the lease has ended`() async throws {
        let value = try await Self.detached(for: .seconds(60)) { _ in }
        let entry = try #require(ProcessTable.entry(of: value.facts.processID))
        entry.send(signal: SIGKILL)
        await eventually { !entry.isAlive }
        #expect(access(value.place.socket, F_OK) == 0)
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.connect(.local)
            try await expectError(.leaseEnded) { try await context.attach(value) }
        }
        #expect(access(value.place.socket, F_OK) != 0)
    }

    @Test func `A wrong id, nonsense and silence are turned away, and a second controller is told so`() async throws {
        let value = try await Self.detached(for: .seconds(60)) { _ in }
        let entry = try #require(ProcessTable.entry(of: value.facts.processID))
        let forged = DetachedContext(
            place: .init(id: String(repeating: "0", count: 32), socket: value.place.socket), route: value.route,
            facts: value.facts)
        #expect(!"\(value)".contains(value.place.id) && !value.place.socket.contains(value.place.id))
        let silent = try UnixSocket(value.place.socket)
        let talker = try UnixSocket(value.place.socket)
        talker.write(Array(repeating: 0x41, count: 200))
        try await withMartlet(OutputLog().options) { martlet in
            let bridge = try await martlet.connect(.local)
            try await expectError(.refused) { try await bridge.attach(forged) }
            let context = try await bridge.attach(value)
            let error = try await expectError(.refused) { try await martlet.attach(value, through: .local) }
            #expect(error.message.contains("another controller"))
            #expect(try await context.call(Add(a: 1, b: 1)) == 2)
            await context.close()
        }
        await eventually { !entry.isAlive }
        _ = (silent, talker)
    }

    @Test func `A context may be detached again, and its old value is worth nothing then`() async throws {
        let value = try await Self.detached(for: .seconds(60)) { _ in }
        let entry = try #require(ProcessTable.entry(of: value.facts.processID))
        let next = Locked<DetachedContext?>(nil)
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.attach(value, through: .local)
            let again = try await context.detach(lease: .seconds(60))
            next.withLock { $0 = again }
            try await expectError(.leaseEnded) { try await martlet.attach(value, through: .local) }
        }
        #expect(entry.isAlive)
        let again = try #require(next.withLock { $0 })
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.attach(again, through: .local)
            #expect(try await context.call(Add(a: 2, b: 2)) == 4)
            // From now on it hangs on its link again.
        }
        await eventually { !entry.isAlive }
    }

    @Test func `Contexts below a detached one end, and what floods is kept up to the bound`() async throws {
        try await TestFolder.with { folder in
            let below = Locked<Int32>(0)
            let value = try await Self.detached(for: .seconds(60)) { context in
                let child = try await context.connect(.local)
                below.withLock { $0 = child.processID }
                try await context.post(PrintMany(count: 40_000, after: folder.file("go"), done: folder.file("done")))
            }
            #expect(ProcessTable.entry(of: below.withLock { $0 }) == nil)
            folder.touch("go")
            await eventually { folder.has("done") }
            let log = OutputLog()
            try await withMartlet(log.options) { martlet in
                let context = try await martlet.attach(value, through: .local)
                await eventually { log.line(with: "line 39999") != nil }
                let kept = log.texts().filter { $0.hasPrefix("line ") }
                let note = log.texts(.error).first { $0.contains("dropped") }
                let dropped = note?.split(separator: " ").compactMap { Int($0) }.first ?? 0
                #expect(kept.count + dropped == 40_000 && dropped > 0, "\(kept.count) and \(dropped)")
                #expect(kept.first?.hasPrefix("line \(dropped) ") == true)
                // From the first line on, which comes before anybody here has the context.
                #expect(log.all.allSatisfy { $0.route == context.route })
                await context.close()
            }
        }
    }

    @Test func `Whoever has the answer has the context, though what lies between is killed at once`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            for _ in 0..<5 {
                let relay = try await martlet.connect(.local)
                let context = try await relay.connect(.local)
                let value = try await context.detach(lease: .seconds(60))
                kill(relay.processID, SIGKILL)
                let again = try await martlet.attach(value, through: .local)
                #expect(again.processID == context.processID)
                #expect(try await again.call(Add(a: 1, b: 2)) == 3)
                await again.close()
            }
        }
    }

    @Test func `What waits for a handler that blocks is kept with the rest, and holds up nobody`() async throws {
        let handler = BlockingHandler()
        defer { handler.release() }
        let second = OutputLog()
        let detached = Locked<DetachedContext?>(nil)
        try await TestFolder.with { folder in
            try await withLocalContext(handler.options()) { _, context in
                // More than the window, the agent and the pipe hold together, so that the task waits; less than is kept.
                try await context.post(PrintLong(count: 900, done: folder.file("done")))
                await eventually { handler.hasEntered }
                #expect(try await context.status().running == 1)
                let value = try await context.detach(lease: .seconds(60))
                detached.withLock { $0 = value }
                // Then nobody waits any more.
                await eventually { folder.has("done") }
                handler.release()
            }
            let value = try #require(detached.withLock { $0 })
            try await withMartlet(second.options) { martlet in
                let context = try await martlet.attach(value, through: .local)
                await eventually { second.line(with: "899 ") != nil }
                await context.close()
            }
            let first = handler.texts.compactMap { Int($0.dropLast()) }
            let rest = second.texts().compactMap { Int($0.prefix { $0 != " " }) }
            #expect(!first.isEmpty && first + rest == Array(0..<900), "\(first.count), \(rest.count)")
        }
    }

    @Test(.enabled("needs root and another user") { getuid() == 0 && getpwnam("nobody") != nil })
    func `Another user gets at neither the socket nor the context`() async throws {
        let value = try await Self.detached(for: .seconds(60)) { _ in }
        let entry = try #require(ProcessTable.entry(of: value.facts.processID))
        let folder = (value.place.socket as NSString).deletingLastPathComponent
        let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        // Even with the directory open to all: who connects is looked at.
        chmod(folder, 0o777)
        chmod(value.place.socket, 0o777)
        let script = """
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            try:
                s.sendall(b"MARTLET-ATTACH-1" + sys.argv[2].encode() + b"0" * 32); print(len(s.recv(100)))
            except OSError: print(0)
            """
        let result = try await runProgram(
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c", script]
                + [value.place.socket, value.place.id])
        chmod(folder, 0o700)
        #expect(result.output.trimmingCharacters(in: .whitespacesAndNewlines) == "0", "\(result.errors)")
        try await withMartlet(OutputLog().options) { martlet in
            await (try await martlet.attach(value, through: .local)).close()
        }
        await eventually { !entry.isAlive }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `It outlives a controller that is killed, and ssh`() async throws {
        try await TestFolder.with { folder in
            try await withThrowawaySSHD(.warm) { sshd in
                let marker = makeMarker()
                let executable = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
                let controller = Task {
                    try await runProgram(
                        [executable, "--testing-library", "swift-testing", "--filter", "DetacherToBeKilled"],
                        environment: [
                            detachVariable: marker, "MARTLET_TEST_HOST": sshd.hostAlias(.pipe),
                            "MARTLET_TEST_CONFIG": sshd.configPath, "MARTLET_TEST_FOLDER": folder.path,
                        ],
                        within: .seconds(120)
                    )
                }
                await eventually(within: .seconds(60)) { folder.has("detached1") }
                let victim = try #require(
                    ProcessTable.carrying(marker).first { $0.commandLine.contains("DetacherToBeKilled") })
                victim.send(signal: SIGKILL)
                #expect(try await controller.value.signal == SIGKILL)
                sshd.dropConnections()
                for number in 0..<2 {
                    let data = Data(folder.text("detached\(number)").utf8)
                    let value = try JSONDecoder().decode(DetachedContext.self, from: data)
                    let log = OutputLog()
                    try await withMartlet(log.options) { martlet in
                        let context =
                            number == 0
                            ? try await martlet.attach(value, through: .local)
                            : try await martlet.attach(value, through: sshd.connector(.pipe))
                        #expect(try await context.status().running == 1)
                        #expect(context.processID == value.facts.processID)
                        await context.close()
                    }
                }
                await eventually { ProcessTable.carrying(marker).isEmpty }
                await eventually { sshd.programs().isEmpty }
            }
        }
    }

    /// A context of this machine, detached by a scope that has ended.
    private static func detached(
        for lease: Duration, _ body: @Sendable @escaping (Context) async throws -> Void
    ) async throws -> DetachedContext {
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.connect(.local)
            try await body(context)
            return try await context.detach(lease: lease)
        }
    }

    // MARK: Ways

    private static func withServer(
        _ way: Way, _ body: @Sendable (TestFolder, ThrowawaySSHD?) async throws -> Void
    ) async throws {
        try await TestFolder.with { folder in
            guard way == .ssh else { return try await body(folder, nil) }
            try await withThrowawaySSHD(.warm) { try await body(folder, $0) }
        }
    }

    private static func connect(_ martlet: Controller, _ way: Way, _ sshd: ThrowawaySSHD?) async throws -> Context {
        switch way {
        case .local: try await martlet.connect(.local)
        case .ssh: try await martlet.connect(sshd!.connector(.pipe))
        case .relay: try await martlet.connect(.local).connect(.local)
        }
    }

    private static func attach(
        _ martlet: Controller, _ way: Way, _ sshd: ThrowawaySSHD?, _ detached: DetachedContext
    ) async throws -> Context {
        switch way {
        case .local: try await martlet.attach(detached, through: .local)
        case .ssh: try await martlet.attach(detached, through: sshd!.connector(.pipe))
        case .relay: try await martlet.connect(.local).connect(.local).attach(detached)
        }
    }
}

/// Prints numbered lines once a file is there.
struct PrintMany: RemoteTask {
    var count: Int
    var after: String
    var done: String
    func run(in context: RemoteContext) async throws {
        Signpost.block(until: after)
        for number in 0..<count { print("line \(number) of many") }
        // The pipe's reader has them when one of its own comes through: a line to the descriptor itself.
        fflush(nil)
        Signpost.leave(done)
    }
}

/// Prints numbered lines of a kilobyte.
struct PrintLong: RemoteTask {
    var count: Int
    var done: String
    func run(in context: RemoteContext) async throws {
        for number in 0..<count { print("\(number) \(String(repeating: "x", count: 1000))") }
        Signpost.leave(done)
    }
}

/// The body of a process that `DetachTests` starts and kills.
private let detachVariable = "MARTLET_TEST_DETACH"

struct DetacherToBeKilled {
    @Test(.enabled(if: ProcessInfo.processInfo.environment[detachVariable] != nil, "is started by another test"))
    func `Contexts are detached, and the scope stays`() async throws {
        let environment = ProcessInfo.processInfo.environment
        let marker = environment[detachVariable] ?? ""
        let folder = TestFolder(path: environment["MARTLET_TEST_FOLDER"] ?? "")
        let far = SSHConnector.ssh(
            environment["MARTLET_TEST_HOST"] ?? "", configuration: environment["MARTLET_TEST_CONFIG"])
        try await withMartlet { martlet in
            for (number, context) in [try await martlet.connect(.local), try await martlet.connect(far)].enumerated() {
                _ = Task { try await context.run("sleep \(marker)") }
                await eventually {
                    ProcessTable.carrying(marker).filter { $0.name == "sleep" }.count == number + 1
                }
                let value = try await context.detach(lease: .seconds(120))
                try JSONEncoder().encode(value).write(to: URL(fileURLWithPath: folder.file("new")))
                rename(folder.file("new"), folder.file("detached\(number)"))
            }
            try await Task.sleep(for: .seconds(100))
        }
    }
}

/// A visitor that says what it likes.
final class UnixSocket {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = martlet_socket_connect(path)
        try #require(descriptor >= 0)
    }

    func write(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL)) }
    }
    deinit { close(descriptor) }
}
