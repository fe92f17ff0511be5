import Foundation
import MartletReactor
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Sends items, prints lines and is done; nobody waits until they have arrived.
struct FloodAndReturn: RemoteTask {
    var to: Channel<[UInt8]>
    var items: Int
    var lines: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<lines { print("line \(number)") }
        for number in 0..<items { try await to.send(Array(repeating: UInt8(truncatingIfNeeded: number), count: 1000)) }
    }
}

/// Sends as long as the other end takes something, and says how far it is in a file.
struct FloodAndTell: RemoteTask {
    var to: Channel<[UInt8]>
    var file: String
    func run(in context: RemoteContext) async throws {
        var sent: UInt32 = 0
        let file = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        defer { close(file) }
        while true {
            try await to.send(Array(repeating: 1, count: 1000))
            sent += 1
            pwrite(file, &sent, 4, 0)
        }
    }
}

/// Sends an item on each channel, once there is a file the others, and ends its process at once when its link has them all.
struct SendAndDie: RemoteTask {
    var to: [Channel<[UInt8]>]
    var items: Int
    var folder: TestFolder
    func run(in context: RemoteContext) async throws {
        for end in to { try await end.send([]) }
        Signpost.block(until: folder.file("go"))
        for end in to {
            for _ in 0..<items { try await end.send(Array(repeating: 1, count: 1000)) }
        }
        let runtime = context.scope.runtime
        while !runtime.channels.isDrained || !runtime.node.links.allSatisfy(\.isDrained) {
            try await Task.sleep(for: .milliseconds(2))
        }
        _exit(0)
    }
}

/// Sends for ever.
struct FloodForEver: RemoteTask {
    var to: Channel<[UInt8]>
    var started: String
    func run(in context: RemoteContext) async throws {
        Signpost.leave(started)
        while true { try await to.send(Array(repeating: 1, count: 10_000)) }
    }
}

@Suite(.leakChecked) struct ShutdownTests {
    /// How many items come until the end.
    private func count(_ end: Channel<[UInt8]>) async throws -> Int {
        var count = 0
        do { while try await end.receive() != nil { count += 1 } } catch is MartletError {}
        return count
    }

    /// Whether the far side takes no more work.
    private func refuses(_ context: Context) async -> Bool {
        do {
            _ = try await context.call(Nothing())
            return false
        } catch { return (error as? MartletError)?.code == .contextLost }
    }

    @Test(arguments: Way.available)
    func `What was sent before a shutdown arrives`(way: Way) async throws {
        let log = OutputLog()
        try await TestFolder.with { folder in
            try await withContext(way, log.options) { context in
                // One fills the window and some of what may wait at the far side, and returns; the other one goes on for ever.
                let (lines, to) = context.makeChannel(of: [UInt8].self)
                let (others, flood) = context.makeChannel(of: [UInt8].self)
                try await context.call(FloodAndReturn(to: to, items: 400, lines: 2000))
                try await context.post(FloodAndTell(to: flood, file: folder.file("sent")))
                func sent() -> Int {
                    let bytes = (try? Data(contentsOf: URL(fileURLWithPath: folder.file("sent")))) ?? Data()
                    return bytes.enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
                }
                await eventually { sent() > 300 }
                let before = sent()
                let shutdown = Task { await context.shutdown(deadline: .seconds(60)) }
                // The far side refuses new work from now on, and waits for this reader.
                await eventually { await refuses(context) }
                #expect(try await count(lines) == 400)
                #expect(try await count(others) >= before)
                await shutdown.value
                await eventually { log.line(with: "line 1999") != nil }
                let texts = log.texts().filter { $0.hasPrefix("line") }
                #expect(texts == (0..<2000).map { "line \($0)" })
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `What a context has sent arrives though it ends while a relay waits for its slow link`() async throws {
        try await TestFolder.with { folder in
            try await withThrowawaySSHD(.warm) { sshd in
                try await withMartlet(OutputLog().options) { martlet in
                    let relay = try await martlet.connect(sshd.connector(.pipe))
                    let below = try await relay.connect(.local)
                    // More than all that lies between takes.
                    let channels = (0..<60).map { _ in below.makeChannel(of: [UInt8].self) }
                    let ssh = try #require(martlet.runtime.children.first?.process?.pid)
                    let entry = try #require(ProcessTable.entry(of: below.processID))
                    try await below.post(SendAndDie(to: channels.map(\.1), items: 240, folder: folder))
                    for (end, _) in channels { #expect(try await end.receive() == []) }
                    kill(ssh, SIGSTOP)
                    defer { kill(ssh, SIGCONT) }
                    folder.touch("go")
                    await eventually { !entry.isAlive }
                    await eventually { !ProcessTable.descendants(of: relay.processID).contains(entry) }
                    kill(ssh, SIGCONT)
                    for (end, _) in channels { #expect(try await count(end) == 240) }
                    #expect(try await relay.call(Add(a: 1, b: 2)) == 3)
                }
            }
        }
    }

    @Test func `A shutdown is forced at its deadline`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let (lines, to) = context.makeChannel(of: [UInt8].self)
                let never = Task { try await context.call(NeverEnd(started: folder.file("never"))) }
                try await context.post(FloodForEver(to: to, started: folder.file("started")))
                await eventually { folder.has("started") && folder.has("never") }
                let entry = try #require(ProcessTable.entry(of: context.processID))
                let time = await Duration.of { await context.shutdown(deadline: .seconds(1)) }
                #expect(time > .milliseconds(900) && time < .seconds(5), "\(time)")
                #expect(!entry.isAlive)
                await #expect(throws: MartletError.self) { try await never.value }
                _ = lines
            }
        }
    }

    @Test func `A shutdown ends what prints without a pause`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                try await context.post(PrintForEver(started: folder.file("started")))
                await eventually { folder.has("started") }
                let entry = try #require(ProcessTable.entry(of: context.processID))
                await context.shutdown(deadline: .seconds(1))
                await eventually { !entry.isAlive }
            }
        }
    }

    @Test func `A shutdown of a controller drains contexts at every depth`() async throws {
        let log = OutputLog()
        try await withMartlet(log.options) { martlet in
            let context = try await martlet.connect(.local)
            let below = try await context.connect(.local)
            try await below.call(PrintNumbered(count: 3000))
            let time = await Duration.of { await martlet.shutdown(deadline: .seconds(10)) }
            #expect(time < .seconds(8), "\(time)")
            await eventually { log.line(with: "line 2999") != nil }
            let texts = log.texts().filter { $0.hasPrefix("line") }
            #expect(texts == (0..<3000).map { "line \($0)" })
            #expect(ProcessTable.entry(of: below.processID) == nil)
        }
    }
}

/// Prints more than anybody takes.
struct PrintForEver: RemoteTask {
    var started: String
    func run(in context: RemoteContext) async throws {
        Signpost.leave(started)
        let line = String(repeating: "x", count: 4000)
        while true { print(line) }
    }
}

/// Prints numbered lines.
struct PrintNumbered: RemoteTask {
    var count: Int
    func run(in context: RemoteContext) async throws {
        for number in 0..<count { print("line \(number)") }
    }
}
