import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Connects by a spec from within a task, and says where it came out.
struct ConnectFromThere: RemoteTask {
    var spec: String
    func run(in context: RemoteContext) async throws -> String {
        let end = try await context.connect(spec)
        let route = end.route.description
        await end.close()
        return route
    }
}

@Suite(.leakChecked) struct RouteConnectTests {
    /// The process of a context, and of those that belong to it, the nearest last.
    private static func processes(_ context: Context) throws -> [ProcessTable.Entry] {
        let process = try #require(ProcessTable.entry(of: context.processID))
        return try [process] + (context.bridge.map { try processes($0) } ?? [])
    }

    /// Runs `body` with the spec of an ssh that does what the script says, and the folder where it leaves the number of the
    /// context that started it.
    private static func withSSH(
        _ script: String, _ body: (String, TestFolder) async throws -> Void
    ) async throws {
        try await TestFolder.with { folder in
            let text =
                "#!/bin/sh\necho $PPID >\(folder.file("new")); mv \(folder.file("new")) \(folder.file("parent"))\n\(script)\n"
            try text.write(toFile: folder.file("ssh"), atomically: true, encoding: .utf8)
            chmod(folder.file("ssh"), 0o700)
            try await body("ssh:x?program=\(folder.file("ssh"))", folder)
        }
    }

    private static func parent(_ folder: TestFolder) throws -> Int32 {
        try #require(Int32(folder.text("parent").trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    @Test func `A spec of several hops leads to its last, and all of them close with it`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let told = Locked<[String]>([])
            let context = try await martlet.connect("local?env=A=1/local?dir=/tmp&nice=3/local:") { route, phase, _ in
                told.withLock { $0.append("\(route.steps.count) \(phase)") }
            }
            #expect(context.route.description == "controller → local → local → local")
            #expect(try await context.run("pwd; nice; echo $A").lines == ["/tmp", "3", "1"])
            let phases = told.withLock { $0 }
            #expect(phases.first == "1 queue" && phases.last == "3 handshake", "\(phases)")
            #expect(phases.map { $0.prefix(1) } == phases.map { $0.prefix(1) }.sorted())
            let processes = try Self.processes(context)
            #expect(processes.count == 3 && processes.allSatisfy(\.isAlive))
            await context.close()
            #expect(processes.allSatisfy { !$0.isAlive })
            #expect(martlet.runtime.children.isEmpty)
        }
    }

    @Test func `A shutdown, and a scope, close the hops too`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let context = try await martlet.connect("local/local")
            let processes = try Self.processes(context)
            await context.shutdown(deadline: .seconds(20))
            #expect(processes.allSatisfy { !$0.isAlive })
            let inside = try await martlet.withContext("local/local") { try Self.processes($0) }
            #expect(inside.count == 2 && inside.allSatisfy { !$0.isAlive })
            await #expect(throws: CancellationError.self) {
                try await martlet.withContext("local/local") { _ in throw CancellationError() }
            }
            #expect(martlet.runtime.children.isEmpty)
        }
    }

    @Test func `From a context on, the hops belong to the last, but not the context`() async throws {
        try await withLocalContext { _, context in
            let end = try await context.connect("local/local")
            #expect(end.route.steps == ["local", "local", "local"])
            let processes = try Self.processes(end)
            await end.close()
            #expect(processes.count == 2 && processes.allSatisfy { !$0.isAlive })
            #expect(try await context.call(Add(a: 1, b: 2)) == 3)
            #expect(try await context.withContext("local/local") { try await $0.call(Add(a: 1, b: 3)) } == 4)
            #expect(
                try await context.call(ConnectFromThere(spec: "local/local"))
                    == "controller → local → local → local")
        }
    }

    @Test func `When a hop fails, those before it are closed`() async throws {
        try await Self.withSSH("exit 255") { ssh, folder in
            try await withMartlet(OutputLog().options) { martlet in
                let error = try await #require(throws: MartletError.self) {
                    try await martlet.connect("local/local/\(ssh)")
                }
                #expect(error.route.description == "controller → local → local → ssh:x")
                #expect(ProcessTable.entry(of: try Self.parent(folder)) == nil)
                #expect(martlet.runtime.children.isEmpty)
                let missing = try await #require(throws: MartletError.self) {
                    try await martlet.connect("local/local?dir=/nonexistent/martlet/local:")
                }
                #expect(missing.route.steps.count == 2)
                #expect(martlet.runtime.children.isEmpty)
            }
        }
    }

    @Test func `When the caller is cancelled, nothing is left`() async throws {
        // It never says anything: the third hop stands still until something ends it.
        try await Self.withSSH("exec sleep 600") { ssh, folder in
            try await withMartlet(OutputLog().options) { martlet in
                let connect = Task { _ = try await martlet.connect("local/local/\(ssh)") }
                await eventually { folder.has("parent") }
                let parent = try #require(ProcessTable.entry(of: try Self.parent(folder)))
                #expect(parent.isAlive)
                connect.cancel()
                await #expect(throws: CancellationError.self) { try await connect.value }
                #expect(!parent.isAlive)
                #expect(martlet.runtime.children.isEmpty)
            }
        }
    }

    @Test func `One deadline is for all hops`() async throws {
        try await Self.withSSH("exec sleep 600") { ssh, folder in
            try await withMartlet(OutputLog().options) { martlet in
                var options = ConnectOptions()
                options.deadline = .seconds(5)
                let error = try await expectError(.connectTimedOut) { [options] in
                    try await martlet.connect("local/\(ssh)", options: options)
                }
                // The first hop took some of it.
                #expect(!error.message.hasPrefix("not connected within 5.0 seconds"), "\(error)")
                #expect(martlet.runtime.children.isEmpty)
            }
        }
    }

    @Test func `What is no spec is an error before anything is started`() async throws {
        try await withMartlet { martlet in
            let error = await #expect(throws: SpecError.self) { try await martlet.connect("local/lcoal") }
            #expect(error?.offset == 6)
            #expect(error?.suggestion == "local")
            #expect(martlet.runtime.children.isEmpty)
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `ssh through ssh and local in one spec, and its end leaves both sides empty`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let hop = try ConnectorSpec(sshd.connector()).description
                #expect(hop.hasPrefix("ssh:\(sshd.hostAlias)?config=/"))
                let context = try await martlet.connect("local/\(hop)/\(hop)/local?dir=/tmp")
                #expect(
                    context.route.steps == ["local", "ssh:\(sshd.hostAlias)", "ssh:\(sshd.hostAlias)", "local"])
                #expect(try await context.run("pwd").lines == ["/tmp"])
                // All hops together.
                #expect(context.timings.phases[.authenticate] != nil)
                await context.close()
                #expect(martlet.runtime.children.isEmpty)
                await eventually { sshd.programs().isEmpty }
                let clients = ProcessTable.all().filter { $0.name == "ssh" && $0.commandLine.contains(sshd.configPath) }
                #expect(clients.isEmpty)
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A second ssh that is refused leaves nothing of the first`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let (good, bad) = (sshd.connector(), sshd.connector(.refusedKey))
                let route = try RouteSpec("\(ConnectorSpec(good))/\(ConnectorSpec(bad))")
                let error = try await expectError(.authenticationFailed) { try await martlet.connect(route) }
                #expect(error.route.steps == [good.label, bad.label])
                #expect(martlet.runtime.children.isEmpty)
                await eventually { sshd.programs().isEmpty }
            }
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `A configuration below the home of whoever runs ssh`() async throws {
        try await withThrowawaySSHD(.warm) { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                try await TestFolder.with { folder in
                    let text = try String(contentsOfFile: sshd.configPath, encoding: .utf8)
                    try text.write(toFile: folder.file("config"), atomically: true, encoding: .utf8)
                    let spec = "local?env=HOME=\(folder.path)/ssh:\(sshd.hostAlias)?config=~/config"
                    #expect(try await martlet.withContext(spec) { try await $0.call(Add(a: 1, b: 2)) } == 3)
                }
            }
        }
    }
}
